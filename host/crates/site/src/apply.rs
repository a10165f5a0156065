//! Writes the limit of a page into `brand.toml`, or removes it, and keeps the comments and the order
//! of the file.

use toml_edit::{ArrayOfTables, DocumentMut, InlineTable, Item, RawString, Table, Value, value};

use sluice_kit::folder::{FolderPath, OpenError, ReplaceError};
use sluice_kit::toml_text;
use sluice_limits::KINDS;

use crate::config::{BrandConfig, version};
use crate::files::{self, FileError};

const FILE: &str = "brand.toml";

/// Why a limit was not written. `brand.toml` is then unchanged.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// No limit has this name.
    #[error("there is no limit {0}")]
    UnknownLimit(String),
    /// The file is not the one that the operator saw, or was changed while it was edited.
    #[error(
        "brand.toml was changed in the meantime, so nothing was written: look at the limits again, and \
         repeat the change if it is still right"
    )]
    Changed,
    /// The file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file cannot be edited.
    #[error("brand.toml: {0}")]
    Unreadable(#[from] EditFault),
    /// The file cannot be written.
    #[error("brand.toml cannot be written ({error}); put this into it:\n\n{lines}")]
    Unwritable {
        /// The system's error.
        error: OpenError,
        /// The lines that set the limit.
        lines: String,
    },
}

/// Why `brand.toml` cannot be edited.
#[derive(Debug, thiserror::Error)]
pub enum EditFault {
    /// It is not TOML.
    #[error("{}", .0.to_string().trim_end())]
    Syntax(#[from] toml_edit::TomlError),
    /// The limit is larger than a TOML integer can be.
    #[error(transparent)]
    Number(#[from] std::num::TryFromIntError),
    /// The pages are written as an inline array.
    #[error("`page` is not written as [[page]]")]
    PageForm,
    /// The limits of the page are not a table.
    #[error("`limits` is not a table")]
    LimitsForm,
    /// The server could not read the file with the limit in it.
    #[error("{}", .0.to_string().trim_end())]
    Invalid(#[from] toml::de::Error),
}

/// Sets a limit of the page at `path` in the brand's `brand.toml`, or removes it if `new` is `None`. `seen` is
/// the version of the file that the operator saw, if it is known.
///
/// # Errors
/// There is no such limit, the file has another version, or it cannot be read, edited or written.
pub fn set_page_limit(
    brand_dir: &FolderPath,
    seen: Option<&str>,
    path: &str,
    limit: &str,
    new: Option<u64>,
) -> Result<(), ApplyError> {
    let lines = || {
        let limits = new.map(|new| format!("{limit} = {new}")).unwrap_or_default();
        format!("[[page]]\npath = {}\nlimits = {{ {limits} }}", Value::from(path))
    };
    let folder = brand_dir.open().map_err(|error| ApplyError::Unwritable { error, lines: lines() })?;
    let text = match files::read_in(&folder, FILE) {
        Err(error) if error.is_missing() => None,
        read => Some(read?.text),
    };
    let known = text.as_deref().unwrap_or_default();
    if seen.is_some_and(|seen| seen != version(known.as_bytes())) {
        return Err(ApplyError::Changed);
    }
    let edited = edit(known, path, limit, new)?;
    match folder.replace(FILE, text.as_deref().map(str::as_bytes), edited.as_bytes()) {
        Ok(()) => Ok(()),
        Err(ReplaceError::Failed(error)) => Err(ApplyError::Unwritable { error, lines: lines() }),
        Err(ReplaceError::Changed | ReplaceError::NotOurs) => Err(ApplyError::Changed),
    }
}

/// A line of `brand.toml` as a change leaves it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ChangedLine {
    /// `+`, `-`, or a space for a line that stays.
    pub sign: char,
    /// The line.
    pub text: String,
}

/// What [`set_page_limit`] would change: the lines, after the beginning of the table that they are in.
///
/// # Errors
/// There is no such limit, or the file cannot be read or edited.
pub fn preview_page_limit(
    brand_dir: &FolderPath,
    path: &str,
    limit: &str,
    new: Option<u64>,
) -> Result<Vec<ChangedLine>, ApplyError> {
    let text = match files::read(brand_dir, FILE) {
        Err(error) if error.is_missing() => String::new(),
        read => read?.text,
    };
    Ok(changed_lines(&text, &edit(&text, path, limit, new)?))
}

/// An edit changes one place, so everything before and after it is the same.
fn changed_lines(before: &str, after: &str) -> Vec<ChangedLine> {
    let (old, new): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    let same = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
    let left = old.len().min(new.len()) - same;
    let same_end =
        old.iter().rev().zip(new.iter().rev()).take(left).take_while(|(old, new)| old == new).count();
    let begins = |line: &&str| line.trim_start().starts_with('[');
    let kept = old.get(..same).unwrap_or_default();
    let table = kept.iter().rposition(begins).unwrap_or(same).max(same.saturating_sub(CONTEXT_LINES));
    let part = |sign: char, lines: &[&str], from: usize, to: usize| -> Vec<ChangedLine> {
        let lines = lines.get(from..to).unwrap_or_default().iter();
        lines.map(|text| ChangedLine { sign, text: (*text).to_owned() }).collect()
    };
    let mut all = part(' ', &old, table, same);
    all.extend(part('-', &old, same, old.len() - same_end));
    all.extend(part('+', &new, same, new.len() - same_end));
    all
}

/// At most this many lines are shown before a change.
const CONTEXT_LINES: usize = 12;

/// Returns `text` with the limit set, or without it.
fn edit(text: &str, path: &str, limit: &str, new: Option<u64>) -> Result<String, ApplyError> {
    if !KINDS.iter().any(|kind| kind.name == limit) {
        return Err(ApplyError::UnknownLimit(limit.to_owned()));
    }
    Ok(edit_document(text, path, limit, new)?)
}

fn edit_document(text: &str, path: &str, limit: &str, new: Option<u64>) -> Result<String, EditFault> {
    toml_text::parse::<toml::Table>(text)?;
    let mut document: DocumentMut = text.parse()?;
    match new {
        Some(new) => set(&mut document, path, limit, i64::try_from(new)?)?,
        None => remove(&mut document, path, limit)?,
    }
    let edited = document.to_string();
    // A file that the server could not read must never be written.
    toml_text::parse::<BrandConfig>(&edited)?;
    Ok(edited)
}

fn is_of(page: &Table, path: &str) -> bool {
    page.get("path").and_then(Item::as_str) == Some(path)
}

fn set(document: &mut DocumentMut, path: &str, limit: &str, number: i64) -> Result<(), EditFault> {
    let pages = document.entry("page").or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()));
    let pages = pages.as_array_of_tables_mut().ok_or(EditFault::PageForm)?;
    let at = pages.iter().position(|page| is_of(page, path));
    let at = at.unwrap_or_else(|| {
        let mut page = Table::new();
        page.insert("path", value(path));
        pages.push(page);
        pages.len() - 1
    });
    let page = pages.get_mut(at).ok_or(EditFault::PageForm)?;
    let limits = page.entry("limits").or_insert_with(|| value(InlineTable::new()));
    let limits = limits.as_table_like_mut().ok_or(EditFault::LimitsForm)?;
    limits.insert(limit, value(number));
    Ok(())
}

/// Removes a limit, and what is empty without it.
fn remove(document: &mut DocumentMut, path: &str, limit: &str) -> Result<(), EditFault> {
    let Some(pages) = document.get_mut("page") else { return Ok(()) };
    let pages = pages.as_array_of_tables_mut().ok_or(EditFault::PageForm)?;
    let Some(at) = pages.iter().position(|page| is_of(page, path)) else { return Ok(()) };
    let Some(page) = pages.get_mut(at) else { return Ok(()) };
    let Some(limits) = page.get_mut("limits") else { return Ok(()) };
    let limits = limits.as_table_like_mut().ok_or(EditFault::LimitsForm)?;
    limits.remove(limit);
    if limits.is_empty() {
        page.remove("limits");
    }
    let is_commented = |text: &str| text.contains('#');
    let above = page.decor().prefix().and_then(RawString::as_str).is_some_and(is_commented);
    if page.len() == 1 && !above && !is_commented(&page.to_string()) {
        pages.remove(at);
    }
    if pages.is_empty() {
        document.remove("page");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adds_an_entry_for_a_page_without_one() {
        let text = "# Ours.\ndefault = true # takes the rest\n";
        let edited = edit(text, "/weight/checkin", "fuel", Some(5_000)).unwrap();
        assert!(edited.starts_with(text), "{edited}");
        let config: BrandConfig = toml::from_str(&edited).unwrap();
        assert_eq!(
            (config.page[0].path.as_str(), config.page[0].limits.fuel),
            ("/weight/checkin", Some(5_000))
        );
    }

    #[test]
    fn shows_what_an_edit_changes() {
        let shown = |text: &str, path: &str| {
            let lines = changed_lines(text, &edit(text, path, "fuel", Some(7)).unwrap());
            lines.iter().map(|line| format!("{}{}", line.sign, line.text)).collect::<Vec<_>>()
        };
        let text =
            "default = true\n\n[[page]]\npath = \"/a\"\nlimits = { fuel = 3 }\n\n[[page]]\npath = \"/b\"\n";
        assert_eq!(
            shown(text, "/a"),
            [" [[page]]", " path = \"/a\"", "-limits = { fuel = 3 }", "+limits = { fuel = 7 }"]
        );
        assert_eq!(shown(text, "/b"), [" [[page]]", " path = \"/b\"", "+limits = { fuel = 7 }"]);
        let added = ["+[[page]]", "+path = \"/c\"", "+limits = { fuel = 7 }"];
        assert!(shown(text, "/c").ends_with(&added.map(str::to_owned)), "{:?}", shown(text, "/c"));
        assert_eq!(shown("", "/c"), added);
        assert_eq!(shown(text, "/a").len(), 4, "the other page is not shown");
    }

    #[test]
    fn keeps_comments_and_other_settings() {
        let text = "[[page]]\npath = \"/a\" # first\nlimits = { cookies_max = 3 }\n\n[[page]]\npath = \"/b\"\non_error = \"error\"\n\n[page.limits]\nfuel = 1 # too low\n";
        let edited = edit(text, "/a", "fuel", Some(7)).unwrap();
        assert!(edited.contains("path = \"/a\" # first") && edited.contains("cookies_max = 3"), "{edited}");
        let edited = edit(&edited, "/b", "fuel", Some(8)).unwrap();
        let config: BrandConfig = toml::from_str(&edited).unwrap();
        let fuel: Vec<_> =
            config.page.iter().map(|page| (page.limits.fuel, page.limits.cookies_max)).collect();
        assert_eq!(fuel, [(Some(7), Some(3)), (Some(8), None)]);
        assert!(edited.contains("on_error = \"error\""));
    }

    #[test]
    fn never_writes_a_file_that_the_server_could_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let (dir, file) = (FolderPath::root(folder.path()), folder.path().join(FILE));
        for (text, limit, new) in
            [("default = oops", "fuel", 1), ("", "fuell", 1), ("", "heap_bytes_max", u64::from(u32::MAX) + 1)]
        {
            std::fs::write(&file, text).unwrap();
            assert!(set_page_limit(&dir, None, "/a", limit, Some(new)).is_err(), "{text} {limit}");
            assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn changes_only_the_version_that_the_operator_saw() {
        let folder = tempfile::tempdir().unwrap();
        let (dir, file) = (FolderPath::root(folder.path()), folder.path().join(FILE));
        let seen = || crate::config::read_brand_file(&dir).unwrap().version;
        let first = seen();
        set_page_limit(&dir, Some(&first), "/a", "fuel", Some(1)).unwrap();
        let by_operator = std::fs::read_to_string(&file).unwrap();
        assert!(matches!(
            set_page_limit(&dir, Some(&first), "/a", "fuel", Some(2)),
            Err(ApplyError::Changed)
        ));
        assert_eq!(std::fs::read_to_string(&file).unwrap(), by_operator);
        let second = seen();
        std::fs::write(&file, format!("{by_operator}# by the author\n")).unwrap();
        assert!(matches!(
            set_page_limit(&dir, Some(&second), "/a", "fuel", Some(3)),
            Err(ApplyError::Changed)
        ));
        set_page_limit(&dir, Some(&seen()), "/a", "fuel", Some(4)).unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.contains("fuel = 4") && text.ends_with("# by the author\n"), "{text}");
    }

    #[test]
    fn writes_through_no_link() {
        let folder = tempfile::tempdir().unwrap();
        let brand = folder.path().join("brand");
        std::fs::create_dir(&brand).unwrap();
        let outside = folder.path().join("outside.toml");
        std::fs::write(&outside, "# operator's\n").unwrap();
        std::os::unix::fs::symlink(&outside, brand.join(FILE)).unwrap();
        let error = set_page_limit(&FolderPath::root(&brand), None, "/a", "fuel", Some(1)).unwrap_err();
        assert!(error.to_string().contains("symbolic link"), "{error}");
        assert_eq!(std::fs::read_to_string(&outside).unwrap(), "# operator's\n");
    }

    #[test]
    fn removes_a_limit_and_what_it_leaves_empty() {
        let text = "default = true\n\n[[page]]\npath = \"/a\"\nlimits = { fuel = 3, cookies_max = 4 }\n\n[[page]]\npath = \"/b\" # second\non_error = \"error\"\nlimits = { fuel = 5 }\n";
        let without = edit(text, "/a", "fuel", None).unwrap();
        assert!(without.contains("cookies_max = 4") && !without.contains("fuel = 3"), "{without}");
        let without = edit(&without, "/a", "cookies_max", None).unwrap();
        assert!(!without.contains("\"/a\""), "{without}");
        let without = edit(&without, "/b", "fuel", None).unwrap();
        assert!(without.contains("path = \"/b\" # second") && !without.contains("limits"), "{without}");
        assert_eq!(edit(&without, "/nowhere", "fuel", None).unwrap(), without);
        let only = edit("default = true\n", "/a", "fuel", Some(7)).unwrap();
        assert!(!edit(&only, "/a", "fuel", None).unwrap().contains("[[page]]"));
    }
}
