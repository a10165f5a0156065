//! Completions, manual pages, and what commands print in addition to their results.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::harness::TestSite;

const COMMANDS: [&str; 12] = [
    "serve",
    "build",
    "new",
    "dev",
    "completions",
    "man",
    "crm",
    "jobs",
    "backup",
    "export",
    "limits",
    "logs",
];

fn sluice(args: &[&str]) -> Output {
    let done = Command::new(env!("CARGO_BIN_EXE_sluice")).args(args).output().unwrap();
    assert!(done.status.success(), "{args:?}: {}", String::from_utf8_lossy(&done.stderr));
    done
}

fn printed(args: &[&str]) -> String {
    String::from_utf8(sluice(args).stdout).unwrap()
}

fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

#[test]
fn shells_can_read_the_completions() {
    let folder = tempfile::tempdir().unwrap();
    for (shell, check) in [("bash", "-n"), ("zsh", "-n"), ("fish", "--no-execute")] {
        let script = printed(&["completions", shell]);
        for command in COMMANDS {
            assert!(script.contains(command), "{shell}: {command}");
        }
        let file = folder.path().join(shell);
        std::fs::write(&file, script).unwrap();
        // bash is always installed, the other shells may be.
        if shell == "bash" || is_installed(shell) {
            let read = Command::new(shell).arg(check).arg(&file).output().unwrap();
            assert!(read.status.success(), "{shell}: {}", String::from_utf8_lossy(&read.stderr));
        }
    }
    // Calls the completion function as bash does.
    let asked = format!(
        "source {}; COMP_WORDS=(sluice ne); COMP_CWORD=1; _sluice sluice ne sluice; echo \"${{COMPREPLY[@]}}\"",
        folder.path().join("bash").display()
    );
    let offered = Command::new("bash").args(["-c", &asked]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&offered.stdout).trim(), "new");
}

#[test]
fn every_command_has_a_manual_page() {
    let folder = tempfile::tempdir().unwrap();
    sluice(&["man", folder.path().to_str().unwrap()]);
    let own = std::fs::read_to_string(folder.path().join("sluice.1")).unwrap();
    assert_eq!(own, printed(&["man"]));
    for command in COMMANDS {
        let page = std::fs::read_to_string(folder.path().join(format!("sluice-{command}.1"))).unwrap();
        assert!(page.contains(".TH") && page.contains(".SH SYNOPSIS"), "{command}: {page}");
    }
    if is_installed("man") && is_installed("groff") {
        let page = folder.path().join("sluice-dev.1");
        let shown = Command::new("man").arg("-l").arg(&page).env("MANPAGER", "cat").output().unwrap();
        assert!(shown.status.success(), "{}", String::from_utf8_lossy(&shown.stderr));
        assert!(String::from_utf8_lossy(&shown.stdout).contains("SYNOPSIS"));
    }
}

fn build(site: &Path, arguments: &[&str]) -> Output {
    let out = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_sluice"));
    command.arg("build").arg(site).arg("--out").arg(out.path()).args(arguments).output().unwrap()
}

#[test]
fn quiet_prints_only_results_and_mistakes() {
    let site = TestSite::with(&[
        ("pages/fine.html", "<script scope=\"backend\">setVariable('a', 1)</script>"),
        ("pages/plain.html", "plain"),
    ]);
    let loud = build(site.path(), &[]);
    assert!(String::from_utf8_lossy(&loud.stdout).contains("pages/fine.html"));
    let quiet = build(site.path(), &["--quiet"]);
    assert!(quiet.status.success());
    assert_eq!(
        (String::from_utf8_lossy(&quiet.stdout), String::from_utf8_lossy(&quiet.stderr)),
        ("".into(), "".into())
    );
    site.write("brands/demo/pages/bad.html", "<script scope=\"backend\">let let</script>");
    let quiet = build(site.path(), &["-q"]);
    assert_eq!(quiet.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&quiet.stderr).contains("pages/bad.html:1:"));
}

/// Runs `sluice build` in a terminal, with the program `script`, and returns its output.
fn in_a_terminal(site: &Path, environment: &[(&str, &str)]) -> String {
    let out = tempfile::tempdir().unwrap();
    let line = format!(
        "'{}' build '{}' --out '{}'",
        env!("CARGO_BIN_EXE_sluice"),
        site.display(),
        out.path().display()
    );
    let mut command = Command::new("script");
    command
        .args(["--quiet", "--return", "--command", &line, "/dev/null"])
        .env("TERM", "xterm")
        .env_remove("NO_COLOR");
    let done = command.envs(environment.iter().copied()).stdin(Stdio::null()).output().unwrap();
    String::from_utf8_lossy(&done.stdout).into_owned()
}

#[test]
fn progress_bar_disappears_in_a_terminal_and_is_missing_in_a_pipe() {
    let site = TestSite::with(&[("pages/a.html", "a")]);
    let seen = in_a_terminal(site.path(), &[]);
    let (before, page) = seen.split_once("pages/a.html").unwrap();
    assert!(page.contains("no backend script"), "{seen:?}");
    // Compiling the engine may take seconds. If it does not, there is no bar.
    assert!(before.is_empty() || before.ends_with("\r\u{1b}[K"), "{seen:?}");
    assert!(!in_a_terminal(site.path(), &[("NO_COLOR", "1")]).contains("\u{1b}[3"));
    let piped = build(site.path(), &[]);
    assert!(!String::from_utf8_lossy(&piped.stderr).contains('\u{1b}'));
}

#[test]
fn closed_pipe_ends_a_command_quietly() {
    let site = TestSite::with(&[]);
    for number in 0..2_000 {
        site.write(&format!("brands/demo/pages/p{number}.html"), "<p>{{ vra.name }}</p>");
    }
    let site = site.path().to_str().unwrap();
    let shell = format!("{} check {site} | head -n 1", env!("CARGO_BIN_EXE_sluice"));
    let done = Command::new("bash").args(["-c", &shell]).output().unwrap();
    let complaint = String::from_utf8(done.stderr).unwrap();
    assert!(!done.stdout.is_empty() && !complaint.contains("panicked"), "{complaint}");
}
