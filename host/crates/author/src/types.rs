//! What editors and the TypeScript compiler need to check a brand's scripts: the globals'
//! types, a `jsconfig.json`, and the scripts of HTML files as JavaScript files with the same
//! lines and columns.

use std::fmt::Write as _;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use sluice_crm::CrmSchema;
use sluice_page::modules::{self, ScriptFileError};
use sluice_site::BrandFolder;
use sluice_text::source::Source;

use super::tools_dir;

/// The first line of what is written, and of nothing else: other files are not replaced.
const MARKER: &str = "// Written by `sluice types`, and written again when that runs.";
const DECLARATIONS: &str = "sluice.d.ts";
const PROJECT: &str = "jsconfig.json";
/// Types of everything that scripts and tests see, but for the brand's own CRM.
const GLOBALS: &str = include_str!("types/globals.d.ts");
const TEST_GLOBALS: &str = include_str!("types/test_globals.d.ts");

/// What was written for a brand.
pub struct Written {
    pub declarations: PathBuf,
    pub project: PathBuf,
    /// Scripts of HTML files, as files of their own.
    pub scripts: usize,
    /// HTML files whose scripts cannot be taken out; a sentence each.
    pub problems: Vec<String>,
}

/// Writes everything for the brand `id` of a site.
///
/// # Errors
/// A file that somebody else wrote is in the way (nothing is written then), `crm.toml` is not
/// valid, or a folder cannot be read or written.
pub fn write(site_dir: &Path, id: &str) -> anyhow::Result<Written> {
    let brand_dir = site_dir.join("brands").join(id);
    let declarations = brand_dir.join(DECLARATIONS);
    let project = brand_dir.join(PROJECT);
    for file in [&declarations, &project] {
        check_own(file)?;
    }
    let folder = BrandFolder::new(&brand_dir)?;
    let crm = read_crm(&brand_dir, id)?;
    let scripts = Scripts::of(&folder);
    let extracted = tools_dir::make(site_dir)?.join("types").join(id);
    let count = scripts.write(&extracted)?;
    let types = format!("{MARKER}\n{GLOBALS}{TEST_GLOBALS}{}", crm_types(&crm, scripts.make_entities));
    save(&declarations, &types)?;
    save(&project, &format!("{MARKER}\n{:#}\n", project_of(id)))?;
    Ok(Written { declarations, project, scripts: count, problems: scripts.problems })
}

fn save(file: &Path, text: &str) -> anyhow::Result<()> {
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    std::fs::write(file, text).with_context(|| file.display().to_string())
}

/// Only what was written here may be replaced.
fn check_own(file: &Path) -> anyhow::Result<()> {
    match std::fs::read_to_string(file) {
        Ok(text) if text.lines().next() == Some(MARKER) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error).with_context(|| file.display().to_string()),
        Ok(_) => bail!(
            "{}: this file was not written by `sluice types`, so it is left alone and nothing is written; \
             move it away, or put this line at its top to let it be replaced:\n{MARKER}",
            file.display()
        ),
    }
}

fn read_crm(brand_dir: &Path, id: &str) -> anyhow::Result<CrmSchema> {
    let path = brand_dir.join("crm.toml");
    let text = match std::fs::read_to_string(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        text => text.with_context(|| path.display().to_string())?,
    };
    Ok(CrmSchema::parse(&text, &format!("brands/{id}/crm.toml"))?)
}

/// The entities of `crm.toml` and their fields. Scripts may write fields that are not
/// declared; entities that are not declared there are only where scripts make some.
fn crm_types(crm: &CrmSchema, scripts_make_entities: bool) -> String {
    let mut out = String::from(
        "\n// --- this brand's CRM, from its crm.toml\n\n/** Entities and their declared fields. */\ninterface CrmFields {\n",
    );
    for entity in &crm.entities {
        let keys: Vec<String> =
            entity.fields.iter().map(|field| Value::from(field.key.as_str()).to_string()).collect();
        let keys = if keys.is_empty() { "never".to_owned() } else { keys.join(" | ") };
        // A comment must not end before its end.
        let name = entity.name.replace("*/", "* /").replace(['\n', '\r'], " ");
        let _ = writeln!(out, "  /** {name} */\n  {}: {keys};", Value::from(entity.slug.as_str()));
    }
    let is_open = scripts_make_entities || crm.entities.is_empty();
    let slug = if is_open { "keyof CrmFields | (string & {})" } else { "keyof CrmFields" };
    let _ = write!(
        out,
        "}}\n\n/** The slug of an entity. */\ntype CrmSlug = {slug};\n\n\
         /** The key of a field; one that is not declared may be used, too. */\n\
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
    /// File below the folder of scripts, and its text.
    files: Vec<(String, String)>,
    problems: Vec<String>,
    /// Whether some script adds entities to the CRM.
    make_entities: bool,
}

impl Scripts {
    fn of(folder: &BrandFolder) -> Self {
        let mut scripts = Self { files: Vec::new(), problems: Vec::new(), make_entities: false };
        let pages = folder.pages.iter().map(|file| format!("pages/{file}"));
        for file in folder.module_files().chain(pages) {
            let added = folder
                .source(&file)
                .map_err(|error| error.to_string())
                .and_then(|source| scripts.add(source).map_err(|error| error.to_string()));
            scripts.problems.extend(added.err());
        }
        scripts
    }

    fn add(&mut self, source: Source) -> Result<(), ScriptFileError> {
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

    /// Replaces what is in `folder`.
    fn write(&self, folder: &Path) -> anyhow::Result<usize> {
        match std::fs::remove_dir_all(folder) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(error).with_context(|| folder.display().to_string());
            }
            _ => {}
        }
        for (file, text) in &self.files {
            save(&folder.join(file), text)?;
        }
        Ok(self.files.len())
    }
}
