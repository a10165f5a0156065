//! Cargo compiles a package again for each set of its features, with all that uses it. So what developers and CI build
//! one after the other must agree on the features.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// The program, as `make run` and `make dist` build it.
const PROGRAM: &[&str] = &["--package=sluice", "--edges=normal,build"];
const TESTS: &[&str] = &["--workspace", "--exclude=sluice-benches", "--edges=normal,build,dev"];
const LINTS: &[&str] = &["--workspace", "--edges=normal,build,dev"];
const DOCUMENTATION: &[&str] = &["--workspace", "--exclude=sluice-benches", "--edges=normal,build"];
/// Without `sluice` beside them, they would miss features that only the program enables.
const BENCHES: &[&str] = &["--package=sluice", "--package=sluice-benches", "--edges=normal,build,dev"];

/// The features of each package and version. A package that is also built for a build script can have two sets.
type Features = BTreeMap<String, BTreeSet<String>>;

/// What cargo enables if it builds what `arguments` select.
fn features(arguments: &[&str]) -> Features {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--prefix=none", "--format={p};{f}"])
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut features = Features::new();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let line = line.trim_end_matches(" (*)");
        let Some((package, enabled)) = line.split_once(';') else { continue };
        features.entry(package.to_owned()).or_default().insert(enabled.to_owned());
    }
    features
}

fn check(command: &str, arguments: &[&str]) {
    let others = features(arguments);
    for (package, program) in features(PROGRAM) {
        let Some(other) = others.get(&package) else { continue };
        assert_eq!(
            *other,
            program,
            "{command} compiles {package} with the features on the left, and the program with those on the right: \
             `cargo tree --workspace --edges features --invert {}` says what enables them",
            package.replacen(" v", "@", 1)
        );
    }
}

#[test]
fn tests_compile_nothing_of_the_program_again() {
    check("make test", TESTS);
}

#[test]
fn lints_and_documentation_run_the_same_build_scripts() {
    check("cargo clippy", LINTS);
    check("cargo doc", DOCUMENTATION);
}

#[test]
fn benches_compile_nothing_of_the_program_again() {
    check("make bench", BENCHES);
}
