//! The room on the disk for files that are arriving. It is taken before anything is written.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

/// How many files can arrive and be used by runs at the same time. Each is an open file of the process.
const FILES_MAX: u64 = 512;

/// Bounds what arriving files take together. A brand gets at most half of it, so that one brand's uploads leave
/// room for those of others.
#[derive(Debug)]
pub struct UploadRoom {
    bytes_max: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    all: Share,
    brands: HashMap<String, Share>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Share {
    bytes: u64,
    files: u64,
}

impl Share {
    fn plus(self, more: Self) -> Self {
        Self { bytes: self.bytes.saturating_add(more.bytes), files: self.files.saturating_add(more.files) }
    }

    fn minus(self, less: Self) -> Self {
        Self { bytes: self.bytes.saturating_sub(less.bytes), files: self.files.saturating_sub(less.files) }
    }

    fn fits(self, bytes_max: u64, files_max: u64) -> bool {
        self.bytes <= bytes_max && self.files <= files_max
    }
}

/// Room that is taken until this is dropped.
#[derive(Debug)]
pub struct Taken {
    room: Arc<UploadRoom>,
    brand: String,
    share: Share,
}

impl UploadRoom {
    /// Room for this many bytes.
    pub fn new(bytes_max: u64) -> Arc<Self> {
        Arc::new(Self { bytes_max, state: Mutex::default() })
    }

    /// Room for a request of a brand, which takes none yet.
    pub fn enter(self: &Arc<Self>, brand: &str) -> Taken {
        Taken { room: Arc::clone(self), brand: brand.to_owned(), share: Share::default() }
    }
}

impl Taken {
    /// Takes more bytes. Returns false if there is not enough room. A visitor who announces much and sends little
    /// thus takes little.
    pub fn grow(&mut self, bytes: u64) -> bool {
        self.take(Share { bytes, files: 0 })
    }

    /// Takes room for one more file. Returns false if there are too many.
    pub fn add_file(&mut self) -> bool {
        self.take(Share { bytes: 0, files: 1 })
    }

    fn take(&mut self, more: Share) -> bool {
        let mut state = self.room.state.lock();
        let all = state.all.plus(more);
        let of_brand = state.brands.get(&self.brand).copied().unwrap_or_default().plus(more);
        let bytes_max = self.room.bytes_max;
        let has_room = all.fits(bytes_max, FILES_MAX) && of_brand.fits(bytes_max / 2, FILES_MAX / 2);
        if has_room {
            state.all = all;
            state.brands.insert(self.brand.clone(), of_brand);
            self.share = self.share.plus(more);
        }
        has_room
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let mut state = self.room.state.lock();
        state.all = state.all.minus(self.share);
        if let Some(of_brand) = state.brands.get_mut(&self.brand) {
            *of_brand = of_brand.minus(self.share);
            if *of_brand == Share::default() {
                state.brands.remove(&self.brand);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_brand_leaves_room_for_others() {
        let room = UploadRoom::new(100);
        let take = |brand: &str, bytes| {
            let mut taken = room.enter(brand);
            taken.grow(bytes).then_some(taken)
        };
        let mut first = take("a", 49).unwrap();
        assert!(first.grow(1) && !first.grow(1));
        assert!(take("a", 1).is_none());
        let other = take("b", 50).unwrap();
        assert!(take("c", 1).is_none());
        drop(first);
        assert!(take("b", 1).is_none() && take("c", 50).is_some());
        drop(other);
        let mut files = room.enter("a");
        assert!((0..FILES_MAX / 2).all(|_| files.add_file()) && !files.add_file());
        assert!(room.enter("b").add_file());
        drop(files);
        assert!(room.state.lock().brands.is_empty() && room.state.lock().all == Share::default());
    }
}
