//! Writes what editors and the TypeScript compiler need to check a brand's scripts: the types
//! of the globals, a `jsconfig.json`, and the scripts of HTML files as JavaScript files with the
//! same lines and columns.

use std::fmt::Write as _;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use sluice_crm::CrmSchema;
use sluice_page::modules;
use sluice_site::BrandFolder;
use sluice_site::files::FileError;
use sluice_text::source::Source;

use crate::{Cause, tools_dir};

/// The first line of every file that is written here. A file with another first line belongs
/// to the author and is not replaced.
const MARKER: &str = "// Written by `sluice types`, and written again when that runs.";
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
    /// A file with the same name belongs to the author. Nothing was written.
    #[error(
        "{}: this file was not written by `sluice types`, so nothing is written; \
         move it away, or put this line at its top to let `sluice types` replace it:\n{MARKER}",
        .0.display()
    )]
    NotOurs(PathBuf),
    /// A file or folder could not be read or written.
    #[error("{}", .0.display())]
    File(PathBuf, #[source] io::Error),
    /// The brand's folder cannot be read.
    #[error(transparent)]
    Folder(#[from] FileError),
    /// `crm.toml` is invalid.
    #[error(transparent)]
    Crm(Cause),
}

impl TypesError {
    fn of(path: &Path) -> impl FnOnce(io::Error) -> Self {
        |error| Self::File(path.to_owned(), error)
    }
}

/// Writes the files for the brand `id` of a site.
///
/// # Errors
/// A file of the author's has the same name (then nothing is written), `crm.toml` is invalid,
/// or a folder cannot be read or written.
pub fn write(site_dir: &Path, id: &str) -> Result<Written, TypesError> {
    let brand_dir = site_dir.join("brands").join(id);
    let declarations = brand_dir.join(DECLARATIONS);
    let project = brand_dir.join(PROJECT);
    for file in [&declarations, &project] {
        check_replaceable(file)?;
    }
    let folder = BrandFolder::new(&brand_dir)?;
    let crm = read_crm(&brand_dir, id)?;
    let scripts = Scripts::of(&folder);
    let extracted = tools_dir::make(site_dir).map_err(TypesError::of(site_dir))?.join("types").join(id);
    let count = scripts.write(&extracted)?;
    let types = format!("{MARKER}\n{}{}", GLOBALS.concat(), crm_types(&crm, scripts.make_entities));
    save(&declarations, &types)?;
    save(&project, &format!("{MARKER}\n{:#}\n", project_of(id)))?;
    Ok(Written { declarations, project, scripts: count, problems: scripts.problems })
}

fn save(file: &Path, text: &str) -> Result<(), TypesError> {
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder).map_err(TypesError::of(folder))?;
    }
    std::fs::write(file, text).map_err(TypesError::of(file))
}

/// Only a missing file, or one that was written here, may be replaced.
fn check_replaceable(file: &Path) -> Result<(), TypesError> {
    match std::fs::read_to_string(file) {
        Ok(text) if text.lines().next() == Some(MARKER) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(TypesError::of(file)(error)),
        Ok(_) => Err(TypesError::NotOurs(file.to_owned())),
    }
}

fn read_crm(brand_dir: &Path, id: &str) -> Result<CrmSchema, TypesError> {
    let path = brand_dir.join("crm.toml");
    let text = match std::fs::read_to_string(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        text => text.map_err(TypesError::of(&path))?,
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

    /// Replaces the contents of `folder`. Returns the number of files.
    fn write(&self, folder: &Path) -> Result<usize, TypesError> {
        match std::fs::remove_dir_all(folder) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(TypesError::of(folder)(error)),
            _ => {}
        }
        for (file, text) in &self.files {
            save(&folder.join(file), text)?;
        }
        Ok(self.files.len())
    }
}
