//! Tests that are folders: one test for each folder of `tests/cases` and `tests/mistakes`.
//!
//! [`folder_tests`] makes a test function for each name in its list. The name of a folder is
//! the name of its test with `-` in place of `_`. A further test compares the list with the
//! folders, so none can be forgotten. A build script could read the folders instead, but then
//! cargo would rebuild the server whenever a file in one of them changes. `libtest-mimic` would
//! need a test binary of its own, which would link the whole program once more.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Makes a module `folder` with a test for each folder of `tests/<parent>`:
///
/// ```ignore
/// folder_tests!("cases", holds: body console crm_fields);
/// ```
///
/// The test `folder::crm_fields` calls `holds` with the path of `tests/cases/crm-fields`.
macro_rules! folder_tests {
    ($parent:literal, $holds:ident: $($name:ident)*) => {
        mod folder {
            use crate::harness::folders;

            $(
                #[test]
                fn $name() {
                    super::$holds(&folders::folder($parent, stringify!($name)));
                }
            )*

            #[test]
            fn every_folder_has_a_test() {
                folders::assert_complete($parent, &[$(stringify!($name)),*]);
            }
        }
    };
}
pub(crate) use folder_tests;

/// `tests/<parent>`.
pub(crate) fn parent(parent: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests").join(parent)
}

/// The folder of a test.
pub(crate) fn folder(parent: &str, test: &str) -> PathBuf {
    self::parent(parent).join(test.replace('_', "-"))
}

/// The name of a folder.
pub(crate) fn name(folder: &Path) -> String {
    folder.file_name().unwrap().to_str().unwrap().to_owned()
}

/// Compares the tests of a list with the folders of `tests/<parent>`.
pub(crate) fn assert_complete(parent: &str, tests: &[&str]) {
    let tests: BTreeSet<String> = tests.iter().map(|test| test.replace('_', "-")).collect();
    let entries = fs::read_dir(self::parent(parent)).unwrap();
    let folders: BTreeSet<String> = entries.map(|entry| name(&entry.unwrap().path())).collect();
    let untested: Vec<String> = folders.difference(&tests).map(|name| name.replace('-', "_")).collect();
    assert!(untested.is_empty(), "add to the list in tests/{parent}.rs: {}", untested.join(" "));
    let missing: Vec<&String> = tests.difference(&folders).collect();
    assert!(missing.is_empty(), "tests/{parent} lacks the folders {missing:?}");
}

/// Copies everything in a folder.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
