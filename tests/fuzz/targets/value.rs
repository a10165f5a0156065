//! Checks that MessagePack from a sandbox is either rejected or becomes a value within its room, which can be
//! written and read again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use sluice_kit::value::{Room, decode, encode, held};

fuzz_target!(|bytes: &[u8]| {
    for bytes_max in [64, 4 << 10, 1 << 20] {
        let room = Room::new(bytes_max);
        let Ok(value) = decode(bytes, &room) else { continue };
        assert!(room.taken() <= bytes_max, "{} of {bytes_max} bytes are taken", room.taken());
        // The place of the value itself is charged by whoever decodes it.
        let inside = held(&value) - held(&Value::Null);
        assert!(inside <= room.taken(), "{inside} bytes are held, {} were charged", room.taken());
        // Numbers become doubles when they are written, so the second form is the same.
        let written = encode(&value);
        let again = decode(&written, &Room::new(usize::MAX)).expect("what was read can be read again");
        assert_eq!(encode(&again), written);
    }
});
