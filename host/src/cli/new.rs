//! `sluice new`: a small site that runs. Its files are in `new/site/`.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use sluice_author::tools_dir;
use sluice_site::schema;

use super::output::Output;
use crate::cli::macros::outln;

#[derive(clap::Args)]
pub struct Args {
    /// The folder to make; it may exist if it is empty
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
    what: &'static str,
}

const FILES: &[NewFile] = files! {
    "README.md": "README.md", "what is where";
    ".gitignore": "gitignore", "";
    "sluice.toml": "sluice.toml", "settings of the server";
    "brands/main/brand.toml": "brand.toml", "settings of the site";
    "brands/main/crm.toml": "crm.toml", "what scripts may store";
    "brands/main/layouts/main.html": "layouts/main.html", "what pages have in common";
    "brands/main/modules/forms.js": "modules/forms.js", "a script that pages import";
    "brands/main/pages/index.html": "pages/index.html", "a page that counts visits";
    "brands/main/pages/contact.html": "pages/contact.html", "a page with a form";
    "brands/main/pages/404.html": "pages/404.html", "for addresses where nothing is";
    "brands/main/public/style.css": "public/style.css", "sent as it is";
};

pub fn run(args: &Args, output: &Output) -> anyhow::Result<()> {
    refuse_what_is_not_empty(&args.dir)?;
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
        say_what_next(&args.dir);
    }
    Ok(())
}

/// Nothing that is there is ever overwritten.
fn refuse_what_is_not_empty(dir: &Path) -> anyhow::Result<()> {
    let mut entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) if error.kind() == ErrorKind::NotADirectory => {
            bail!("{}: this is a file; name a folder that does not exist yet", dir.display())
        }
        Err(error) => return Err(error).with_context(|| dir.display().to_string()),
    };
    if let Some(entry) = entries.next().transpose()? {
        let found = entry.file_name();
        bail!(
            "{}: the folder is not empty ({} is in it); name one that does not exist yet",
            dir.display(),
            found.display()
        );
    }
    Ok(())
}

fn say_what_next(dir: &Path) {
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
