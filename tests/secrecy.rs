//! Browsers never get the text of a backend script.

use crate::harness::{Server, TestSite};

#[test]
fn browser_never_gets_a_backend_script() {
    let megabyte = format!(
        "<script scope=\"backend\">/* SECRET */{}</script>shown",
        "// SECRET filler\n".repeat(62_000)
    );
    let pages: [(&str, &str); 8] = [
        ("uncompilable", "<script scope=\"backend\">let SECRET = ;</script>shown"),
        ("throws", "<script scope=\"backend\">throw new Error('SECRET')</script>shown"),
        ("unterminated", "shown<script scope=\"backend\">let SECRET = 1;"),
        ("unterminated-tag", "shown<script scope=\"backend\" SECRET"),
        ("comment", "<!-- <script scope=\"backend\">SECRET</script> -->shown"),
        ("upper-case", "<SCRIPT SCOPE=\"BACKEND\">let SECRET = 1;</SCRIPT>shown"),
        ("raw-text", "<textarea><script scope='backend'>SECRET</script></textarea>shown"),
        ("megabyte", &megabyte),
    ];
    let files: Vec<(String, &str)> =
        pages.iter().map(|(name, page)| (format!("pages/{name}.html"), *page)).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(file, page)| (file.as_str(), *page)).collect();
    let site = TestSite::with(&files);
    // The page is shown after every failure.
    site.write("brands/demo/brand.toml", "default = true\non_error = \"page\"\n");
    let server = Server::start(site.path());
    for (name, _) in pages {
        let answer = server.get("localhost", &format!("/{name}"));
        assert_eq!(answer.status, 200, "{name}");
        assert_eq!(answer.body.trim(), "shown", "{name}");
        assert!(!format!("{answer:?}").contains("SECRET"), "{name}: {answer:?}");
    }
}
