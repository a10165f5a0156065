//! Bytecode that the engine wrote for programs of `benches/programs`, and for a page that uses a session: what
//! `sluice_sandbox::component::bytecode_of` returns for their components. Another opcode table needs new files.

use super::{bytecode_of, compiled};
use crate::{Stress, checksum, compile};

pub(super) const PAGES: [(&str, &[u8]); 13] = [
    ("callbacks", include_bytes!("../../tests/pages/callbacks.bytecode")),
    ("cpu", include_bytes!("../../tests/pages/cpu.bytecode")),
    ("fib", include_bytes!("../../tests/pages/fib.bytecode")),
    ("floats", include_bytes!("../../tests/pages/floats.bytecode")),
    ("join", include_bytes!("../../tests/pages/join.bytecode")),
    ("map", include_bytes!("../../tests/pages/map.bytecode")),
    ("methods", include_bytes!("../../tests/pages/methods.bytecode")),
    ("quicksort", include_bytes!("../../tests/pages/quicksort.bytecode")),
    ("regex", include_bytes!("../../tests/pages/regex.bytecode")),
    ("session", include_bytes!("../../tests/pages/session.bytecode")),
    ("sieve", include_bytes!("../../tests/pages/sieve.bytecode")),
    ("sort", include_bytes!("../../tests/pages/sort.bytecode")),
    ("text-page", include_bytes!("../../tests/pages/text-page.bytecode")),
];

#[test]
fn all_functions_of_pages_are_compiled_except_constructors() {
    for (name, blob) in PAGES {
        let compiled = compiled(blob, Stress::default()).unwrap();
        let left = if name == "methods" { 1 } else { 0 };
        assert_eq!(compiled.functions, compiled.of_functions - left, "{name}");
        assert!(compiled.bytecode_bytes > 0);
    }
}

#[test]
fn compiling_is_deterministic() {
    for (name, blob) in PAGES {
        let [first, second] = [0, 1].map(|_| compiled(blob, Stress::default()).unwrap().module);
        assert!(first == second, "{name}");
    }
}

#[test]
fn the_module_has_the_bytecode_with_numbers() {
    for (name, blob) in PAGES {
        let numbered = bytecode_of(&compiled(blob, Stress::default()).unwrap().module);
        assert_eq!(numbered.len(), blob.len(), "{name}");
        assert_ne!(numbered, blob, "{name}");
        let start = blob.len() - unit(blob).len();
        assert_eq!(numbered[..start], blob[..start], "{name}");
        let unit = unit(&numbered);
        assert_eq!(unit[1..5], checksum(&unit[5..]).to_le_bytes(), "{name}");
    }
}

/// The first unit, which is the only one.
pub(super) fn unit(blob: &[u8]) -> &[u8] {
    let mut rest = blob;
    for _ in 0..3 {
        let (length, after) = rest.split_at(4);
        let length = u32::from_le_bytes(length.try_into().unwrap()) as usize;
        rest = after;
        if rest.len() > length {
            rest = &rest[length..];
        }
    }
    rest
}

#[test]
fn compiling_numbered_bytecode_gives_the_same_module() {
    for (name, blob) in PAGES {
        let once = compiled(blob, Stress::default()).unwrap().module;
        let twice = compiled(&bytecode_of(&once), Stress::default()).unwrap().module;
        assert!(once == twice, "{name}");
    }
}

#[test]
fn stress_leaves_more_to_the_interpreter_and_chooses_by_its_seed() {
    for (name, blob) in PAGES {
        let whole = compiled(blob, Stress::default()).unwrap().module.len();
        let shorter = (0..20).filter(|seed| {
            let stressed = compiled(blob, Stress { one_of: 5, seed: *seed });
            stressed.is_some_and(|stressed| stressed.module.len() < whole)
        });
        assert!(shorter.count() > 5, "{name}");
        let all = compiled(blob, Stress { one_of: 1, seed: 0 });
        assert!(all.is_none_or(|all| all.module.len() < whole), "{name}");
    }
}

#[test]
fn the_table_has_room_for_the_functions() {
    let (_, blob) = PAGES[0];
    // The number 0 means that a function is not compiled.
    for table_base in [0, i32::MAX.cast_unsigned(), u32::MAX] {
        assert!(compile(blob, table_base, Stress::default()).is_none(), "{table_base}");
    }
}
