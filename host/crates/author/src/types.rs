//! Writes what editors and the TypeScript compiler need to check a brand's scripts: the types
//! of the globals, a `jsconfig.json`, and the scripts of HTML files as JavaScript files with the
//! same lines and columns.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use sluice_crm::CrmSchema;
use sluice_kit::folder::{Folder, FolderPath, OpenError, ReplaceError};
use sluice_page::modules;
use sluice_site::files::{self, FileError};
use sluice_site::{BrandFolder, brand_dir};
use sluice_text::source::Source;

use crate::{Cause, tools_dir};

/// The first line of every file that is written here, and the last line of every extracted script,
/// whose lines must keep their numbers. A file without this line belongs to the author and is neither
/// replaced nor deleted.
const MARKER: &str = "// Written by `sluice types`, and written again when that runs.";
/// No file that is written here is larger.
const FILE_BYTES_MAX: u64 = 32 << 20;
/// How many folders with extracted scripts may be in each other.
const DEPTH_MAX: usize = 70;
const DECLARATIONS: &str = "sluice.d.ts";
const PROJECT: &str = "jsconfig.json";
/// The types of all globals of scripts and tests, except those of the brand's own CRM.
const GLOBALS: [&str; 3] = [
    include_str!("types/globals.d.ts"),
    include_str!("types/web_globals.d.ts"),
    include_str!("types/test_globals.d.ts"),
];

/// What was written for a brand.
pub struct Written {
    /// The file with the types.
    pub declarations: PathBuf,
    /// The `jsconfig.json`.
    pub project: PathBuf,
    /// How many scripts of HTML files were written to JavaScript files.
    pub scripts: usize,
    /// One error for each HTML file whose script cannot be extracted. It names the file.
    pub problems: Vec<Cause>,
}

/// Why nothing, or not everything, was written.
#[derive(Debug, thiserror::Error)]
pub enum TypesError {
    /// A file with the same name belongs to the author. If it is not a script, nothing was written.
    #[error(
        "{}: this file was not written by `sluice types`, so it is left alone; move it away, or put this \
         line at its top (in `.sluice/`: at its end) to let `sluice types` replace it:\n{MARKER}",
        .0.display()
    )]
    NotOurs(PathBuf),
    /// A file or folder could not be read or written.
    #[error("{}", .0.display())]
    File(PathBuf, #[source] OpenError),
    /// Somebody else wrote a file at the same time.
    #[error("{}: it was changed at the same time; run `sluice types` again", .0.display())]
    Changed(PathBuf),
    /// The brand's folder cannot be read.
    #[error(transparent)]
    Folder(#[from] FileError),
    /// `crm.toml` is invalid.
    #[error(transparent)]
    Crm(Cause),
}

impl TypesError {
    fn of(folder: &Folder, file: &str) -> impl FnOnce(OpenError) -> Self {
        let path = folder.path().join(file);
        |error| Self::File(path, error)
    }
}

/// Writes the files for the brand `id` of a site.
///
/// # Errors
/// A file of the author's has the same name (then nothing is written), `crm.toml` is invalid,
/// or a folder cannot be read or written.
pub fn write(site_dir: &Path, id: &str) -> Result<Written, TypesError> {
    let dir = brand_dir(site_dir, id);
    let brand = dir.open().map_err(|error| TypesError::File(dir.path(), error))?;
    for file in [DECLARATIONS, PROJECT] {
        check_replaceable(&brand, file)?;
    }
    let folder = BrandFolder::new(&dir)?;
    let crm = read_crm(&dir, id)?;
    let scripts = Scripts::of(&folder);
    let below = format!("types/{id}");
    let site = Folder::open(site_dir).map_err(|error| TypesError::File(site_dir.to_owned(), error))?;
    let tools = tools_dir::make(&site).map_err(TypesError::of(&site, ".sluice"))?;
    let extracted = tools.make(&below).map_err(TypesError::of(&tools, &below))?;
    let count = scripts.write(&extracted)?;
    let types = format!("{MARKER}\n{}{}", GLOBALS.concat(), crm_types(&crm, scripts.make_entities));
    save(&brand, DECLARATIONS, &types, &has_marker)?;
    save(&brand, PROJECT, &format!("{MARKER}\n{:#}\n", project_of(id)), &has_marker)?;
    let [declarations, project] = [DECLARATIONS, PROJECT].map(|file| dir.path().join(file));
    Ok(Written { declarations, project, scripts: count, problems: scripts.problems })
}

/// Writes a file if it is missing or `is_ours`.
fn save(folder: &Folder, file: &str, text: &str, is_ours: &dyn Fn(&[u8]) -> bool) -> Result<(), TypesError> {
    let path = || folder.path().join(file);
    folder.write_ours(file, text.as_bytes(), is_ours).map_err(|error| match error {
        ReplaceError::NotOurs => TypesError::NotOurs(path()),
        ReplaceError::Changed => TypesError::Changed(path()),
        ReplaceError::Failed(error) => TypesError::File(path(), error),
    })
}

fn has_marker(content: &[u8]) -> bool {
    content.strip_prefix(MARKER.as_bytes()).is_some_and(|rest| rest.starts_with(b"\n"))
}

fn ends_with_marker(content: &[u8]) -> bool {
    content.trim_ascii_end().ends_with(MARKER.as_bytes())
}

/// Only a missing file, or one that was written here, may be replaced.
fn check_replaceable(folder: &Folder, file: &str) -> Result<(), TypesError> {
    match folder.read(file, FILE_BYTES_MAX) {
        Ok(content) if has_marker(&content) => Ok(()),
        Err(error) if error.is_missing() => Ok(()),
        Ok(_) | Err(OpenError::TooLarge(_)) => Err(TypesError::NotOurs(folder.path().join(file))),
        Err(error) => Err(TypesError::of(folder, file)(error)),
    }
}

fn read_crm(brand_dir: &FolderPath, id: &str) -> Result<CrmSchema, TypesError> {
    let text = match files::read(brand_dir, "crm.toml") {
        Err(error) if error.is_missing() => String::new(),
        read => read?.text,
    };
    let schema = CrmSchema::parse(&text, &format!("brands/{id}/crm.toml"));
    schema.map_err(|error| TypesError::Crm(error.into()))
}

/// The types of the entities in `crm.toml` and their fields.
///
/// A script may write any field. It may use other entities only if some script of the brand
/// creates entities, or `crm.toml` declares none.
fn crm_types(crm: &CrmSchema, scripts_make_entities: bool) -> String {
    let mut out = String::from(
        "\n// --- this brand's CRM, from its crm.toml\n\n/** Entities and their declared fields. */\ninterface CrmFields {\n",
    );
    for entity in &crm.entities {
        let keys: Vec<String> =
            entity.fields.iter().map(|field| Value::from(field.key.as_str()).to_string()).collect();
        let keys = if keys.is_empty() { "never".to_owned() } else { keys.join(" | ") };
        // The name is written into a comment, which it must not end.
        let name = entity.name.replace("*/", "* /").replace(['\n', '\r'], " ");
        let _ = writeln!(out, "  /** {name} */\n  {}: {keys};", Value::from(entity.slug.as_str()));
    }
    let is_open = scripts_make_entities || crm.entities.is_empty();
    let slug = if is_open { "keyof CrmFields | (string & {})" } else { "keyof CrmFields" };
    let _ = write!(
        out,
        "}}\n\n/** The slug of an entity. */\ntype CrmSlug = {slug};\n\n\
         /** The key of a field. Fields need not be declared. */\n\
         type CrmFieldKey<S> = (S extends keyof CrmFields ? CrmFields[S] : never) | (string & {{}});\n"
    );
    out
}

/// Settings for editors and for `tsc -p`.
fn project_of(id: &str) -> Value {
    let extracted = format!("../../.sluice/types/{id}");
    let modules = [format!("{extracted}/modules"), "./modules".into(), format!("{extracted}/pages")];
    let targets: Vec<String> = modules.iter().map(|folder| format!("{folder}/*")).collect();
    json!({
        "compilerOptions": {
            "target": "esnext",
            "lib": ["esnext"],
            "module": "esnext",
            "moduleResolution": "bundler",
            "moduleDetection": "force",
            "allowJs": true,
            "checkJs": true,
            "noEmit": true,
            "strict": false,
            "strictNullChecks": true,
            "types": [],
            "paths": { "*": targets },
            "rootDirs": modules,
        },
        "include": [DECLARATIONS, "modules/**/*.js", "pages/**/*.test.js", format!("{extracted}/**/*.js")],
    })
}

/// The scripts of a brand's HTML files.
struct Scripts {
    /// Each script's file, relative to the folder of all scripts, and its text.
    files: Vec<(String, String)>,
    problems: Vec<Cause>,
    /// Whether a script calls `ensureCrmEntity`.
    make_entities: bool,
}

impl Scripts {
    fn of(folder: &BrandFolder) -> Self {
        let mut scripts = Self { files: Vec::new(), problems: Vec::new(), make_entities: false };
        let pages = folder.pages.iter().map(|file| format!("pages/{file}"));
        for file in folder.module_files().chain(pages) {
            let added = folder.source(&file).map_err(Cause::from).and_then(|source| scripts.add(source));
            scripts.problems.extend(added.err());
        }
        scripts
    }

    fn add(&mut self, source: Source) -> Result<(), Cause> {
        let file = source.file.clone();
        let script = modules::script_file(source)?.script;
        self.make_entities |= script.contains("ensureCrmEntity");
        if let Some(stem) = file.strip_suffix(".html")
            && !script.trim().is_empty()
        {
            self.files.push((format!("{stem}.js"), script.to_string()));
        }
        Ok(())
    }

    /// Removes the scripts that were written into `folder` earlier, and writes these. Returns the
    /// number of files.
    fn write(&self, folder: &Folder) -> Result<usize, TypesError> {
        let is_ours = |folder: &Folder, file: &Path| {
            folder.read(file, FILE_BYTES_MAX).is_ok_and(|content| ends_with_marker(&content))
        };
        folder.remove_ours(DEPTH_MAX, &is_ours).map_err(TypesError::of(folder, ""))?;
        for (file, text) in &self.files {
            if let Some((below, _)) = file.rsplit_once('/') {
                folder.make(below).map_err(TypesError::of(folder, below))?;
            }
            save(folder, file, &format!("{text}\n{MARKER}\n"), &ends_with_marker)?;
        }
        Ok(self.files.len())
    }
}
