//! Puts the disk between SQLite and SQLite's own access to files, as a VFS that is the default of this
//! process. Files outside the disk's folder are not affected.

#![allow(unsafe_code, reason = "SQLite calls a VFS through C functions; this one exists only in tests")]

use std::collections::BTreeMap;
use std::ffi::{CStr, OsStr, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Mutex, Once, PoisonError};

use rusqlite::ffi::{
    SQLITE_CANTOPEN, SQLITE_IOERR_ACCESS, SQLITE_IOERR_DELETE, SQLITE_IOERR_FSTAT, SQLITE_IOERR_FSYNC,
    SQLITE_IOERR_LOCK, SQLITE_IOERR_READ, SQLITE_IOERR_SHMLOCK, SQLITE_IOERR_SHMMAP, SQLITE_IOERR_TRUNCATE,
    SQLITE_IOERR_WRITE, SQLITE_OK, SQLITE_SHM_LOCK, sqlite3_file, sqlite3_filename, sqlite3_int64,
    sqlite3_io_methods, sqlite3_vfs, sqlite3_vfs_find, sqlite3_vfs_register,
};

use super::{Call, Change, Disk, Fate, disk};

/// SQLite's own VFS.
static OWN: AtomicPtr<sqlite3_vfs> = AtomicPtr::new(ptr::null_mut());

/// The files that are open, by the address of SQLite's value for them.
static FILES: Mutex<BTreeMap<usize, OpenFile>> = Mutex::new(BTreeMap::new());

#[derive(Clone)]
struct OpenFile {
    /// SQLite's own functions for the file.
    own: &'static sqlite3_io_methods,
    path: PathBuf,
}

/// Registers the VFS.
pub(super) fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: null asks for the default. SQLite never frees its own VFS.
        let own = unsafe { sqlite3_vfs_find(ptr::null()) };
        OWN.store(own, Ordering::SeqCst);
        // SAFETY: the pointer is valid, see above.
        let own = unsafe { *own };
        let vfs = sqlite3_vfs {
            zName: c"failing".as_ptr(),
            pNext: ptr::null_mut(),
            xOpen: Some(open),
            xDelete: Some(delete),
            xAccess: Some(access),
            ..own
        };
        // SAFETY: the value and its name are never freed.
        let registered = unsafe { sqlite3_vfs_register(Box::leak(Box::new(vfs)), 1) };
        assert_eq!(registered, SQLITE_OK);
    });
}

/// SQLite's own VFS.
fn own() -> &'static sqlite3_vfs {
    // SAFETY: `install` has set it before SQLite could call a function of this module, and SQLite neither
    // frees nor changes it.
    unsafe { &*OWN.load(Ordering::SeqCst) }
}

/// The path of a file of the disk. `None` for temporary files and those of others.
///
/// # Safety
/// `name` must be null or end with a zero byte.
unsafe fn path_of(name: *const c_char) -> Option<PathBuf> {
    if name.is_null() {
        return None;
    }
    // SAFETY: the caller guarantees it.
    let name = unsafe { CStr::from_ptr(name) };
    let path = Path::new(OsStr::from_bytes(name.to_bytes()));
    disk().as_ref().filter(|disk| path.starts_with(&disk.folder)).map(|_| path.to_owned())
}

fn opened(file: *mut sqlite3_file) -> OpenFile {
    FILES.lock().unwrap_or_else(PoisonError::into_inner).get(&file.addr()).cloned().unwrap()
}

/// Runs `work` with the disk, if the file is of its scenario.
fn with_disk<T>(path: &Path, work: impl FnOnce(&mut Disk) -> T) -> Option<T> {
    disk().as_mut().filter(|disk| path.starts_with(&disk.folder)).map(work)
}

/// Makes a call that changes nothing on the disk.
fn call(path: &Path, what: Call, error: c_int, work: impl FnOnce() -> c_int) -> c_int {
    let fate = with_disk(path, |disk| {
        let fate = disk.fate(what, 0);
        disk.after_call();
        fate
    });
    if fate == Some(Fate::Fails) { error } else { work() }
}

unsafe extern "C" fn open(
    _: *mut sqlite3_vfs,
    name: sqlite3_filename,
    file: *mut sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    // SAFETY: SQLite passes null or a text.
    let path = unsafe { path_of(name) };
    // SAFETY: these are SQLite's own arguments, for its own function.
    let work = move || unsafe { own().xOpen.unwrap()(OWN.load(Ordering::SeqCst), name, file, flags, out) };
    let Some(path) = path else { return work() };
    // SAFETY: SQLite passes a value that it has allocated. Without methods, the file is not closed.
    unsafe { (*file).pMethods = ptr::null() };
    let done = call(&path, Call::Open, SQLITE_CANTOPEN, work);
    if done == SQLITE_OK {
        // SAFETY: SQLite's own function has set the methods, which are static.
        let own = unsafe { &*(*file).pMethods };
        FILES.lock().unwrap_or_else(PoisonError::into_inner).insert(file.addr(), OpenFile { own, path });
        // SAFETY: as above.
        unsafe { (*file).pMethods = &METHODS };
    }
    done
}

unsafe extern "C" fn delete(_: *mut sqlite3_vfs, name: *const c_char, sync: c_int) -> c_int {
    // SAFETY: these are SQLite's own arguments, for its own function.
    let work = || unsafe { own().xDelete.unwrap()(OWN.load(Ordering::SeqCst), name, sync) };
    // SAFETY: SQLite passes a text.
    let Some(path) = (unsafe { path_of(name) }) else { return work() };
    let done = call(&path, Call::Delete, SQLITE_IOERR_DELETE, work);
    if done == SQLITE_OK {
        with_disk(&path, |disk| disk.deleted(&path));
    }
    done
}

unsafe extern "C" fn access(
    _: *mut sqlite3_vfs,
    name: *const c_char,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    // SAFETY: these are SQLite's own arguments, for its own function.
    let work = || unsafe { own().xAccess.unwrap()(OWN.load(Ordering::SeqCst), name, flags, out) };
    // SAFETY: SQLite passes a text.
    let Some(path) = (unsafe { path_of(name) }) else { return work() };
    call(&path, Call::Access, SQLITE_IOERR_ACCESS, work)
}

unsafe extern "C" fn close(file: *mut sqlite3_file) -> c_int {
    let OpenFile { own, .. } = opened(file);
    FILES.lock().unwrap_or_else(PoisonError::into_inner).remove(&file.addr());
    // SAFETY: SQLite's own argument, for its own function.
    unsafe { own.xClose.unwrap()(file) }
}

unsafe extern "C" fn read(
    file: *mut sqlite3_file,
    to: *mut c_void,
    count: c_int,
    at: sqlite3_int64,
) -> c_int {
    let OpenFile { own, path } = opened(file);
    // SAFETY: these are SQLite's own arguments, for its own function.
    call(&path, Call::Read, SQLITE_IOERR_READ, || unsafe { own.xRead.unwrap()(file, to, count, at) })
}

unsafe extern "C" fn write(
    file: *mut sqlite3_file,
    from: *const c_void,
    count: c_int,
    at: sqlite3_int64,
) -> c_int {
    let OpenFile { own, path } = opened(file);
    // SAFETY: SQLite passes `count` bytes.
    let bytes = unsafe { std::slice::from_raw_parts(from.cast::<u8>(), count.unsigned_abs() as usize) };
    let fate = with_disk(&path, |disk| disk.fate(Call::Write, bytes.len())).unwrap_or(Fate::Works);
    let written = match fate {
        Fate::Works => bytes.len(),
        Fate::Fails => 0,
        Fate::FailsAfter(written) => written,
    };
    let mut done = SQLITE_OK;
    if written > 0 {
        // SAFETY: SQLite's own arguments, for its own function, and no more bytes than there are.
        done = unsafe { own.xWrite.unwrap()(file, from, written as c_int, at) };
    }
    with_disk(&path, |disk| {
        if done == SQLITE_OK && written > 0 {
            disk.note(&path, Change::Write { at: at as usize, bytes: bytes[..written].to_vec() });
        }
        disk.after_call();
    });
    if fate == Fate::Works { done } else { SQLITE_IOERR_WRITE }
}

unsafe extern "C" fn truncate(file: *mut sqlite3_file, bytes: sqlite3_int64) -> c_int {
    let OpenFile { own, path } = opened(file);
    // SAFETY: these are SQLite's own arguments, for its own function.
    let work = || unsafe { own.xTruncate.unwrap()(file, bytes) };
    let done = call(&path, Call::Truncate, SQLITE_IOERR_TRUNCATE, work);
    if done == SQLITE_OK {
        with_disk(&path, |disk| disk.note(&path, Change::Truncate { bytes: bytes as usize }));
    }
    done
}

unsafe extern "C" fn sync(file: *mut sqlite3_file, flags: c_int) -> c_int {
    let OpenFile { own, path } = opened(file);
    // SAFETY: these are SQLite's own arguments, for its own function.
    let work = || unsafe { own.xSync.unwrap()(file, flags) };
    let done = call(&path, Call::Sync, SQLITE_IOERR_FSYNC, work);
    with_disk(&path, |disk| match done {
        SQLITE_OK => disk.synced(&path),
        _ => disk.sync_failed(&path),
    });
    done
}

unsafe extern "C" fn size(file: *mut sqlite3_file, out: *mut sqlite3_int64) -> c_int {
    let OpenFile { own, path } = opened(file);
    // SAFETY: these are SQLite's own arguments, for its own function.
    call(&path, Call::Size, SQLITE_IOERR_FSTAT, || unsafe { own.xFileSize.unwrap()(file, out) })
}

unsafe extern "C" fn lock(file: *mut sqlite3_file, level: c_int) -> c_int {
    let OpenFile { own, path } = opened(file);
    // SAFETY: these are SQLite's own arguments, for its own function.
    call(&path, Call::Lock, SQLITE_IOERR_LOCK, || unsafe { own.xLock.unwrap()(file, level) })
}

unsafe extern "C" fn map_shared(
    file: *mut sqlite3_file,
    page: c_int,
    bytes: c_int,
    extend: c_int,
    out: *mut *mut c_void,
) -> c_int {
    let OpenFile { own, path } = opened(file);
    // SAFETY: these are SQLite's own arguments, for its own function.
    let work = || unsafe { own.xShmMap.unwrap()(file, page, bytes, extend, out) };
    call(&path, Call::MapShared, SQLITE_IOERR_SHMMAP, work)
}

unsafe extern "C" fn lock_shared(
    file: *mut sqlite3_file,
    offset: c_int,
    count: c_int,
    flags: c_int,
) -> c_int {
    let OpenFile { own, path } = opened(file);
    // SAFETY: these are SQLite's own arguments, for its own function.
    let work = || unsafe { own.xShmLock.unwrap()(file, offset, count, flags) };
    if flags & SQLITE_SHM_LOCK == 0 {
        return work();
    }
    call(&path, Call::LockShared, SQLITE_IOERR_SHMLOCK, work)
}

/// Makes functions that only call SQLite's own.
macro_rules! pass_on {
    ($($name:ident: $method:ident($($argument:ident: $type:ty),*) $(-> $result:ty)?;)*) => {
        $(
            unsafe extern "C" fn $name(file: *mut sqlite3_file, $($argument: $type),*) $(-> $result)? {
                // SAFETY: these are SQLite's own arguments, for its own function.
                unsafe { opened(file).own.$method.unwrap()(file, $($argument),*) }
            }
        )*
    };
}

pass_on! {
    unlock: xUnlock(level: c_int) -> c_int;
    check_reserved_lock: xCheckReservedLock(out: *mut c_int) -> c_int;
    file_control: xFileControl(what: c_int, argument: *mut c_void) -> c_int;
    sector_size: xSectorSize() -> c_int;
    device_characteristics: xDeviceCharacteristics() -> c_int;
    shared_barrier: xShmBarrier();
    unmap_shared: xShmUnmap(delete: c_int) -> c_int;
    fetch: xFetch(at: sqlite3_int64, bytes: c_int, out: *mut *mut c_void) -> c_int;
    unfetch: xUnfetch(at: sqlite3_int64, from: *mut c_void) -> c_int;
}

static METHODS: sqlite3_io_methods = sqlite3_io_methods {
    iVersion: 3,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(map_shared),
    xShmLock: Some(lock_shared),
    xShmBarrier: Some(shared_barrier),
    xShmUnmap: Some(unmap_shared),
    xFetch: Some(fetch),
    xUnfetch: Some(unfetch),
};
