//! Secrets that operators give to the scripts of a brand: `secrets.get(name)`.
//!
//! A secret is `SLUICE_SECRET_<BRAND>_<NAME>` in the environment (in upper case, with `_` for
//! `-`), or `NAME = "value"` in `<brand>.toml` in the secrets folder. Only the owner may be able
//! to read that file. The environment overrides the file. Values do not reach logs and the
//! output of tools by mistake: [`BrandSecrets::mask`] replaces them in every text that a run leaves
//! behind, apart from what it sends to the visitor and stores.

mod masks;
mod placeholders;

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sluice_fetch::HostPattern;
use sluice_kit::folder::{Folder, OpenError};
use sluice_kit::operator_dir::{OperatorDir, OperatorDirError};

use masks::Masks;
use placeholders::Placeholders;

const VARIABLE: &str = "SLUICE_SECRET_";
/// Shorter values are rejected: they occur in unrelated text, too, so they could not be masked.
const VALUE_BYTES_MIN: usize = 6;
/// A file of secrets must be smaller.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Why the secrets could not be read. Never contains the value of a secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// A file cannot be read.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: OpenError,
    },
    /// A file is a link into the site.
    #[error(transparent)]
    Place(#[from] OperatorDirError),
    /// Other users than the owner can read a file.
    #[error("{} can be read by others: run `chmod 600` on it", .0.display())]
    ReadableByOthers(PathBuf),
    /// The value of a variable is too short.
    #[error("{variable}: {}", SecretMistake::Short(*.bytes))]
    ShortVariable {
        /// The variable.
        variable: String,
        /// The length of its value.
        bytes: usize,
    },
    /// A line of a file is not valid.
    #[error("{}, line {line}: {mistake}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        mistake: SecretMistake,
    },
}

/// What is wrong with a line of a secrets file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretMistake {
    /// The line is not TOML of a name and a string.
    #[error("a line must be NAME = \"value\"")]
    Syntax,
    /// The name has other characters than letters, digits and `_`.
    #[error("a name may contain only letters, digits and _")]
    Name,
    /// The value has so few bytes that it cannot be masked.
    #[error(
        "a secret of {0} bytes cannot be recognized in logs: use at least {VALUE_BYTES_MIN} bytes, or \
         `[variables]` in brand.toml if the value is not secret"
    )]
    Short(usize),
}

/// The secrets of one brand, by upper-case name. `Debug` shows the names only.
#[derive(Default)]
pub struct BrandSecrets {
    by_name: BTreeMap<String, String>,
    masks: Masks,
    placeholders: Placeholders,
}

/// The secrets of all brands.
#[derive(Debug, Default, Clone)]
pub struct Secrets(HashMap<String, Arc<BrandSecrets>>);

impl Secrets {
    /// Reads the secrets of `brands` from the files in `dir` and from `environment`. Also returns the brands
    /// whose secrets cannot be used, with the reason: a file cannot be read, is not TOML of names and
    /// strings, or is readable by others. These brands have no secrets.
    pub fn load(
        brands: &[&str],
        environment: impl Iterator<Item = (String, String)>,
        dir: Option<&OperatorDir>,
    ) -> (Self, BTreeMap<String, SecretsError>) {
        let mut of_environment: HashMap<&str, Vec<Variable>> = HashMap::new();
        for (variable, value) in environment {
            if let Some((brand, name)) = owner(brands, &variable) {
                let name = name.to_owned();
                of_environment.entry(brand).or_default().push(Variable { name, variable, value });
            }
        }
        let (mut all, mut errors) = (HashMap::new(), BTreeMap::new());
        for brand in brands {
            let variables = of_environment.remove(brand).unwrap_or_default();
            match of_brand(brand, variables, dir) {
                Ok(secrets) => drop(all.insert((*brand).to_owned(), Arc::new(secrets))),
                Err(error) => drop(errors.insert((*brand).to_owned(), error)),
            }
        }
        (Self(all), errors)
    }

    /// Keeps the secrets that a brand has in `old`.
    pub fn keep(&mut self, brand: &str, old: &Self) {
        self.0.insert(brand.to_owned(), old.of(brand));
    }

    /// Hides secrets of a brand from its scripts. They can be sent to these hosts only.
    pub fn hide(&mut self, brand: &str, hosts: &BTreeMap<String, Vec<HostPattern>>) {
        if let Some(secrets) = self.0.get_mut(brand) {
            let placeholders = Placeholders::new(hosts);
            let BrandSecrets { by_name, masks, .. } = secrets.as_ref();
            *secrets =
                Arc::new(BrandSecrets { by_name: by_name.clone(), masks: masks.clone(), placeholders });
        }
    }

    /// The secrets of a brand. An unknown brand has none.
    pub fn of(&self, brand: &str) -> Arc<BrandSecrets> {
        self.0.get(brand).cloned().unwrap_or_default()
    }
}

impl BrandSecrets {
    fn new(by_name: BTreeMap<String, String>) -> Self {
        Self { masks: Masks::new(&by_name), by_name, placeholders: Placeholders::default() }
    }

    /// The value of a secret that scripts may read. Names are not case-sensitive.
    pub fn get(&self, name: &str) -> Option<&str> {
        let name = name.to_ascii_uppercase();
        self.by_name.get(&name).filter(|_| !self.placeholders.has(&name)).map(String::as_str)
    }

    /// Whether scripts can only send the secret with this name, and not read it.
    pub fn is_hidden(&self, name: &str) -> bool {
        self.placeholders.has(&name.to_ascii_uppercase())
    }

    /// The placeholder of a secret that scripts cannot read. `None` if the operator gives no value to it, or
    /// if `brand.toml` names no hosts for it.
    pub fn placeholder(&self, name: &str) -> Option<String> {
        let name = name.to_ascii_uppercase();
        self.by_name.get(&name).and_then(|_| self.placeholders.of(&name))
    }

    /// Replaces the value of every secret in `text` by its name, also if the value is encoded or
    /// if the text was cut in the middle of a value.
    pub fn mask<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.mask_within(text, usize::MAX)
    }

    /// Does the same, and cuts the result after `bytes_max` bytes. Reads little more than that.
    pub fn mask_within<'a>(&self, text: &'a str, bytes_max: usize) -> Cow<'a, str> {
        self.masks.replace(text, bytes_max)
    }

    /// Replaces secrets in all texts, names and numbers of `value`.
    pub fn mask_value(&self, value: &mut serde_json::Value) {
        self.masks.replace_in(value);
    }
}

impl std::fmt::Debug for BrandSecrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BrandSecrets({:?})", self.by_name.keys().collect::<Vec<_>>())
    }
}

/// A secret in the environment.
struct Variable {
    name: String,
    /// The name of the variable, for errors.
    variable: String,
    value: String,
}

/// The secrets of one brand. `variables` are those of the environment that belong to it.
fn of_brand(
    brand: &str,
    variables: Vec<Variable>,
    dir: Option<&OperatorDir>,
) -> Result<BrandSecrets, SecretsError> {
    let file = dir.map(|dir| dir.file(format!("{brand}.toml"))).transpose()?;
    let mut secrets = file.map(|file| read(file.path())).transpose()?.unwrap_or_default();
    for Variable { name, variable, value } in variables {
        if is_short(&value) {
            return Err(SecretsError::ShortVariable { variable, bytes: value.len() });
        }
        secrets.insert(name, value);
    }
    Ok(BrandSecrets::new(secrets))
}

/// The brand that a variable belongs to, and the secret's name. `SLUICE_SECRET_A_B_C` is `C` of
/// brand `a-b` if that brand exists, and otherwise `B_C` of brand `a`. No brand can read the
/// secrets of another.
fn owner<'a, 'b>(brands: &[&'a str], variable: &'b str) -> Option<(&'a str, &'b str)> {
    let rest = variable.strip_prefix(VARIABLE)?;
    let claims = brands.iter().filter_map(|brand| {
        let prefix = brand.to_ascii_uppercase().replace('-', "_");
        let name = rest.strip_prefix(&prefix)?.strip_prefix('_')?;
        Some((*brand, name)).filter(|_| is_name(name))
    });
    claims.max_by_key(|(brand, _)| brand.len())
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Whether a value is too short to be masked. An empty value needs no mask.
fn is_short(value: &str) -> bool {
    (1..VALUE_BYTES_MIN).contains(&value.len())
}

fn read(path: &Path) -> Result<BTreeMap<String, String>, SecretsError> {
    let failed = |source| SecretsError::File { path: path.to_owned(), source };
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return Ok(BTreeMap::new()) };
    let file = match Folder::open(folder).and_then(|folder| folder.file(name)) {
        Err(error) if error.is_missing() => return Ok(BTreeMap::new()),
        opened => opened.map_err(failed)?,
    };
    let mode = file.metadata().map_err(|error| failed(error.into()))?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(SecretsError::ReadableByOthers(path.to_owned()));
    }
    let mut text = String::new();
    file.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(|error| failed(error.into()))?;
    if text.len() as u64 == FILE_BYTES_MAX {
        return Err(failed(OpenError::TooLarge(FILE_BYTES_MAX)));
    }
    // The parser's own message would quote the line, and the secret in it.
    let invalid = |offset: usize, mistake| SecretsError::Invalid {
        path: path.to_owned(),
        line: text.get(..offset).unwrap_or_default().matches('\n').count() + 1,
        mistake,
    };
    let pairs: BTreeMap<String, toml::Spanned<String>> = toml::from_str(&text)
        .map_err(|error| invalid(error.span().map_or(0, |span| span.start), SecretMistake::Syntax))?;
    let mut secrets = BTreeMap::new();
    for (name, value) in pairs {
        if !is_name(&name) {
            return Err(invalid(value.span().start, SecretMistake::Name));
        }
        if is_short(value.get_ref()) {
            return Err(invalid(value.span().start, SecretMistake::Short(value.get_ref().len())));
        }
        secrets.insert(name.to_ascii_uppercase(), value.into_inner());
    }
    Ok(secrets)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(pairs: &[(&str, &str)]) -> std::vec::IntoIter<(String, String)> {
        let own = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        own.collect::<Vec<_>>().into_iter()
    }

    /// The secrets of all brands, if none of them has a mistake.
    fn load(
        brands: &[&str],
        environment: impl Iterator<Item = (String, String)>,
        dir: Option<&OperatorDir>,
    ) -> Result<Secrets, SecretsError> {
        let (secrets, errors) = Secrets::load(brands, environment, dir);
        errors.into_values().next().map_or(Ok(secrets), Err)
    }

    fn file(text: &str, mode: u32) -> (tempfile::TempDir, OperatorDir) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("shop.toml");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let folder = OperatorDir::outside(&dir.path().join("site"), dir.path()).unwrap();
        (dir, folder)
    }

    #[test]
    fn brand_reads_only_its_own_secrets() {
        let environment =
            [("SLUICE_SECRET_A_B_C", "of a-b"), ("SLUICE_SECRET_A_KEY", "only of a"), ("A_KEY", "x")];
        let secrets = load(&["a", "a-b"], variables(&environment), None).unwrap();
        assert_eq!(secrets.of("a-b").get("c"), Some("of a-b"));
        assert_eq!((secrets.of("a").get("B_C"), secrets.of("a").get("key")), (None, Some("only of a")));
        assert_eq!(secrets.of("other").get("key"), None);
        let alone = load(&["a"], variables(&environment), None).unwrap();
        assert_eq!(alone.of("a").get("b_c"), Some("of a-b"));
    }

    #[test]
    fn environment_overrides_the_file() {
        let (_dir, folder) = file("api_key = \"from the file\"\nother = \"another\"\n", 0o600);
        let environment = variables(&[("SLUICE_SECRET_SHOP_API_KEY", "from outside")]);
        let secrets = load(&["shop"], environment, Some(&folder)).unwrap().of("shop");
        assert_eq!((secrets.get("API_KEY"), secrets.get("Other")), (Some("from outside"), Some("another")));
    }

    #[test]
    fn mistake_of_one_brand_leaves_the_secrets_of_others() {
        let (_dir, folder) = file("a = \"12345\"", 0o600);
        let environment = variables(&[("SLUICE_SECRET_A_KEY", "of brand a"), ("SLUICE_SECRET_C_PIN", "1")]);
        let (mut secrets, errors) = Secrets::load(&["a", "c", "shop"], environment, Some(&folder));
        assert_eq!(errors.keys().collect::<Vec<_>>(), ["c", "shop"]);
        assert_eq!(secrets.of("a").get("key"), Some("of brand a"));
        assert_eq!(secrets.of("shop").get("a"), None);
        let old = load(&["shop"], variables(&[("SLUICE_SECRET_SHOP_A", "before")]), None).unwrap();
        secrets.keep("shop", &old);
        assert_eq!(secrets.of("shop").get("a"), Some("before"));
    }

    #[test]
    fn rejects_file_that_others_can_read() {
        let (_dir, folder) = file("a = \"b\"", 0o640);
        let error = load(&["shop"], variables(&[]), Some(&folder)).unwrap_err();
        assert!(
            error.to_string().ends_with("shop.toml can be read by others: run `chmod 600` on it"),
            "{error}"
        );
    }

    #[test]
    fn errors_name_the_line_and_not_the_secret() {
        for (text, line) in
            [("a = \"x\"\nb = hunter2\n", 2), ("\n\nb = 12345\n", 3), ("\"a b\" = \"hunter2\"", 1)]
        {
            let (_dir, folder) = file(text, 0o600);
            let error = load(&["shop"], variables(&[]), Some(&folder)).unwrap_err().to_string();
            assert!(error.contains(&format!("shop.toml, line {line}: ")), "{error}");
            assert!(!error.contains("hunter2") && !error.contains("12345"), "{error}");
        }
    }

    #[test]
    fn masks_values_in_logged_text() {
        let environment = variables(&[("SLUICE_SECRET_A_KEY", "s3cr3t-key"), ("SLUICE_SECRET_A_NONE", "")]);
        let secrets = load(&["a"], environment, None).unwrap().of("a");
        assert_eq!(secrets.mask("key s3cr3t-key, a"), "key [secret KEY], a");
        assert_eq!(secrets.get("none"), Some(""));
        assert_eq!(format!("{secrets:?}"), r#"BrandSecrets(["KEY", "NONE"])"#);
    }

    #[test]
    fn rejects_values_that_are_too_short_to_be_masked() {
        let error = load(&["a"], variables(&[("SLUICE_SECRET_A_PIN", "12345")]), None).unwrap_err();
        let error = error.to_string();
        assert!(error.starts_with("SLUICE_SECRET_A_PIN: a secret of 5 bytes cannot be"), "{error}");
        assert!(!error.contains("12345"), "{error}");
        load(&["a"], variables(&[("SLUICE_SECRET_A_PIN", "123456")]), None).unwrap();
        let (_dir, folder) = file("a = \"long enough\"\nb = \"12345\"\n", 0o600);
        let error = load(&["shop"], variables(&[]), Some(&folder)).unwrap_err().to_string();
        assert!(error.contains("shop.toml, line 2: a secret of 5 bytes"), "{error}");
    }
}
