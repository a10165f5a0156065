//! Rules about the sources that no lint checks: which crate may depend on which, how long a
//! file may be, which files belong to a WIT interface, and that no two files import each
//! other.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use toml::Table;

/// A longer file probably has more than one subject.
const LINES_MAX: usize = 500;

/// Each library and the libraries that it may depend on, as in the map of ARCHITECTURE.md.
/// Every library may use `text`, `kit` and `http`.
const LAYERS: &[(&str, &[&str])] = &[
    ("text", &[]),
    ("aot", &[]),
    ("kit", &[]),
    ("http", &[]),
    ("fetch", &[]),
    ("tls", &[]),
    ("files", &["fetch"]),
    ("acme", &["fetch", "tls"]),
    ("limits", &[]),
    ("page-cache", &[]),
    ("telemetry", &[]),
    ("template", &[]),
    ("crm", &["limits"]),
    ("storage", &["limits"]),
    ("queue", &["storage", "limits"]),
    ("session", &["crm", "queue", "limits"]),
    ("store", &["acme", "crm", "session", "storage", "queue", "page-cache"]),
    (
        "sandbox",
        &["aot", "page-cache", "crm", "session", "storage", "queue", "limits", "telemetry", "fetch", "files"],
    ),
    ("runs", &["sandbox"]),
    ("page", &["page-cache", "sandbox", "template", "limits", "session", "files"]),
    ("site", &["page-cache", "page", "sandbox", "queue", "session", "limits", "template", "fetch", "files"]),
    (
        "check",
        &[
            "site",
            "page",
            "page-cache",
            "sandbox",
            "crm",
            "session",
            "storage",
            "queue",
            "template",
            "limits",
            "fetch",
        ],
    ),
    (
        "app",
        &[
            "page-cache",
            "site",
            "page",
            "runs",
            "sandbox",
            "store",
            "storage",
            "queue",
            "session",
            "crm",
            "telemetry",
            "limits",
            "fetch",
            "files",
        ],
    ),
    (
        "author",
        &[
            "page-cache",
            "app",
            "check",
            "site",
            "page",
            "runs",
            "sandbox",
            "store",
            "storage",
            "queue",
            "session",
            "crm",
            "telemetry",
            "limits",
            "fetch",
            "files",
        ],
    ),
    (
        "journey",
        &[
            "page-cache",
            "files",
            "app",
            "check",
            "site",
            "page",
            "sandbox",
            "session",
            "crm",
            "queue",
            "template",
            "telemetry",
        ],
    ),
    (
        "server",
        &[
            "files",
            "store",
            "page-cache",
            "author",
            "app",
            "site",
            "page",
            "runs",
            "sandbox",
            "storage",
            "queue",
            "session",
            "crm",
            "telemetry",
            "limits",
            "fetch",
            "tls",
            "acme",
        ],
    ),
];
const COMMON: [&str; 3] = ["text", "kit", "http"];

/// Packages that only these libraries may name.
const RESERVED: &[(&str, &[&str])] = &[
    ("actix-web", &["app", "server"]),
    ("actix-http", &["server"]),
    ("actix-server", &["server"]),
    ("actix-service", &["server"]),
    ("wasmtime", &["sandbox"]),
    ("wasmtime-wasi", &["sandbox"]),
    ("hyper", &["acme", "fetch"]),
    ("instant-acme", &["acme"]),
    ("rcgen", &["acme"]),
    ("tokio-rustls", &["acme", "fetch", "server"]),
    ("rustls-native-certs", &["fetch"]),
    ("url", &["acme", "fetch", "files", "site"]),
    ("rusty-s3", &["files"]),
    ("rusqlite", &["store", "runs"]),
    ("deadpool-sqlite", &["store"]),
    ("tokio-postgres", &["store"]),
    ("deadpool-postgres", &["store"]),
    ("handlebars", &["template", "server"]),
    ("lol_html", &["page"]),
    ("anyhow", &[]),
    // The program chooses the allocator.
    ("tikv-jemallocator", &[]),
    ("rustix", &["kit"]),
    ("jiff", &["queue"]),
];

/// The files that may open files by their paths. None of them opens a file of a site: those are opened
/// with `kit::folder`, which follows no links.
const OPEN_BY_PATH: &[(&str, &str)] = &[
    ("host/crates/app/src/app/emptied.rs", "whether the operator's database is empty"),
    ("host/crates/app/src/app/parts.rs", "creates an `OperatorDir`"),
    ("host/crates/app/src/response.rs", "sends a file that is open"),
    ("host/crates/author/src/dev/watch.rs", "the folder that the developer names"),
    ("host/crates/author/src/scratch.rs", "its own temporary folder"),
    ("host/crates/fetch/src/endpoint.rs", "sends a file that is open"),
    ("host/crates/files/src/folder.rs", "an `OperatorDir`"),
    ("host/crates/files/src/s3.rs", "passes open files on"),
    ("host/crates/files/src/store.rs", "passes open files on"),
    ("host/crates/server/src/admin/views/crm_csv.rs", "reads a file that an operator sends"),
    ("host/crates/server/src/bound.rs", "makes the Unix socket of the operator"),
    ("host/crates/files/src/upload.rs", "files without names in an `OperatorDir`"),
    ("host/crates/kit/src/folder.rs", "opens files of sites"),
    ("host/crates/kit/src/folder/write.rs", "writes files of sites"),
    ("host/crates/kit/src/keys/file.rs", "an `OperatorFile`"),
    ("host/crates/kit/src/operator_dir.rs", "keeps the operator's folders out of the site"),
    ("host/crates/page/src/store.rs", "/proc"),
    ("host/crates/runs/src/execution_log/database.rs", "an `OperatorFile`"),
    ("host/crates/sandbox/src/cache.rs", "creates an `OperatorDir`"),
    ("host/crates/sandbox/src/memory.rs", "/proc and /sys"),
    ("host/crates/sandbox/src/memory_reset.rs", "/proc"),
    ("host/crates/tls/src/folder.rs", "an `OperatorDir`"),
    ("host/crates/server/src/admin/logouts.rs", "a file in the data folder"),
    ("host/crates/server/src/admin/token.rs", "an `OperatorFile`"),
    ("host/crates/server/src/descriptors.rs", "/dev and /proc"),
    ("host/crates/site/src/places.rs", "whether the operator's files exist"),
    ("host/crates/site/src/public.rs", "searches a file that is open"),
    ("host/crates/store/src/sqlite/backup.rs", "the database and its copy"),
    ("host/crates/store/src/sqlite/connection.rs", "the database"),
    ("host/crates/telemetry/src/process.rs", "/proc"),
    ("host/src/cli/backup.rs", "a file that the operator names"),
    ("host/src/cli/change_log.rs", "the number of the user and the name of the machine in /proc"),
    ("host/src/cli/crm_entries.rs", "the file that the operator names"),
    ("host/src/cli/export.rs", "a file that the operator names"),
    ("host/src/cli/hook.rs", "a file that the operator names"),
    ("host/src/cli/import.rs", "a file that the operator names"),
    ("host/src/cli/limits.rs", "whether the execution log exists"),
    ("host/src/cli/logs.rs", "whether the execution log exists"),
    ("host/src/cli/man.rs", "a folder that the operator names"),
    ("host/src/cli/run/given.rs", "a file that the developer names"),
    ("host/src/cli/run/place.rs", "whether the developer named a file"),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// Every file below `folder` that ends with `suffix`, with its text.
fn files(folder: &Path, suffix: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, suffix));
        } else if path.to_str().unwrap().ends_with(suffix) {
            let text = fs::read_to_string(&path).unwrap();
            found.push((path, text));
        }
    }
    found
}

fn sources() -> Vec<(PathBuf, String)> {
    ["host/src", "host/crates", "tests", "benches"]
        .iter()
        .flat_map(|folder| files(&root().join(folder), ".rs"))
        .collect()
}

fn manifest(library: &str) -> Table {
    let path = root().join("host/crates").join(library).join("Cargo.toml");
    fs::read_to_string(path).unwrap().parse().unwrap()
}

fn dependencies(manifest: &Table) -> Vec<String> {
    let section = manifest.get("dependencies").and_then(|section| section.as_table());
    section.map(|section| section.keys().cloned().collect()).unwrap_or_default()
}

#[test]
fn libraries_depend_only_on_layers_below_them() {
    let mut seen = BTreeSet::new();
    for (library, below) in LAYERS {
        for name in dependencies(&manifest(library)) {
            let Some(used) = name.strip_prefix("sluice-") else { continue };
            let is_allowed = below.contains(&used) || COMMON.contains(&used);
            assert!(is_allowed, "sluice-{library} must not depend on sluice-{used}");
            // The list is in order of the layers, so allowed dependencies never form a circle.
            assert!(seen.contains(used), "LAYERS must list sluice-{used} before sluice-{library}");
        }
        seen.insert(*library);
    }
    for entry in fs::read_dir(root().join("host/crates")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let is_known = seen.contains(name.as_str()) || name == "test-support";
        assert!(is_known, "host/crates/{name} has no layer: add it to LAYERS and to ARCHITECTURE.md");
    }
}

#[test]
fn reserved_packages_are_used_only_by_their_libraries() {
    for (library, _) in LAYERS {
        for name in dependencies(&manifest(library)) {
            let Some((_, homes)) = RESERVED.iter().find(|(reserved, _)| *reserved == name) else { continue };
            assert!(homes.contains(library), "sluice-{library} must not depend on {name}");
        }
    }
}

#[test]
fn files_of_a_site_are_opened_only_below_a_handle() {
    // `.exists()` and the others follow links, too.
    const BY_PATH: [&str; 12] = [
        "std::fs",
        "tokio::fs",
        "File::open",
        "File::create",
        "OpenOptions",
        ".exists()",
        ".is_file()",
        ".is_dir()",
        ".is_symlink()",
        ".canonicalize()",
        ".read_dir()",
        ".read_link()",
    ];
    let mut found = BTreeSet::new();
    let hosts = ["host/src", "host/crates"].iter().flat_map(|folder| files(&root().join(folder), ".rs"));
    for (path, text) in hosts {
        let name = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
        let is_test = ["/tests/", "/tests.rs", "/contract/", "/contract.rs", "/test-support/", "/crm_calls"]
            .iter()
            .any(|part| name.contains(part));
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
        if !is_test && BY_PATH.iter().any(|call| code.contains(call)) {
            found.insert(name);
        }
    }
    let known: BTreeSet<String> = OPEN_BY_PATH.iter().map(|(name, _)| (*name).to_owned()).collect();
    let new: Vec<_> = found.difference(&known).collect();
    assert!(
        new.is_empty(),
        "open files of a site with kit::folder, or add the file to OPEN_BY_PATH: {new:?}"
    );
    let gone: Vec<_> = known.difference(&found).collect();
    assert!(gone.is_empty(), "remove from OPEN_BY_PATH: {gone:?}");
}

#[test]
fn no_source_file_has_more_than_500_lines() {
    let long = sources().into_iter().filter(|(_, text)| text.lines().count() > LINES_MAX);
    let long: Vec<String> = long.map(|(path, _)| path.display().to_string()).collect();
    assert!(long.is_empty(), "split by subject: {long:?}");
}

#[test]
fn no_module_has_a_path_attribute() {
    let attribute = ["#[", "path = "].concat();
    let taken = sources().into_iter().filter(|(_, text)| text.contains(&attribute));
    // The fuzz targets are programs of their own, which this file compiles as modules.
    let taken = taken.filter(|(path, _)| !path.ends_with("tests/fuzz_targets.rs"));
    let taken: Vec<String> = taken.map(|(path, _)| path.display().to_string()).collect();
    assert!(taken.is_empty(), "{taken:?}");
}

#[test]
fn every_wit_interface_has_a_file_with_its_name_in_host_and_guest() {
    // `types` has no functions, and pages export `script`.
    const NO_SIDES: [&str; 2] = ["types", "script"];
    let mut interfaces = 0;
    for (path, text) in files(&root().join("wit"), ".wit") {
        let name = path.file_stem().unwrap().to_str().unwrap();
        if NO_SIDES.contains(&name) || !text.contains(&format!("interface {name} ")) {
            continue;
        }
        interfaces += 1;
        for side in
            ["host/crates/sandbox/src/host_api/NAME.rs", "guest/src/globals/NAME.rs", "guest/src/js/NAME.js"]
        {
            let side = side.replace("NAME", name);
            assert!(root().join(&side).exists(), "wit/{name}.wit needs {side}");
        }
    }
    assert!(interfaces >= 8, "{interfaces}");
}

/// The files of a library by module path, without tests.
fn modules(library: &str) -> BTreeMap<Vec<String>, String> {
    let folder = root().join("host/crates").join(library).join("src");
    let mut modules = BTreeMap::new();
    for (path, text) in files(&folder, ".rs") {
        let relative = path.strip_prefix(&folder).unwrap().with_extension("");
        let mut module: Vec<String> = relative.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
        if module == ["lib"] {
            module.clear();
        }
        let is_test =
            module.iter().any(|part| part.ends_with("tests") || part == "contract" || part == "crm_calls");
        if !is_test {
            let text = text.split("#[cfg(test)]").next().unwrap_or_default().to_owned();
            modules.insert(module, text);
        }
    }
    modules
}

/// The modules that a module imports by `crate::` or `super::`.
fn imports(module: &[String], text: &str, modules: &BTreeMap<Vec<String>, String>) -> BTreeSet<Vec<String>> {
    let mut imported = BTreeSet::new();
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join(" ");
    for start in ["crate::", "super::"] {
        for (at, _) in code.match_indices(start) {
            let before = code.get(..at).unwrap_or_default();
            if before.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':') {
                continue;
            }
            let mut base: Vec<String> = if start == "crate::" { Vec::new() } else { module.to_vec() };
            let mut rest = code.get(at..).unwrap_or_default();
            while let Some(after) = rest.strip_prefix("super::") {
                base.pop();
                rest = after;
            }
            rest = rest.strip_prefix("crate::").unwrap_or(rest);
            let list = match rest.split_once('{') {
                Some((path, names)) if path.chars().all(|c| c.is_alphanumeric() || c == '_' || c == ':') => {
                    base.extend(path.split("::").filter(|part| !part.is_empty()).map(str::to_owned));
                    names.split('}').next().unwrap_or_default().to_owned()
                }
                _ => rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_' || *c == ':').collect(),
            };
            for name in list.split(',') {
                let mut path = base.clone();
                let parts = name.trim().split("::").filter(|part| !part.is_empty() && *part != "self");
                path.extend(parts.map(|part| part.split(' ').next().unwrap_or_default().to_owned()));
                while !modules.contains_key(&path) {
                    path.pop();
                }
                imported.insert(path);
            }
        }
    }
    imported
}

#[test]
fn no_two_files_of_a_library_import_each_other() {
    for (library, _) in LAYERS {
        let modules = modules(library);
        let is_kin = |one: &[String], other: &[String]| one.starts_with(other) || other.starts_with(one);
        let edges: BTreeMap<&Vec<String>, BTreeSet<Vec<String>>> = modules
            .iter()
            .map(|(module, text)| {
                let mut targets = imports(module, text, &modules);
                targets.retain(|target| !is_kin(module, target));
                (module, targets)
            })
            .collect();
        // A module that reaches itself is in a circle.
        for start in modules.keys() {
            let (mut reached, mut next) = (BTreeSet::new(), vec![start.clone()]);
            while let Some(module) = next.pop() {
                for target in edges.get(&module).into_iter().flatten() {
                    assert!(
                        target != start,
                        "sluice-{library}: {} and {} import each other, perhaps through others",
                        start.join("::"),
                        module.join("::")
                    );
                    if reached.insert(target.clone()) {
                        next.push(target.clone());
                    }
                }
            }
        }
    }
}

#[test]
fn security_promises_name_tests_that_exist() {
    let text = fs::read_to_string(root().join("SECURITY.md")).unwrap();
    let sources: String = sources().into_iter().map(|(_, text)| text).collect();
    let mut named = 0;
    let mut in_promises = false;
    for row in text.lines() {
        in_promises = row == "| promise | test |" || in_promises && row.starts_with('|');
        if !in_promises {
            continue;
        }
        let Some(tests) = row.trim_end_matches(" |").rsplit(" | ").next() else { continue };
        for name in tests.split('`').skip(1).step_by(2) {
            named += 1;
            let is_test = sources.contains(&format!("fn {name}("));
            let is_case = root().join("tests/cases").join(name).is_dir();
            let is_file = root().join(name).is_file() || root().join("host/crates").join(name).is_file();
            assert!(is_test || is_case || is_file, "SECURITY.md names {name}, which does not exist");
        }
    }
    assert!(named > 50, "{named}");
}

#[test]
fn architecture_names_files_that_exist() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let mut named = 0;
    let is_path = |name: &&str| {
        name.trim_end_matches('/').contains('/') && (name.ends_with(".rs") || name.ends_with('/'))
    };
    for name in text.split('`').skip(1).step_by(2).filter(is_path) {
        named += 1;
        let exists = root().join(name).exists() || root().join("host/crates").join(name).exists();
        assert!(exists, "ARCHITECTURE.md names {name}, which does not exist");
    }
    assert!(named > 30, "{named}");
}
