//! `sluice new`: creates a small site. Its files are in `new/site/`.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use sluice_author::tools_dir;
use sluice_site::schema;

use super::output::{Output, outln};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The folder of the new site; it must not exist, or be empty
    dir: PathBuf,
}

macro_rules! files {
    ($($name:literal: $source:literal, $what:literal;)+) => {
        &[$(NewFile { name: $name, text: include_str!(concat!("new/site/", $source)), what: $what },)+]
    };
}

/// A file of the new site.
struct NewFile {
    name: &'static str,
    text: &'static str,
    /// A description to print. Files without one are not listed.
    what: &'static str,
}

const FILES: &[NewFile] = files! {
    "README.md": "README.md", "explains the files";
    ".gitignore": "gitignore", "";
    "sluice.toml": "sluice.toml", "settings of the server";
    "brands/main/brand.toml": "brand.toml", "settings of the site";
    "brands/main/crm.toml": "crm.toml", "the data that scripts can store";
    "brands/main/layouts/main.html": "layouts/main.html", "the layout of all pages";
    "brands/main/modules/forms.js": "modules/forms.js", "a script that pages import";
    "brands/main/pages/index.html": "pages/index.html", "a page that counts visits";
    "brands/main/pages/contact.html": "pages/contact.html", "a page with a form";
    "brands/main/pages/404.html": "pages/404.html", "the page for unknown addresses";
    "brands/main/public/style.css": "public/style.css", "a file that is sent unchanged";
};

pub(crate) fn run(args: &Args, output: &Output) -> anyhow::Result<()> {
    check_empty(&args.dir)?;
    for file in FILES {
        let path = args.dir.join(file.name);
        let name = || path.display().to_string();
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).with_context(name)?;
        }
        fs::write(&path, file.text).with_context(name)?;
    }
    let tools = tools_dir::make(&args.dir).and_then(|tools| schema::write(&tools));
    tools.with_context(|| args.dir.join(".sluice").display().to_string())?;
    if !output.quiet {
        print_next_steps(&args.dir);
    }
    Ok(())
}

/// Fails if the folder has files, so that none of them is overwritten.
fn check_empty(dir: &Path) -> anyhow::Result<()> {
    let mut entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) if error.kind() == ErrorKind::NotADirectory => {
            bail!("{}: this is a file; name a folder that does not exist", dir.display())
        }
        Err(error) => return Err(error).with_context(|| dir.display().to_string()),
    };
    if let Some(entry) = entries.next().transpose()? {
        let found = entry.file_name();
        bail!(
            "{}: the folder is not empty ({} is in it); name a folder that does not exist",
            dir.display(),
            found.display()
        );
    }
    Ok(())
}

fn print_next_steps(dir: &Path) {
    outln!("A new site is in {}:\n", dir.display());
    for file in FILES.iter().filter(|file| !file.what.is_empty()) {
        outln!("  {:<32} {}", file.name, file.what);
    }
    let place = dir.display().to_string();
    let is_plain = |c: char| c.is_alphanumeric() || "/._-".contains(c);
    let quoted =
        if place.chars().all(is_plain) { place } else { format!("'{}'", place.replace('\'', r"'\''")) };
    outln!("\nNext:\n");
    if dir != Path::new(".") {
        outln!("  cd {quoted}");
    }
    outln!("  sluice dev\n\nThen open http://127.0.0.1:8080 and change a page.");
}
