//! `sluice new`: creates a site from a template. The templates are in `new/`.

mod ask;
mod files;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::ValueEnum;

use sluice_author::tools_dir;
use sluice_kit::folder::{Folder, OpenError};
use sluice_site::config;
use sluice_site::places::Places;
use sluice_site::schema;
use sluice_text::printable::printable;

use super::output::{Output, outln};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The folder of the new site; it must not exist, or be empty. Without it, a terminal is asked
    dir: Option<PathBuf>,
    /// What the site begins with
    #[arg(long, value_enum, value_name = "NAME")]
    template: Option<Template>,
}

/// What a new site begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Template {
    /// A start page that counts visits, and a contact form
    Plain,
    /// Posts with tags and comments, and a feed
    Blog,
    /// A members' area, and log-in links instead of passwords
    Members,
    /// A quiz whose visitors move through a pipeline of the CRM
    Funnel,
    /// A JSON API with a key, and a page that documents it
    Api,
}

/// A file of a new site.
struct NewFile {
    /// Its path in the site.
    name: &'static str,
    /// Its text, in parts that templates share.
    parts: &'static [&'static str],
    /// A description to print. Files without one are not listed.
    what: &'static str,
}

pub(crate) fn run(args: Args, output: &Output) -> anyhow::Result<()> {
    let (dir, template) = match args.dir {
        Some(dir) => (dir, args.template.unwrap_or(Template::Plain)),
        None => ask::ask(args.template)?,
    };
    check_empty(&dir)?;
    let site = Folder::create(&dir).with_context(|| dir.display().to_string())?;
    for file in template.files() {
        let name = || dir.join(file.name).display().to_string();
        if let Some((folder, _)) = file.name.rsplit_once('/') {
            site.make(folder).with_context(name)?;
        }
        if !site.write_new(file.name, file.parts.concat().as_bytes()).with_context(name)? {
            bail!("{}: somebody else creates files in this folder; name another one", name());
        }
    }
    let tools = tools_dir::make(&site).with_context(|| dir.join(".sluice").display().to_string())?;
    schema::write(&tools)?;
    if !output.quiet {
        print_next_steps(&dir, template);
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

fn print_next_steps(dir: &Path, template: Template) {
    outln!("A new site is in {}:\n", dir.display());
    for file in template.files().filter(|file| !file.what.is_empty()) {
        outln!("  {:<38} {}", file.name, file.what);
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
