use std::sync::{Arc, Barrier};

use super::*;

const RAW: &str = "0123456789abcdef0123456789abcdef";
const OTHER: &str = "base64:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

fn keys(current: &str, previous: &str) -> Keys {
    Keys::load(Some(current), Some(previous), None).unwrap()
}

#[test]
fn box_opens_only_with_the_same_info_salt_and_aad() {
    let keys = keys(RAW, "");
    let sealed = keys.seal("a", b"salt", b"aad", b"hello").unwrap();
    assert_eq!(sealed.len(), 12 + 5 + 16);
    let open = |info, salt: &[u8], aad: &[u8]| keys.open(info, salt, aad, &sealed);
    assert_eq!(open("a", b"salt", b"aad").as_deref(), Some(&b"hello"[..]));
    assert_eq!(open("b", b"salt", b"aad"), None);
    assert_eq!(open("a", b"tlas", b"aad"), None);
    assert_eq!(open("a", b"salt", b""), None);
    for at in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[at] ^= 1;
        assert_eq!(keys.open("a", b"salt", b"aad", &changed), None);
        assert_eq!(keys.open("a", b"salt", b"aad", &sealed[..at]), None);
    }
}

#[test]
fn sealing_a_text_twice_gives_different_boxes() {
    let keys = keys(RAW, "");
    let seal = || keys.seal("a", b"", b"", b"same").unwrap();
    assert_ne!(seal(), seal());
}

/// Node's `hkdfSync` and `createCipheriv` made this box. Other programs that know the
/// application key can make and read handoff tokens, so the format is an interface.
#[test]
fn opens_a_box_that_node_made() {
    let sealed = [
        0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 0x23, 0xb5, 0xee, 0x98, 0x9c, 0x88, 0x2f, 0x39, 0x22, 0xd5,
        0xc1, 0x99, 0x96, 0x68, 0x5b, 0xf6, 0xc0, 0x05, 0xbd, 0x32, 0xcc, 0x92, 0x8a,
    ];
    let plain = keys(OTHER, "").open(HANDOFF_TOKEN, b"acme", b"", &sealed);
    assert_eq!(plain.as_deref(), Some(&br#"{"a":1}"#[..]));
}

#[test]
fn previous_keys_open_but_never_seal() {
    let old = keys(OTHER, "");
    let rotated = keys(RAW, &format!(" , {OTHER},"));
    let sealed = old.seal("a", b"", b"", b"x").unwrap();
    assert!(rotated.open("a", b"", b"", &sealed).is_some());
    let sealed = rotated.seal("a", b"", b"", b"x").unwrap();
    assert!(old.open("a", b"", b"", &sealed).is_none());
}

#[test]
fn accepts_keys_as_raw_text_or_base64() {
    let same = [
        OTHER,
        OTHER.strip_prefix("base64:").unwrap(),
        OTHER.trim_end_matches('='),
        " base64:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n",
    ];
    let expected: Vec<u8> = (0..32).collect();
    for text in same {
        assert_eq!(parse(text, "k").unwrap()[..], expected[..]);
    }
    assert_eq!(parse(RAW, "k").unwrap()[..], *RAW.as_bytes());
}

#[test]
fn rejects_keys_of_another_length_without_showing_them() {
    for text in ["", "base64:", "base64:c2VjcmV0", "secret", "base64:!!"] {
        let error = Keys::load(Some(text), None, None).unwrap_err().to_string();
        assert!(error.starts_with("APP_KEY must be 32 bytes"), "{error}");
        assert!(!error.contains("c2Vj") && !error.contains("secret"));
    }
    let error = Keys::load(Some(RAW), Some(&format!("{OTHER},short")), None).unwrap_err();
    assert!(error.to_string().starts_with("key 2 of APP_KEYS_PREVIOUS must"));
    assert!(matches!(Keys::load(None, None, None), Err(KeyError::Missing)));
    assert_eq!(format!("{:?}", keys(RAW, OTHER)), "Keys(1 current, 1 previous)");
}

#[test]
fn processes_that_start_at_once_agree_on_one_key_file() {
    let root = tempfile::tempdir().unwrap();
    let (site, dir) = (root.path().join("site"), root.path().join("data"));
    let dir = OperatorDir::outside(&site, &dir).unwrap();
    let gate = Arc::new(Barrier::new(8));
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let (dir, gate) = (dir.clone(), gate.clone());
            std::thread::spawn(move || {
                gate.wait();
                Keys::load(None, None, Some(&dir)).unwrap().current
            })
        })
        .collect();
    let made: Vec<_> = threads.into_iter().map(|t| t.join().unwrap()).collect();
    assert!(made.iter().all(|key| *key == made[0]));
    assert_eq!(Keys::load(None, None, Some(&dir)).unwrap().current, made[0], "stable across starts");
    let names: Vec<_> =
        std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["app.key"]);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let meta = std::fs::metadata(dir.path().join("app.key")).unwrap();
        assert_eq!(meta.permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn names_a_broken_key_file_and_keeps_it() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("app.key"), "base64:broken").unwrap();
    let at = OperatorDir::outside(&dir.path().join("site"), dir.path()).unwrap();
    let error = Keys::load(None, None, Some(&at)).unwrap_err();
    assert!(error.to_string().contains("app.key must be 32 bytes"));
    let left = std::fs::read_to_string(dir.path().join("app.key")).unwrap();
    assert_eq!(left, "base64:broken");
}
