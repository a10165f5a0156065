//! Follows `docs/tutorial.md`. The first line of a fenced block says what the block is:
//! `html FILE` is a file, `toml append FILE` is added to a file, `text shows PATH` is what the
//! page shows, `text sends PATH FIELDS` is what it shows after a form was sent, and
//! `text overlay PATH` is what is shown over the page.

use std::path::Path;

use serde_json::Value;

use crate::dev::{mistakes, text};
use crate::harness::{Answer, Request, Server, ServerOptions};

/// A fenced block: the words after the fence, and the text.
struct Block {
    words: Vec<String>,
    text: String,
}

fn blocks(markdown: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut lines = markdown.lines();
    while let Some(line) = lines.next() {
        let Some(info) = line.strip_prefix("```") else { continue };
        let words = info.split(' ').map(str::to_owned).collect();
        let inside = lines.by_ref().take_while(|line| *line != "```");
        let text = inside.map(|line| format!("{line}\n")).collect();
        blocks.push(Block { words, text });
    }
    blocks
}

/// A visitor with a session.
struct Visitor<'a> {
    server: &'a Server,
    cookie: Option<String>,
}

impl Visitor<'_> {
    fn send(&mut self, mut request: Request) -> Answer {
        if let Some(cookie) = &self.cookie {
            request = request.header("cookie", cookie);
        }
        let answer = request.send(self.server.address);
        self.cookie = answer.session_cookie().or(self.cookie.take());
        answer
    }

    fn post(&mut self, path: &str, fields: &str) -> Answer {
        let answer = self.send(
            Request::new("POST", path)
                .header("content-type", "application/x-www-form-urlencoded")
                .body(fields.replace('<', "%3C").replace('>', "%3E").as_bytes()),
        );
        match answer.header("location") {
            Some(location) => self.send(Request::get(&location)),
            None => answer,
        }
    }
}

/// The visible text of a page, approximately.
fn visible(answer: &Answer) -> String {
    let mut seen = String::new();
    let html = text(answer);
    let mut rest = html.as_str();
    while let Some((before, tag)) = rest.split_once('<') {
        seen.push_str(before);
        rest = tag.split_once('>').map_or("", |(_, after)| after);
    }
    seen.push_str(rest);
    seen.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&")
}

fn has_lines(seen: &str, expected: &str) -> bool {
    let mut lines = seen.lines().map(str::trim);
    // In this order, with any lines between them.
    expected.lines().all(|wanted| lines.any(|line| line == wanted.trim()))
}

/// The lines that the overlay shows.
fn overlay(answer: &Answer) -> String {
    let lines_of = |mistake: &Value| {
        let word = |name: &str| mistake[name].as_str().unwrap().to_owned();
        let place = format!("{}:{}:{}", word("file"), mistake["line"], mistake["column"]);
        let excerpt = mistake["excerpt"].as_array().unwrap().iter();
        let excerpt = excerpt.map(|line| format!("{} | {}", line["number"], line["text"].as_str().unwrap()));
        let head = [place, format!("{}: {}", word("name"), word("message"))];
        head.into_iter().chain(excerpt).collect::<Vec<_>>().join("\n")
    };
    mistakes(answer).iter().map(lines_of).collect::<Vec<_>>().join("\n")
}

fn new_site(commands: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let made = commands.lines().next().unwrap().strip_prefix("sluice new ").unwrap();
    assert_eq!(commands.lines().skip(1).collect::<Vec<_>>(), [&format!("cd {made}"), "sluice dev"]);
    let new = std::process::Command::new(env!("CARGO_BIN_EXE_sluice"))
        .arg("new")
        .arg(folder.path().join(made))
        .output()
        .unwrap();
    assert!(new.status.success());
    folder
}

#[test]
fn tutorial_works_as_written() {
    let markdown = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/tutorial.md");
    let blocks = blocks(&std::fs::read_to_string(markdown).unwrap());
    let (first, rest) = blocks.split_first().unwrap();
    assert_eq!(first.words, ["sh", "run"]);
    let folder = new_site(&first.text);
    let site = folder.path().join("my-site");
    let server = ServerOptions::dev(&site).start();
    let mut visitor = Visitor { server: &server, cookie: None };
    let mut written = 0;
    let mut shown = 0;
    for Block { words, text } in rest {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["text", "shows", path] => {
                let seen = visible(&visitor.send(Request::get(path)));
                assert!(has_lines(&seen, text), "{path} shows\n{seen}\nand not\n{text}");
                shown += 1;
            }
            ["text", "sends", path, fields] => {
                let seen = visible(&visitor.post(path, fields));
                assert!(has_lines(&seen, text), "{path} shows\n{seen}\nand not\n{text}");
                shown += 1;
            }
            ["text", "overlay", path] => {
                let seen = overlay(&server.get("localhost", path));
                assert!(has_lines(&seen, text), "over {path} is\n{seen}\nand not\n{text}");
                shown += 1;
            }
            [_, "append", file] => {
                let before = std::fs::read_to_string(site.join(file)).unwrap();
                write_and_wait(&server, &site, file, &format!("{before}{text}"));
                written += 1;
            }
            [_, file] => {
                write_and_wait(&server, &site, file, text);
                written += 1;
            }
            other => panic!("{other:?} is not a known kind of block"),
        }
    }
    assert!(written >= 7 && shown >= 8, "{written} files, {shown} pages");
}

/// Writes a file of the site and waits until the change is served.
fn write_and_wait(server: &Server, site: &Path, file: &str, text: &str) {
    let told = || server.printed().matches(&format!("{file} changed")).count();
    let before = told();
    let path = site.join(file);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
    server.wait_until(&format!("the change of {file} is served"), || told() > before);
}

#[test]
fn reads_blocks_and_lines() {
    let found = blocks("a\n```html x.html\n<p>\n\n```\nb\n```\nc\n```\n");
    let shown: Vec<(usize, &str)> =
        found.iter().map(|block| (block.words.len(), block.text.as_str())).collect();
    assert_eq!(shown, [(2, "<p>\n\n"), (1, "c\n")]);
    assert!(has_lines("a\n b \nc", "a\nc\n") && !has_lines("c\na", "a\nc"));
}
