//! What the caller supplies: other template files and the values that a page shows.

use serde_json::{Map, Value};

use crate::host::Host;

/// Finds layouts and components. The site implements this trait. It is called only while a page
/// is compiled.
pub trait Includes {
    /// The file name (for errors) and the source of a layout, or of a page that serves as one.
    fn layout(&self, name: &str) -> Option<(String, String)>;
    /// The file name (for errors) and the source of a component.
    fn component(&self, name: &str) -> Option<(String, String)>;
    /// The names of all layouts, to suggest one for a misspelt name.
    fn layout_names(&self) -> Vec<String>;
    /// The names of all components, to suggest one for a misspelt name.
    fn component_names(&self) -> Vec<String>;
    /// The names of all pages, which other pages can extend.
    fn page_names(&self) -> Vec<String> {
        Vec::new()
    }
    /// Why the layout of this name cannot be used, as a sentence for the author, if there is more to
    /// say than that its file has a mistake.
    fn layout_fault(&self, _name: &str) -> Option<String> {
        None
    }
}

/// For a page that stands alone: it finds nothing.
impl Includes for () {
    fn layout(&self, _name: &str) -> Option<(String, String)> {
        None
    }

    fn component(&self, _name: &str) -> Option<(String, String)> {
        None
    }

    fn layout_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn component_names(&self) -> Vec<String> {
        Vec::new()
    }
}

/// The values that every page, layout and component sees.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// `var`: the script's variables, which override the brand's.
    pub variables: &'a Map<String, Value>,
    /// `customer`: a record, or null if the visitor is not a customer.
    pub customer: &'a Value,
    /// `is_customer`: whether the visitor is logged in as a customer.
    pub is_customer: bool,
    /// `request`: a record with the method, the path and the query.
    pub request: &'a Value,
    /// `route_params`: a record with the parts of the path that the page's name leaves open.
    pub route_params: &'a Value,
    /// The session and the CRM, for templates that call functions.
    pub host: Option<&'a dyn Host>,
    /// The brand's texts in the visitor's language, for templates that translate.
    pub language: Option<Language<'a>>,
}

/// The texts of a brand in one of its languages.
#[derive(Debug, Clone, Copy)]
pub struct Language<'a> {
    /// Its code: `pt-br`.
    pub code: &'a str,
    /// The texts by their keys.
    pub texts: &'a Map<String, Value>,
    /// The texts of the default language, for keys that the language lacks.
    pub fallback: &'a Map<String, Value>,
    /// The code of the default language.
    pub default: &'a str,
    /// The codes of all languages.
    pub codes: &'a [Value],
}
