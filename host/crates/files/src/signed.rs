//! Addresses of files that work until a time. The time is sealed, together with the brand and the id, with a key
//! of the host, so addresses go on to work while the application key is replaced.

use sluice_kit::hex::hex;
use sluice_kit::keys::{KeyError, Keys};

use crate::id::FileId;

/// What these seals are for.
const INFO: &str = "files";
/// The longest time for which an address works.
pub const TTL_SECONDS_MAX: u64 = 7 * 24 * 60 * 60;
/// Where files are at each of a brand's hosts.
pub const PATH: &str = "/_files/";

/// The path of a file that works until `until`, in seconds since 1970.
///
/// # Errors
/// There are no random numbers.
pub fn signed_path(keys: &Keys, brand: &str, id: &FileId, until: u64) -> Result<String, KeyError> {
    let sealed = keys.seal(INFO, brand.as_bytes(), id.as_str().as_bytes(), &until.to_be_bytes())?;
    Ok(format!("{PATH}{id}?key={}", hex(&sealed)))
}

/// For how many seconds more `key` opens a file at the time `now`, in seconds since 1970. `None` if it does not.
pub fn opens_for(keys: &Keys, brand: &str, id: &FileId, key: &str, now: u64) -> Option<u64> {
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let sealed = key.as_bytes().chunks(2).map(pair).collect::<Option<Vec<u8>>>()?;
    let opened = keys.open(INFO, brand.as_bytes(), id.as_str().as_bytes(), &sealed)?;
    let until = u64::from_be_bytes(opened.try_into().ok()?);
    until.checked_sub(now).filter(|left| *left > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::of_ending;

    #[test]
    fn address_works_for_one_file_of_one_brand_until_its_time() {
        let keys = Keys::load(Some(&"a".repeat(32)), None, None).unwrap();
        let id = FileId::new("a", false, of_ending("png")).unwrap().unwrap();
        let other = FileId::new("a", false, of_ending("png")).unwrap().unwrap();
        let path = signed_path(&keys, "shop", &id, 1_000).unwrap();
        let key = path.split_once("?key=").unwrap().1;
        assert!(path.starts_with(&format!("{PATH}{id}?")));
        let opens = |brand: &str, id: &FileId, key: &str, now| opens_for(&keys, brand, id, key, now);
        assert_eq!(opens("shop", &id, key, 0), Some(1_000));
        assert_eq!(opens("shop", &id, key, 999), Some(1));
        assert_eq!(opens("shop", &id, key, 1_000), None);
        assert_eq!((opens("other", &id, key, 0), opens("shop", &other, key, 0)), (None, None));
        for wrong in ["", "0", "zz", &key[2..], &key.replace(|c| c != '1', "1"), &format!("{key}00")] {
            assert_eq!(opens("shop", &id, wrong, 0), None, "{wrong}");
        }
    }
}
