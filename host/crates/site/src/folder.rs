//! The files of a brand, for pages that import modules and include layouts and components. Each
//! file is read once, so a brand is loaded from one state of its files.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use sluice_kit::folder::{Folder, FolderPath};
use sluice_page::bundle::{Role, Used};
use sluice_page::diagnostic::{Diagnostic, Rule};
use sluice_page::extract::extract;
use sluice_page::modules::{ModuleSource, UnreadableModule};
use sluice_sandbox::cache::CacheKey;
use sluice_template::Includes;
use sluice_text::source::Source;

use crate::files::{self, FileError, FileFault};
use crate::table;

/// The size of all files of a brand together. All of them are in memory while the brand is loaded.
const BRAND_BYTES_MAX: usize = 512 << 20;

/// The list of files in a brand's folder.
pub struct BrandFolder {
    folder: Folder,
    /// The files of pages, relative to `pages/`.
    pub pages: Vec<String>,
    // Each of these lists is relative to its own folder, too.
    modules: Vec<String>,
    layouts: Vec<String>,
    components: Vec<String>,
    /// The files that were read, or why they cannot be.
    read: Mutex<ReadFiles>,
}

#[derive(Default)]
struct ReadFiles {
    by_name: HashMap<String, Result<ReadFile, Arc<FileError>>>,
    bytes: usize,
}

/// A file that was read. It is also hashed only once, because many pages may use it.
struct ReadFile {
    source: Source,
    hash: OnceCell<[u8; 32]>,
}

/// A file that a page used when it was compiled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Dependency {
    role: Role,
    name: String,
    file: String,
    hash: [u8; 32],
}

impl BrandFolder {
    /// Lists the files of the brand in `dir`.
    ///
    /// # Errors
    /// A folder cannot be read or contains a symbolic link, or a page has no path of its own.
    pub fn new(dir: &FolderPath) -> Result<Self, FileError> {
        let (brand, without_path) = Self::with_any_paths(dir)?;
        without_path.into_iter().next().map_or(Ok(brand), Err)
    }

    /// Lists the files of the brand in `dir`, and what is wrong with pages that have no path of their
    /// own.
    ///
    /// # Errors
    /// A folder cannot be read or contains a symbolic link.
    pub fn with_any_paths(dir: &FolderPath) -> Result<(Self, Vec<FileError>), FileError> {
        let folder = dir.open().map_err(|error| FileError::of_path(&dir.path(), error))?;
        let mut modules = files::list(&folder, "modules", &[".js", ".html"])?;
        modules.retain(|file| !file.ends_with(crate::TEST_SUFFIX));
        let pages = files::list(&folder, "pages", &[".html"])?;
        let without_path = table::check(&pages).into_iter();
        let without_path =
            without_path.map(|error| FileError::new(format!("pages/{}", error.file), error.fault));
        let without_path = without_path.collect();
        let layouts = files::list(&folder, "layouts", &[".html"])?;
        let components = files::list(&folder, "components", &[".html"])?;
        Ok((Self { folder, pages, modules, layouts, components, read: Mutex::default() }, without_path))
    }

    /// The files of authors' tests, relative to the brand's folder.
    ///
    /// # Errors
    /// A folder cannot be read or contains a symbolic link.
    pub fn test_files(&self) -> Result<Vec<String>, FileError> {
        let mut found = Vec::new();
        for folder in ["modules", "pages"] {
            let files = files::list(&self.folder, folder, &[crate::TEST_SUFFIX])?;
            found.extend(files.into_iter().map(|file| format!("{folder}/{file}")));
        }
        Ok(found)
    }

    /// The files of modules and HTML modules, relative to the brand's folder.
    pub fn module_files(&self) -> impl Iterator<Item = String> + '_ {
        self.modules.iter().map(|file| format!("modules/{file}"))
    }

    /// The text of a file. `file` is relative to the brand's folder.
    ///
    /// # Errors
    /// It cannot be read, is too large, or is not text.
    pub fn source(&self, file: &str) -> Result<Source, Arc<FileError>> {
        self.with(file, |read| read.source.clone())
    }

    /// Reads a file if it has not been read yet, and passes it to `look`.
    fn with<T>(&self, file: &str, look: impl FnOnce(&ReadFile) -> T) -> Result<T, Arc<FileError>> {
        let mut read = self.read.lock();
        let ReadFiles { by_name, bytes } = &mut *read;
        let read = by_name.entry(file.to_owned()).or_insert_with(|| {
            let source = files::read_in(&self.folder, file)?;
            *bytes = bytes.saturating_add(source.text.len());
            if *bytes > BRAND_BYTES_MAX {
                return Err(FileError::new(file, FileFault::TooMuch(BRAND_BYTES_MAX as u64)).into());
            }
            Ok(ReadFile { source, hash: OnceCell::new() })
        });
        read.as_ref().map(look).map_err(Arc::clone)
    }

    /// The file that a page gets now if it uses `name`.
    fn resolve(&self, role: Role, name: &str) -> Option<String> {
        let in_folder = |folder: &str, files: &[String]| {
            Some(format!("{folder}/{}", files.iter().find(|file| stem(file) == name)?))
        };
        match role {
            Role::Module => in_folder("modules", &self.modules).or_else(|| in_folder("pages", &self.pages)),
            Role::Layout => in_folder("layouts", &self.layouts).or_else(|| in_folder("pages", &self.pages)),
            Role::Component => in_folder("components", &self.components),
        }
    }

    /// Whether a page would still get the same file with the same content.
    pub(crate) fn is_unchanged(&self, known: &Dependency) -> bool {
        let file = self.resolve(known.role, &known.name);
        file.is_some_and(|file| {
            let now = |read: &ReadFile| *read.hash.get_or_init(|| hash(&read.source.text));
            file == known.file && self.with(&file, now).is_ok_and(|now| now == known.hash)
        })
    }

    /// The mistakes in layouts and components, whether pages use them or not.
    pub fn include_problems(&self) -> Vec<Diagnostic> {
        let layouts = self.layouts.iter().map(|file| format!("layouts/{file}"));
        let components = self.components.iter().map(|file| format!("components/{file}"));
        layouts.chain(components).filter_map(|file| self.include_source(&file).err()).collect()
    }

    /// A layout or component. It must not contain a backend script, which only pages and
    /// modules can have.
    fn include_source(&self, file: &str) -> Result<Source, Diagnostic> {
        let unreadable =
            |error: Arc<FileError>| Diagnostic::of_file(Rule::File, file, error.fault.to_string());
        let source = self.source(file).map_err(unreadable)?;
        let scripts = extract(&source.text)
            .map_err(|reason| Diagnostic::of_file(Rule::Html, file, reason.to_string()))?;
        let at = scripts.holes.first().map(|hole| hole.start).or(scripts.misplaced.map(|(at, _)| at));
        match at {
            None => Ok(source),
            Some(at) => {
                let message = "a backend script is not allowed here";
                let mistake = Diagnostic::at(Rule::MisplacedScript, &source, at..at, message);
                Err(mistake.help("move it to a page or a module"))
            }
        }
    }

    /// The file and text of a layout or component. Only listed files have a name, so no name can
    /// lead out of the folder.
    fn include(&self, role: Role, name: &str) -> Option<(String, String)> {
        match self.include_source(&self.resolve(role, name)?) {
            Ok(source) => Some((source.file, source.text)),
            // A page with a script is no mistake. `layout_fault` explains it where the page is extended.
            Err(mistake) if mistake.file.starts_with("pages/") => {
                tracing::debug!("{}", sluice_text::printable::printable(&mistake.to_string()));
                None
            }
            Err(mistake) => {
                tracing::error!("{}", sluice_text::printable::printable(&mistake.to_string()));
                None
            }
        }
    }
}

impl ModuleSource for BrandFolder {
    fn module(&self, code: &str) -> Option<Result<Source, UnreadableModule>> {
        let source = self.source(&self.resolve(Role::Module, code)?);
        Some(
            source.map_err(|error| UnreadableModule {
                file: error.file.clone(),
                reason: error.fault.to_string(),
            }),
        )
    }

    fn module_codes(&self) -> Vec<String> {
        self.modules.iter().chain(&self.pages).map(|file| stem(file).to_owned()).collect()
    }
}

impl Includes for BrandFolder {
    fn layout(&self, name: &str) -> Option<(String, String)> {
        self.include(Role::Layout, name)
    }

    fn component(&self, name: &str) -> Option<(String, String)> {
        self.include(Role::Component, name)
    }

    fn layout_names(&self) -> Vec<String> {
        self.layouts.iter().map(|file| stem(file).to_owned()).collect()
    }

    fn component_names(&self) -> Vec<String> {
        self.components.iter().map(|file| stem(file).to_owned()).collect()
    }

    fn page_names(&self) -> Vec<String> {
        self.pages.iter().map(|file| stem(file).to_owned()).collect()
    }

    fn layout_fault(&self, name: &str) -> Option<String> {
        let file = self.resolve(Role::Layout, name).filter(|file| file.starts_with("pages/"))?;
        let mistake = self.include_source(&file).err()?;
        (mistake.rule == Rule::MisplacedScript).then(|| {
            format!(
                "{file} has a backend script, which would not run for a page that extends it; move the script to \
                 a module that both pages import"
            )
        })
    }
}

/// A folder that records which files one page uses.
pub(crate) struct Recorder<'a> {
    folder: &'a BrandFolder,
    used: Mutex<Vec<Used>>,
}

impl<'a> Recorder<'a> {
    pub(crate) fn new(folder: &'a BrandFolder) -> Self {
        Self { folder, used: Mutex::default() }
    }

    /// The files that the page has used, each once, in the order of their first use.
    pub(crate) fn used(self) -> Vec<Used> {
        self.used.into_inner()
    }

    fn note(&self, role: Role, name: &str, file: &str, text: &str) {
        let mut used = self.used.lock();
        if !used.iter().any(|known| known.role == role && known.name == name) {
            let own = |text: &str| text.to_owned();
            used.push(Used { role, name: own(name), file: own(file), text: own(text) });
        }
    }

    fn included(&self, role: Role, name: &str) -> Option<(String, String)> {
        let (file, text) = self.folder.include(role, name)?;
        self.note(role, name, &file, &text);
        Some((file, text))
    }
}

impl ModuleSource for Recorder<'_> {
    fn module(&self, code: &str) -> Option<Result<Source, UnreadableModule>> {
        let found = self.folder.module(code)?;
        if let Ok(source) = &found {
            self.note(Role::Module, code, &source.file, &source.text);
        }
        Some(found)
    }

    fn module_codes(&self) -> Vec<String> {
        self.folder.module_codes()
    }
}

impl Includes for Recorder<'_> {
    fn layout(&self, name: &str) -> Option<(String, String)> {
        self.included(Role::Layout, name)
    }

    fn component(&self, name: &str) -> Option<(String, String)> {
        self.included(Role::Component, name)
    }

    fn layout_names(&self) -> Vec<String> {
        self.folder.layout_names()
    }

    fn component_names(&self) -> Vec<String> {
        self.folder.component_names()
    }

    fn page_names(&self) -> Vec<String> {
        self.folder.page_names()
    }

    fn layout_fault(&self, name: &str) -> Option<String> {
        self.folder.layout_fault(name)
    }
}

impl From<&Used> for Dependency {
    fn from(used: &Used) -> Self {
        let hash = hash(&used.text);
        Self { role: used.role, name: used.name.clone(), file: used.file.clone(), hash }
    }
}

/// The key of a page's content. `page` is the key of the page by itself.
pub(crate) fn content_key(page: &CacheKey, used: &[Dependency]) -> CacheKey {
    CacheKey::of(std::iter::once(page.as_bytes()).chain(used.iter().map(|used| used.hash.as_slice())))
}

fn hash(text: &str) -> [u8; 32] {
    CacheKey::of([text.as_bytes()]).into()
}

fn stem(file: &str) -> &str {
    file.strip_suffix(".html").or_else(|| file.strip_suffix(".js")).unwrap_or(file)
}
