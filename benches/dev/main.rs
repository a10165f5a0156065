//! Measures the time from saving a file to the frame that shows the change: in Chromium, on a
//! site of 200 pages under `sluice dev`. The goal is 100 ms.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a bench ends at the first failure and prints"
)]

#[allow(dead_code, reason = "the tests use the rest")]
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::json;

use sluice_test_support::webdriver::Browser;

const PAGES: usize = 200;
const EDITS: usize = 20;
const GOAL_MS: f64 = 100.0;
/// The time between two edits. Nobody saves faster.
const PAUSE: Duration = Duration::from_millis(200);

/// The file that is edited.
#[derive(Clone, Copy)]
enum Edited {
    Page,
    /// The layout of all pages.
    Layout,
}

fn main() {
    let site = tempfile::tempdir().expect("a folder for the site");
    write_site(site.path());
    let data = tempfile::tempdir().expect("a folder for the data");
    let (server, address) = serve(site.path(), data.path());
    let browser = Browser::open();
    browser.go(&format!("{address}/page/7"));
    println!(
        "time from saving a file to the frame that shows the change; {PAGES} pages, {EDITS} edits each:"
    );
    for (what, edited) in [("a page", Edited::Page), ("the layout of all pages", Edited::Layout)] {
        let mut times: Vec<f64> =
            (0..EDITS).map(|edit| measure(site.path(), &browser, edited, edit)).collect();
        times.sort_by(f64::total_cmp);
        let goal = match edited {
            Edited::Page => format!(" (goal: {GOAL_MS:.0} ms)"),
            Edited::Layout => String::new(),
        };
        println!(
            "  {what:<24} median {:>6.1} ms, p95 {:>6.1} ms, slowest {:>6.1} ms{goal}",
            times[EDITS / 2],
            times[EDITS * 95 / 100 - 1],
            times[EDITS - 1]
        );
    }
    drop(server);
}

fn write_site(site: &Path) {
    let brand = site.join("brands/demo");
    for folder in ["pages/page", "layouts", "modules"] {
        fs::create_dir_all(brand.join(folder)).expect("the site can be written");
    }
    fs::write(brand.join("brand.toml"), "default = true\n").expect("the site can be written");
    fs::write(brand.join("modules/words.js"), "export const word = 'word';\n")
        .expect("the site can be written");
    edit(site, Edited::Layout, "");
    for n in 0..PAGES {
        fs::write(brand.join(format!("pages/page/{n}.html")), page(&n.to_string()))
            .expect("the site can be written");
    }
}

fn page(mark: &str) -> String {
    let text = "<p>Some text, so that it is a page.</p>\n".repeat(50);
    format!(
        "<script scope=\"backend\">\n  import {{ word }} from \"words\";\n  setVariable(\"words\", [word, {mark:?}]);\n</script>\n\
         @extends(\"main\")\n@block(\"content\")<h1 id=\"page\">{{{{ var.words[1] }}}}</h1>\n{text}@endblock\n"
    )
}

fn edit(site: &Path, edited: Edited, mark: &str) {
    // Stores the time of the frame that shows the page.
    let seen = "<script>requestAnimationFrame(() => { const { port1, port2 } = new MessageChannel(); \
                port1.onmessage = () => { window.shown = performance.timeOrigin + performance.now(); }; port2.postMessage(0); });</script>";
    let (file, text): (PathBuf, String) = match edited {
        Edited::Page => ("pages/page/7.html".into(), page(mark)),
        Edited::Layout => (
            "layouts/main.html".into(),
            format!(
                "<!doctype html><html lang=\"en\"><title>Bench</title><i id=\"layout\">{mark}</i>@yield(\"content\"){seen}"
            ),
        ),
    };
    fs::write(site.join("brands/demo").join(file), text).expect("the site can be written");
}

/// Returns the time in milliseconds.
fn measure(site: &Path, browser: &Browser, edited: Edited, number: usize) -> f64 {
    std::thread::sleep(PAUSE);
    let mark = format!("edit-{number}");
    let element = match edited {
        Edited::Page => "page",
        Edited::Layout => "layout",
    };
    let saved = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970");
    edit(site, edited, &mark);
    let shown = format!("document.getElementById('{element}')?.textContent === '{mark}' && window.shown > 0");
    browser.wait_for(&shown, &json!(true));
    browser.eval("window.shown").as_f64().expect("a time") - saved.as_secs_f64() * 1e3
}

/// Stopped when dropped.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        // Killing fails if the server has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn serve(site: &Path, data: &Path) -> (Server, String) {
    let binary = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/release/sluice");
    let mut process = Command::new(binary)
        .arg("dev")
        .arg(site)
        .args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--data"])
        .arg(data)
        .stdout(Stdio::piped())
        .spawn()
        .expect("target/release/sluice is built");
    let mut lines = BufReader::new(process.stdout.take().expect("it is piped")).lines().map_while(Result::ok);
    let address =
        lines.find_map(|line| Some(format!("http://{}", line.strip_prefix("sluice: serving on http://")?)));
    let address = address.expect("the server starts").replace("127.0.0.1", "localhost");
    // The server must not block on a full pipe.
    std::thread::spawn(move || lines.for_each(drop));
    (Server(process), address)
}
