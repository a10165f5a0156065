//! The room on the disk and in the memory for files that are arriving. It is taken before anything is written.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

/// How many files can arrive and be used by runs at the same time. Each is an open file of the process.
const FILES_MAX: u64 = 512;

/// Bounds what arriving files take together. A brand gets at most half of it, so that one brand's uploads leave
/// room for those of others.
#[derive(Debug)]
pub struct UploadRoom {
    max: Share,
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
    memory: u64,
}

impl Share {
    fn plus(self, more: Self) -> Self {
        self.with(more, u64::saturating_add)
    }

    fn minus(self, less: Self) -> Self {
        self.with(less, u64::saturating_sub)
    }

    fn half(self) -> Self {
        self.with(Self::default(), |all, _| all / 2)
    }

    fn with(self, other: Self, both: fn(u64, u64) -> u64) -> Self {
        Self {
            bytes: both(self.bytes, other.bytes),
            files: both(self.files, other.files),
            memory: both(self.memory, other.memory),
        }
    }

    fn fits(self, max: Self) -> bool {
        self.bytes <= max.bytes && self.files <= max.files && self.memory <= max.memory
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
    /// Room for this many bytes on the disk and in the memory.
    pub fn new(bytes_max: u64, memory_bytes_max: u64) -> Arc<Self> {
        let max = Share { bytes: bytes_max, files: FILES_MAX, memory: memory_bytes_max };
        Arc::new(Self { max, state: Mutex::default() })
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
        self.take(Share { bytes, ..Share::default() })
    }

    /// Takes room for one more file. Returns false if there are too many.
    pub fn add_file(&mut self) -> bool {
        self.take(Share { files: 1, ..Share::default() })
    }

    /// Takes more memory, for what has arrived and is not on the disk. Returns false if there is not enough.
    pub fn grow_memory(&mut self, memory: u64) -> bool {
        self.take(Share { memory, ..Share::default() })
    }

    fn take(&mut self, more: Share) -> bool {
        let mut state = self.room.state.lock();
        let all = state.all.plus(more);
        let of_brand = state.brands.get(&self.brand).copied().unwrap_or_default().plus(more);
        let has_room = all.fits(self.room.max) && of_brand.fits(self.room.max.half());
        if has_room {
            state.all = all;
            match state.brands.get_mut(&self.brand) {
                Some(share) => *share = of_brand,
                None => drop(state.brands.insert(self.brand.clone(), of_brand)),
            }
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
        let room = UploadRoom::new(100, 60);
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
        let mut memory = room.enter("a");
        assert!(memory.grow_memory(30) && !memory.grow_memory(1) && !room.enter("a").grow_memory(1));
        assert!(room.enter("b").grow_memory(30));
        drop(memory);
        assert!(room.state.lock().brands.is_empty() && room.state.lock().all == Share::default());
    }
}
