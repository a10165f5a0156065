use std::fs;

use super::*;

fn list(dir: &Path) -> (PublicFiles, Vec<PublicError>) {
    PublicFiles::load(&FolderPath::root(dir), &[])
}

#[test]
fn content_type_follows_the_extension() {
    for (name, expected) in [
        ("a.html", "text/html; charset=utf-8"),
        ("a.css", "text/css; charset=utf-8"),
        ("a.js", "text/javascript; charset=utf-8"),
        ("a.mjs", "text/javascript; charset=utf-8"),
        ("a.json", "application/json; charset=utf-8"),
        ("a.svg", "image/svg+xml"),
        ("a.PNG", "image/png"),
        ("a.woff2", "font/woff2"),
        ("a.wasm", "application/wasm"),
        ("a", "application/octet-stream"),
    ] {
        assert_eq!(content_type(name), expected, "{name}");
    }
}

fn load<B: AsRef<[u8]>>(files: &[(&str, B)]) -> (tempfile::TempDir, PublicFiles, Vec<String>) {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = dir.path().join("public").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let (files, problems) = list(dir.path());
    (dir, files, problems.iter().map(ToString::to_string).collect())
}

fn find(files: &PublicFiles, path: &str) -> Option<Arc<PublicFile>> {
    files.find(&CanonicalPath::of_file(path)?).cloned()
}

#[test]
fn does_not_list_hidden_files() {
    let (_dir, files, problems) =
        load(&[("a.css", ""), (".env", "x"), (".git/config", "x"), (".well-known/security.txt", "x")]);
    assert_eq!(problems, Vec::<String>::new());
    assert!(find(&files, "/a.css").is_some() && find(&files, "/.well-known/security.txt").is_some());
    assert!(find(&files, "/.env").is_none() && find(&files, "/.git/config").is_none());
}

#[test]
fn rejects_file_with_a_backend_script_until_it_is_corrected() {
    let leak = "<p>\n<SCRIPT\nScope='backend'>let secret</script>";
    let (dir, files, problems) = load(&[("a.html", leak), ("b.txt", leak), ("c.html", "<p>scope</p>")]);
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems.iter().any(|problem| problem.starts_with("public/a.html:2:1: a backend script")));
    let a = find(&files, "/a.html").unwrap();
    assert!(a.open().is_err() && find(&files, "/b.txt").unwrap().open().is_err());
    assert!(find(&files, "/c.html").unwrap().open().is_ok());
    fs::write(dir.path().join("public/a.html"), "fine").unwrap();
    assert_eq!(a.open().unwrap().version.bytes, 4);
    fs::write(dir.path().join("public/a.html"), leak).unwrap();
    assert!(a.open().is_err());
}

#[test]
fn rejects_named_pipe_without_opening_it() {
    let (dir, _, _) = load(&[("a.txt", "a")]);
    let pipe = dir.path().join("public/pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let (files, problems) = list(dir.path());
    let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(problems, ["public/pipe: it is not a regular file"]);
    assert!(find(&files, "/pipe").is_none() && find(&files, "/a.txt").is_some());
}

#[test]
fn rejects_public_folder_that_is_a_link() {
    let (elsewhere, _, _) = load(&[("a.txt", "a")]);
    let dir = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(elsewhere.path().join("public"), dir.path().join("public")).unwrap();
    let (files, problems) = list(dir.path());
    assert!(problems[0].to_string().contains("symbolic link"), "{problems:?}");
    assert!(find(&files, "/a.txt").is_none());
}

#[test]
fn finds_backend_script_in_every_encoding_that_browsers_read() {
    let leak = "<p>ü😀\n<script scope='back&#101;nd'>let secret</script>";
    let utf16 =
        |text: &str, bytes: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(bytes).collect::<Vec<u8>>();
    let marked = format!("\u{feff}{leak}");
    let files = [
        leak.as_bytes().to_vec(),
        marked.as_bytes().to_vec(),
        utf16(&marked, u16::to_le_bytes),
        utf16(&marked, u16::to_be_bytes),
        utf16(leak, u16::to_le_bytes),
        utf16(leak, u16::to_be_bytes),
        // Half a character at the end.
        [utf16(&marked, u16::to_le_bytes), vec![0xd8]].concat(),
        [b"\xff<p>\n".to_vec(), leak.as_bytes()[10..].to_vec()].concat(),
    ];
    for file in files {
        let (_dir, files, problems) = load(&[("a.html", &file)]);
        assert_eq!(problems.len(), 1, "{file:?}");
        assert!(problems[0].starts_with("public/a.html:2:1: a backend script"), "{problems:?}");
        assert!(find(&files, "/a.html").unwrap().open().is_err());
    }
    let fine = utf16("\u{feff}<p>scope backend <script>", u16::to_be_bytes);
    assert_eq!(load(&[("a.html", fine)]).2, Vec::<String>::new());
}

#[test]
fn rejects_links_that_appear_later() {
    let (dir, files, _) = load(&[("a.txt", "a"), ("d/b.txt", "b")]);
    let outside = dir.path().join("secret.txt");
    fs::write(&outside, "secret").unwrap();
    let public = dir.path().join("public");
    std::os::unix::fs::symlink(&outside, public.join("link.txt")).unwrap();
    std::os::unix::fs::symlink(dir.path(), public.join("folder")).unwrap();
    let (fresh, problems) = list(dir.path());
    assert_eq!(problems.len(), 2);
    assert!(find(&fresh, "/link.txt").is_none() && find(&fresh, "/folder/secret.txt").is_none());
    // A file, and the folder of another, become links after they were listed.
    fs::remove_file(public.join("a.txt")).unwrap();
    std::os::unix::fs::symlink(&outside, public.join("a.txt")).unwrap();
    assert!(find(&files, "/a.txt").unwrap().open().is_err());
    fs::create_dir(dir.path().join("elsewhere")).unwrap();
    fs::write(dir.path().join("elsewhere/b.txt"), "secret").unwrap();
    fs::remove_dir_all(public.join("d")).unwrap();
    std::os::unix::fs::symlink(dir.path().join("elsewhere"), public.join("d")).unwrap();
    assert!(find(&files, "/d/b.txt").unwrap().open().is_err());
}
