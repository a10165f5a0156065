//! The calls of scripts.

use super::Area;

/// A call. Its name in messages depends on the area.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// Returns a value.
    Get,
    /// Stores a value.
    Set,
    /// Removes a value.
    Del,
    /// Whether there is a value.
    Has,
    /// Stores a value if there is none.
    SetIfAbsent,
    /// Stores a value if the present one is as expected.
    CompareAndSet,
    /// Adds to a number.
    Increment,
    /// Lists keys with their values.
    List,
}

impl Call {
    /// The name in scripts, such as `storage.setIfAbsent`.
    pub fn name(self, area: Area) -> &'static str {
        match (area, self) {
            (Area::Storage, Self::Get) => "storage.get",
            (Area::Storage, Self::Set) => "storage.set",
            (Area::Storage, Self::Del) => "storage.del",
            (Area::Storage, Self::Has) => "storage.has",
            (Area::Storage, Self::SetIfAbsent) => "storage.setIfAbsent",
            (Area::Storage, Self::CompareAndSet) => "storage.compareAndSet",
            (Area::Storage, Self::Increment) => "storage.increment",
            (Area::Storage, Self::List) => "storage.list",
            (Area::Cache, Self::Get) => "cache.get",
            (Area::Cache, Self::Set) => "cache.set",
            (Area::Cache, Self::Del) => "cache.del",
            (Area::Cache, Self::Has) => "cache.has",
            (Area::Cache, Self::SetIfAbsent) => "cache.setIfAbsent",
            (Area::Cache, Self::CompareAndSet) => "cache.compareAndSet",
            (Area::Cache, Self::Increment) => "cache.increment",
            (Area::Cache, Self::List) => "cache.list",
        }
    }

    /// Whether scripts can make the call in this area.
    pub fn exists_in(self, area: Area) -> bool {
        area == Area::Storage || !matches!(self, Self::CompareAndSet | Self::List)
    }
}
