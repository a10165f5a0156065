use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

/// A folder with a file, and beside it a folder with a secret.
fn folders() -> (tempfile::TempDir, Folder) {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(root.path().join("site/sub")).unwrap();
    fs::create_dir_all(root.path().join("beside/sub")).unwrap();
    fs::write(root.path().join("site/sub/file"), "own").unwrap();
    fs::write(root.path().join("beside/sub/file"), "secret").unwrap();
    let folder = Folder::open(&root.path().join("site")).unwrap();
    (root, folder)
}

fn fifo(folder: &Folder, name: &str) {
    rustix::fs::mknodat(&folder.handle, name, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
}

#[test]
fn opens_regular_files_only_and_never_waits() {
    let (root, folder) = folders();
    let (site, beside) = (root.path().join("site"), root.path().join("beside"));
    fifo(&folder, "pipe");
    let _socket = std::os::unix::net::UnixListener::bind(site.join("socket")).unwrap();
    for (name, target) in [
        ("to-file", beside.join("sub/file")),
        ("to-own", "sub/file".into()),
        ("to-folder", beside.clone()),
        ("dangling", "nowhere".into()),
        ("circle", "circle".into()),
        ("zero", "/dev/zero".into()),
        ("to-pipe", "pipe".into()),
        ("of-process", "/proc/self/root".into()),
    ] {
        symlink(target, site.join(name)).unwrap();
    }
    assert_eq!(folder.read("sub/file", 3).unwrap(), b"own");
    assert!(matches!(folder.read("sub/file", 2), Err(OpenError::TooLarge(2))));
    assert!(folder.file("missing").unwrap_err().is_missing());
    for name in ["pipe", "socket", "sub"] {
        assert!(matches!(folder.file(name), Err(OpenError::NotAFile)), "{name}");
    }
    let links = ["to-file", "to-own", "to-folder", "dangling", "circle", "zero", "to-pipe"];
    for name in links.into_iter().chain(["to-folder/sub/file", "of-process/etc/hostname"]) {
        assert!(matches!(folder.file(name), Err(OpenError::Link)), "{name}");
        assert!(matches!(folder.folder(name), Err(OpenError::Link)), "{name}");
        for flags in [OFlags::RDONLY | OFlags::NONBLOCK, beneath::FOLDER] {
            let opened = beneath::step_by_step(folder.handle.as_fd(), Path::new(name), flags, Mode::empty());
            assert_eq!(opened.unwrap_err(), Errno::LOOP, "{name}");
        }
    }
    for name in ["../beside/sub/file", "sub/../../beside/sub/file", "/etc/hostname", "", "."] {
        assert!(matches!(folder.file(name), Err(OpenError::Outside)), "{name}");
    }
    let opened =
        beneath::step_by_step(folder.handle.as_fd(), Path::new("sub/file"), OFlags::RDONLY, Mode::empty());
    assert!(opened.is_ok());
}

#[test]
fn follows_links_only_on_the_way_to_the_root() {
    let (root, _) = folders();
    symlink(root.path().join("site"), root.path().join("link")).unwrap();
    let path = FolderPath::root(&root.path().join("link"));
    assert_eq!(path.below("sub").open().unwrap().read("file", 9).unwrap(), b"own");
    assert!(path.below("sub").file("file").is_ok());
    symlink(root.path().join("beside"), root.path().join("site/out")).unwrap();
    assert!(matches!(path.below("out/sub").open(), Err(OpenError::Link)));
    assert!(matches!(path.below("out").file("sub/file"), Err(OpenError::Link)));
}

#[test]
fn reads_a_large_sparse_file_only_up_to_the_bound() {
    let (root, folder) = folders();
    File::create(root.path().join("site/sparse")).unwrap().set_len(1 << 40).unwrap();
    assert!(matches!(folder.read("sparse", 1 << 20), Err(OpenError::TooLarge(_))));
}

#[test]
fn replacing_a_folder_by_a_link_during_the_way_shows_nothing_else() {
    let (root, folder) = folders();
    let (site, beside) = (root.path().join("site"), root.path().join("beside"));
    symlink(beside.join("sub"), site.join("link")).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                rustix::fs::renameat_with(
                    CWD,
                    site.join("sub"),
                    CWD,
                    site.join("link"),
                    rustix::fs::RenameFlags::EXCHANGE,
                )
                .unwrap();
            }
        });
        for _ in 0..20_000 {
            let opened = [
                beneath::open(folder.handle.as_fd(), Path::new("sub/file"), OFlags::RDONLY, Mode::empty()),
                beneath::step_by_step(
                    folder.handle.as_fd(),
                    Path::new("sub/file"),
                    OFlags::RDONLY,
                    Mode::empty(),
                ),
            ];
            for opened in opened.into_iter().flatten() {
                let mut text = String::new();
                File::from(opened).read_to_string(&mut text).unwrap();
                assert_eq!(text, "own");
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn lists_names_with_their_kinds() {
    let (root, folder) = folders();
    symlink("sub", root.path().join("site/link")).unwrap();
    fifo(&folder, "pipe");
    fs::write(root.path().join("site/a"), "").unwrap();
    let found: Vec<_> = folder
        .entries()
        .unwrap()
        .into_iter()
        .map(|entry| (entry.name.into_string().unwrap(), entry.kind))
        .collect();
    let expected = [("a", Kind::File), ("link", Kind::Link), ("pipe", Kind::Other), ("sub", Kind::Folder)];
    assert_eq!(found, expected.map(|(name, kind)| (name.to_owned(), kind)));
    for (name, kind) in expected {
        assert_eq!(folder.kind(name).unwrap(), kind);
    }
}

#[test]
fn writing_replaces_links_and_second_names_instead_of_their_targets() {
    let (root, folder) = folders();
    let (site, secret) = (root.path().join("site"), root.path().join("beside/sub/file"));
    symlink(&secret, site.join("link")).unwrap();
    symlink(root.path().join("beside/new"), site.join("dangling")).unwrap();
    fs::hard_link(&secret, site.join("hard")).unwrap();
    for name in ["link", "dangling", "hard", "sub/file", "new"] {
        folder.write(name, b"written").unwrap();
        assert_eq!(folder.read(name, 9).unwrap(), b"written", "{name}");
    }
    symlink(root.path().join("beside"), site.join("to-folder")).unwrap();
    assert!(matches!(folder.write("to-folder/sub/file", b"x"), Err(OpenError::Link)));
    assert!(matches!(folder.make("to-folder/made"), Err(OpenError::Link)));
    assert!(matches!(folder.remove("to-folder/sub/file"), Err(OpenError::Link)));
    assert!(folder.write("sub", b"x").is_err() && folder.write("../out", b"x").is_err());
    assert_eq!(fs::read_to_string(&secret).unwrap(), "secret");
    assert!(!folder.write_new("new", b"x").unwrap() && folder.write_new("newer", b"x").unwrap());
    symlink("nowhere", site.join("taken")).unwrap();
    assert!(!folder.write_new("taken", b"x").unwrap());
    assert_eq!(fs::read_dir(root.path().join("beside")).unwrap().count(), 1);
    let drafts =
        folder.entries().unwrap().into_iter().filter(|entry| entry.name.to_string_lossy().starts_with('.'));
    assert_eq!(drafts.count(), 0, "no draft is left");
}

#[test]
fn replaces_a_file_only_if_it_has_the_content_that_was_seen() {
    let (root, folder) = folders();
    let file = root.path().join("site/a.toml");
    assert!(matches!(folder.replace("a.toml", Some(b"a"), b"new"), Err(ReplaceError::Changed)));
    folder.replace("a.toml", None, b"one").unwrap();
    assert!(matches!(folder.replace("a.toml", None, b"new"), Err(ReplaceError::Changed)));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    for other in ["two", "onE", "one ", "on", ""] {
        fs::write(&file, other).unwrap();
        assert!(matches!(folder.replace("a.toml", Some(b"one"), b"new"), Err(ReplaceError::Changed)));
        assert_eq!(fs::read_to_string(&file).unwrap(), other);
    }
    folder.replace("a.toml", Some(b""), b"new").unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), "new");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
    fs::remove_file(&file).unwrap();
    symlink(root.path().join("beside/sub/file"), &file).unwrap();
    assert!(matches!(
        folder.replace("a.toml", Some(b"secret"), b"x"),
        Err(ReplaceError::Failed(OpenError::Link))
    ));
    assert_eq!(fs::read_dir(root.path().join("site")).unwrap().count(), 2, "no draft is left");
}

#[test]
fn a_change_at_the_last_moment_is_not_lost() {
    let (root, folder) = folders();
    let file = root.path().join("site/a.toml");
    fs::write(&file, "author 0").unwrap();
    std::thread::scope(|scope| {
        let author = scope.spawn(|| {
            for version in 1..2_000 {
                let draft = root.path().join("draft");
                fs::write(&draft, format!("author {version}")).unwrap();
                fs::rename(&draft, &file).unwrap();
            }
        });
        while !author.is_finished() {
            let Ok(seen) = folder.read("a.toml", 99) else { continue };
            // The console's edit always keeps what the author wrote.
            let text = String::from_utf8(seen.clone()).unwrap();
            let edited = format!("{} edited", text.trim_end_matches(" edited"));
            match folder.replace("a.toml", Some(&seen), edited.as_bytes()) {
                Ok(()) | Err(ReplaceError::Changed) => {}
                Err(error) => panic!("{error}"),
            }
        }
    });
    let last = fs::read_to_string(&file).unwrap();
    assert_eq!(last.trim_end_matches(" edited"), "author 1999");
}

#[test]
fn removes_only_files_of_its_own() {
    let (root, folder) = folders();
    let site = root.path().join("site");
    symlink(root.path().join("beside"), site.join("sub/link")).unwrap();
    fs::create_dir_all(site.join("made/deep")).unwrap();
    fs::write(site.join("made/deep/ours"), "x").unwrap();
    fs::write(root.path().join("beside/sub/ours"), "x").unwrap();
    folder.remove_ours(8, &|_, name| name == Path::new("ours")).unwrap();
    assert!(!site.join("made").exists() && site.join("sub/file").exists());
    assert!(root.path().join("beside/sub/ours").exists());
}
