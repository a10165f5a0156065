//! The fuzz targets of `make fuzz`, with their seeds instead of random input. So a change that a target
//! does not compile with, or that brings back what a seed shows, is noticed without libFuzzer.

use std::fs;
use std::path::{Path, PathBuf};

#[path = "fuzz/targets/aot.rs"]
#[allow(unused_attributes, reason = "a program without a main function says so")]
mod aot;
#[path = "fuzz/targets/component.rs"]
#[allow(unused_attributes, reason = "a program without a main function says so")]
mod component;
#[path = "fuzz/targets/cookies.rs"]
#[allow(unused_attributes, reason = "a program without a main function says so")]
mod cookies;
#[path = "fuzz/targets/crm.rs"]
#[allow(unused_attributes, reason = "a program without a main function says so")]
mod crm;
#[path = "fuzz/targets/forwarded.rs"]
#[allow(unused_attributes, reason = "a program without a main function says so")]
mod forwarded;
#[path = "fuzz/targets/handoff.rs"]
#[allow(unused_attributes, reason = "a program without a main function says so")]
mod handoff;
#[path = "fuzz/targets/modules.rs"]
#[allow(unused_attributes, reason = "a program without a main function says so")]
mod modules;
#[path = "fuzz/targets/multipart.rs"]
#[allow(unused_attributes, reason = "a program without a main function says so")]
mod multipart;
#[path = "fuzz/targets/page.rs"]
#[allow(unused_attributes, reason = "a program without a main function says so")]
mod page;
#[path = "fuzz/targets/settings.rs"]
#[allow(unused_attributes, reason = "a program without a main function says so")]
mod settings;
#[path = "fuzz/targets/template.rs"]
#[allow(unused_attributes, reason = "a program without a main function says so")]
mod template;
#[path = "fuzz/targets/tiers/main.rs"]
#[allow(unused_attributes, reason = "a program without a main function says so")]
mod tiers;
#[path = "fuzz/targets/value.rs"]
#[allow(unused_attributes, reason = "a program without a main function says so")]
mod value;

#[test]
fn every_target_is_checked() {
    let this = include_str!("fuzz_targets.rs");
    for target in fs::read_dir(folder("targets")).unwrap() {
        let file = target.unwrap().file_name().into_string().unwrap();
        let paths = [format!("\"fuzz/targets/{file}\""), format!("\"fuzz/targets/{file}/main.rs\"")];
        assert!(paths.iter().any(|path| this.contains(path)), "{file} is missing here");
    }
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz").join(name)
}

fn for_each_seed(module: &str, check: impl Fn(&[u8])) {
    let target = module.rsplit("::").next().unwrap();
    let mut seeds = 0;
    for seed in fs::read_dir(folder("seeds").join(target)).unwrap() {
        let path = seed.unwrap().path();
        println!("{}", path.display());
        check(&fs::read(path).unwrap());
        seeds += 1;
    }
    assert!(seeds > 0, "{target} has no seeds");
}

/// Stands in for the macro of libFuzzer: a test checks every seed of the target. It is below the targets,
/// which import it by the name of libFuzzer's crate.
macro_rules! fuzz_target {
    (|$bytes:ident: &[u8]| $check:block) => {
        #[test]
        fn seeds_hold() {
            $crate::fuzz_targets::for_each_seed(module_path!(), |$bytes: &[u8]| $check);
        }
    };
    (|$text:ident: &str| $check:block) => {
        #[test]
        fn seeds_hold() {
            $crate::fuzz_targets::for_each_seed(module_path!(), |bytes: &[u8]| {
                // As libFuzzer does: up to the first byte that is not text.
                let valid = bytes.utf8_chunks().next().map_or("", |chunk| chunk.valid());
                (|$text: &str| $check)(valid);
            });
        }
    };
}
pub(crate) use fuzz_target;
