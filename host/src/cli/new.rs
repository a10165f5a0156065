//! `sluice new`: creates a small site. Its files are in `new/site/`.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use sluice_author::tools_dir;
use sluice_kit::folder::{Folder, OpenError};
use sluice_site::config;
use sluice_site::places::Places;
use sluice_site::schema;
use sluice_text::printable::printable;

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
    let site = Folder::create(&args.dir).with_context(|| args.dir.display().to_string())?;
    for file in FILES {
        let name = || args.dir.join(file.name).display().to_string();
        if let Some((folder, _)) = file.name.rsplit_once('/') {
            site.make(folder).with_context(name)?;
        }
        if !site.write_new(file.name, file.text.as_bytes()).with_context(name)? {
            bail!("{}: somebody else creates files in this folder; name another one", name());
        }
    }
    let tools = tools_dir::make(&site).with_context(|| args.dir.join(".sluice").display().to_string())?;
    schema::write(&tools)?;
    if !output.quiet {
        print_next_steps(&args.dir);
    }
    Ok(())
}

/// Fails if the folder has files, so that none of them is overwritten.
fn check_empty(dir: &Path) -> anyhow::Result<()> {
    let entries = match Folder::open(dir).and_then(|folder| folder.entries()) {
        Ok(entries) => entries,
        Err(error) if error.is_missing() => return Ok(()),
        Err(OpenError::Unreadable(error)) if error.kind() == ErrorKind::NotADirectory => {
            bail!("{}: this is a file; name a folder that does not exist", dir.display())
        }
        Err(error) => return Err(error).with_context(|| dir.display().to_string()),
    };
    if let Some(entry) = entries.first() {
        bail!(
            "{}: the folder is not empty ({} is in it); name a folder that does not exist",
            dir.display(),
            printable(&entry.name.to_string_lossy())
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
    // If there is no folder for them, `sluice dev` says so.
    let config = config::read_site(dir, std::env::vars()).unwrap_or_default();
    if let Ok(places) = Places::of(dir, &config, None) {
        outln!("\nIts data will be outside of it, in {}.", places.data.path().display());
    }
    outln!("\nNext:\n");
    if dir != Path::new(".") {
        outln!("  cd {quoted}");
    }
    outln!("  sluice dev\n\nThen open http://127.0.0.1:8080 and change a page.");
}
