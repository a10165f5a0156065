//! Reads the files of layouts and components.

use sluice_text::suggest;

use super::Lowering;
use crate::mistake::{FileKind, Mistake};
use crate::source::{Checked, Pos, Problem};

impl Lowering<'_> {
    /// The number of a layout's file, which it adds to the sources.
    pub(super) fn layout_file(&mut self, name: &str, pos: Pos) -> Checked<u32> {
        check_file_name(name, pos)?;
        let Some((file, source)) = self.includes.layout(name) else {
            if let Some(fault) = self.includes.layout_fault(name) {
                return Err(Problem::new(pos, Mistake::UnusableLayout(fault)));
            }
            let names = [self.includes.layout_names(), self.includes.page_names()].concat();
            return Err(Problem::new(pos, missing(FileKind::Layout, name, &names)));
        };
        self.add_file(&file, &source, pos)
    }

    /// The number of a component's file, which it adds to the sources once.
    pub(super) fn component_file(&mut self, name: &str, pos: Pos) -> Checked<u32> {
        if let Some(file) = self.component_files.get(name) {
            return Ok(*file);
        }
        check_file_name(name, pos)?;
        let Some((file, source)) = self.includes.component(name) else {
            let names = self.includes.component_names();
            return Err(Problem::new(pos, missing(FileKind::Component, name, &names)));
        };
        let file = self.add_file(&file, &source, pos)?;
        self.component_files.insert(name.to_owned(), file);
        Ok(file)
    }

    fn add_file(&mut self, name: &str, source: &str, pos: Pos) -> Checked<u32> {
        let max = self.limits.source_bytes_max;
        if source.len() > max {
            return Err(Problem::new(pos, Mistake::IncludeBytes { name: name.to_owned(), max }));
        }
        // Some editors begin every file with a byte order mark, which has no meaning in the middle
        // of a page.
        Ok(self.sources.add(name, source.strip_prefix('\u{feff}').unwrap_or(source)))
    }
}

/// Checks that the name of a layout or a component stays in its folder.
fn check_file_name(name: &str, pos: Pos) -> Checked<()> {
    let plain = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.'))
    };
    match name.split('/').all(plain) {
        true => Ok(()),
        false => Err(Problem::new(pos, Mistake::InvalidFileName(name.to_owned()))),
    }
}

/// Why a layout or a component is missing. `names` are those that have a file.
fn missing(kind: FileKind, name: &str, names: &[String]) -> Mistake {
    if names.iter().any(|known| known == name) {
        return Mistake::UnusableFile { kind, name: name.to_owned() };
    }
    let suggestion = suggest::nearest(name, names.iter().map(String::as_str)).map(str::to_owned);
    Mistake::UnknownFile { kind, name: name.to_owned(), suggestion }
}
