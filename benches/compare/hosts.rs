//! The processes that are compared. Each is killed when its value is dropped.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use sluice_test_support::free_address;

use crate::pages::{NATIVE_PAGES, pages};

/// A running host.
pub(crate) struct Host {
    pub(crate) name: &'static str,
    /// `http://127.0.0.1:…`, without a slash at its end.
    pub(crate) url: String,
    process: Child,
}

impl Host {
    /// Starts `sluice serve` with its defaults, on a site with all pages, in `dir`.
    pub(crate) fn sluice(binary: &Path, dir: &Path) -> Self {
        let brand = dir.join("site/brands/demo");
        fs::create_dir_all(brand.join("pages")).expect("the folder can be made");
        fs::write(dir.join("site/sluice.toml"), "").expect("the folder is writable");
        fs::write(brand.join("brand.toml"), "default = true\n").expect("the folder is writable");
        for page in pages() {
            let file = brand.join("pages").join(page.name).with_extension("html");
            fs::write(file, &*page.html).expect("the folder is writable");
        }
        let mut command = Command::new(binary);
        command.arg("serve").arg(dir.join("site")).arg("--data").arg(dir.join("data"));
        command.args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]);
        command.stderr(fs::File::create(dir.join("log")).expect("the folder is writable"));
        Self::announced("Sluice", &mut command)
    }

    /// Starts the native host, which this program is, too.
    pub(crate) fn native() -> Self {
        let mut command = Command::new(std::env::current_exe().expect("this program has a path"));
        Self::announced("native", command.arg(crate::NATIVE_HOST))
    }

    /// Starts workerd with the pages' scripts in one worker.
    pub(crate) fn workerd(binary: &Path, dir: &Path) -> Self {
        let mut pages = String::from("const pages = {\n");
        for page in &NATIVE_PAGES {
            let _ = writeln!(pages, "{}: (response) => {{{}}},", page.name, page.script());
        }
        pages.push_str("};\n");
        pages.push_str(include_str!("workerd.js"));
        fs::write(dir.join("worker.js"), pages).expect("the folder is writable");
        let address = free_address();
        let config = format!(
            "using Workerd = import \"/workerd/workerd.capnp\";\n\
             const config :Workerd.Config = (\n\
               services = [(name = \"main\", worker = .pages)],\n\
               sockets = [(name = \"http\", address = \"{address}\", http = (), service = \"main\")]);\n\
             const pages :Workerd.Worker = (\n\
               modules = [(name = \"worker\", esModule = embed \"worker.js\")],\n\
               compatibilityDate = \"2025-01-01\");\n"
        );
        let file = dir.join("config.capnp");
        fs::write(&file, config).expect("the folder is writable");
        let process = Command::new(binary).arg("serve").arg(file).spawn().expect("workerd starts");
        let host = Self { name: "workerd", url: format!("http://{address}"), process };
        let begun = Instant::now();
        while std::net::TcpStream::connect(address).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(30), "workerd does not listen");
            std::thread::sleep(Duration::from_millis(50));
        }
        host
    }

    /// Starts a program that prints `… serving on <URL>`.
    fn announced(name: &'static str, command: &mut Command) -> Self {
        let mut process = command.stdout(Stdio::piped()).spawn().expect("the program starts");
        let mut lines = BufReader::new(process.stdout.take().expect("its output is a pipe")).lines();
        let url = lines.by_ref().map_while(Result::ok).find_map(|line| {
            line.split_once("serving on ").map(|(_, url)| url.trim_end_matches('/').to_owned())
        });
        // The program must not wait for a reader.
        std::thread::spawn(move || lines.for_each(drop));
        Self { name, url: url.expect("the program says where it serves"), process }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
