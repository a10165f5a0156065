//! Secrets that scripts send and never see: a placeholder stands for one in a header, and the host replaces it.

use std::collections::BTreeMap;

use sluice_fetch::HostPattern;
use sluice_kit::hex::hex;

use super::BrandSecrets;

const START: &str = "sluice-secret(";
const MARK_BYTES: usize = 16;

/// The secrets of a brand that scripts cannot read.
#[derive(Default)]
pub(super) struct Placeholders {
    /// Random, so that nobody but the brand's scripts can write a placeholder: not a visitor whose text a
    /// script copies into a header.
    mark: String,
    /// The hosts of each secret, by upper-case name.
    hosts: BTreeMap<String, Vec<HostPattern>>,
}

impl Placeholders {
    pub(super) fn new(hosts: &BTreeMap<String, Vec<HostPattern>>) -> Self {
        let mut mark = [0; MARK_BYTES];
        let hosts = hosts.iter().map(|(name, hosts)| (name.to_ascii_uppercase(), hosts.clone())).collect();
        // Without random numbers, there are no placeholders.
        match getrandom::fill(&mut mark) {
            Ok(()) => Self { mark: hex(&mark), hosts },
            Err(_) => Self { mark: String::new(), hosts },
        }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.hosts.contains_key(name)
    }

    pub(super) fn of(&self, name: &str) -> Option<String> {
        (self.has(name) && !self.mark.is_empty()).then(|| format!("{START}{}:{name})", self.mark))
    }
}

impl sluice_fetch::Placeholders for BrandSecrets {
    fn filled(&self, value: &str, host: &str, port: u16) -> Result<Option<String>, String> {
        let Placeholders { mark, hosts } = &self.placeholders;
        if mark.is_empty() {
            return Ok(None);
        }
        let start = format!("{START}{mark}:");
        let mut parts = value.split(start.as_str());
        let mut filled = parts.next().unwrap_or_default().to_owned();
        let mut has_any = false;
        for part in parts {
            has_any = true;
            let (name, rest) = part.split_once(')').unwrap_or((part, ""));
            let is_named = |hosts: &Vec<HostPattern>| hosts.iter().any(|one| one.allows_host(host, port));
            let allowed = hosts.get(name).is_some_and(is_named);
            let secret = self.by_name.get(name).filter(|_| allowed).ok_or_else(|| name.to_owned())?;
            filled.push_str(secret);
            filled.push_str(rest);
        }
        Ok(has_any.then_some(filled))
    }
}

#[cfg(test)]
mod tests {
    use sluice_fetch::Placeholders as _;

    use super::super::Secrets;
    use super::*;

    fn secrets() -> std::sync::Arc<BrandSecrets> {
        let environment = [("SLUICE_SECRET_A_KEY", "s3cr3t-key"), ("SLUICE_SECRET_A_OPEN", "open-value")];
        let environment = environment.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        let (mut secrets, _) = Secrets::load(&["a"], environment, None);
        let hosts = vec![HostPattern::try_from("*.example".to_owned()).unwrap()];
        secrets
            .hide("a", &BTreeMap::from([("key".to_owned(), hosts.clone()), ("MISSING".to_owned(), hosts)]));
        secrets.of("a")
    }

    #[test]
    fn scripts_get_a_placeholder_instead_of_the_value() {
        let secrets = secrets();
        assert_eq!((secrets.get("KEY"), secrets.get("open")), (None, Some("open-value")));
        let placeholder = secrets.placeholder("key").unwrap();
        assert!(!placeholder.contains("s3cr3t"), "{placeholder}");
        assert_eq!((secrets.placeholder("OPEN"), secrets.placeholder("MISSING")), (None, None));
    }

    #[test]
    fn placeholder_is_replaced_for_its_hosts_only() {
        let secrets = secrets();
        let placeholder = secrets.placeholder("KEY").unwrap();
        let header = format!("Bearer {placeholder}; again {placeholder}.");
        let filled = secrets.filled(&header, "api.example", 443).unwrap();
        assert_eq!(filled.as_deref(), Some("Bearer s3cr3t-key; again s3cr3t-key."));
        assert_eq!(secrets.filled(&header, "example", 443), Err("KEY".into()));
        assert_eq!(secrets.filled(&header, "api.example.evil", 443), Err("KEY".into()));
        // A port that is not named belongs to another server.
        assert_eq!(secrets.filled(&header, "api.example", 8443), Err("KEY".into()));
        assert!(secrets.filled(&header, "api.example", 80).is_ok());
        assert_eq!(secrets.filled("nothing", "evil", 443), Ok(None));
        // What others write is text.
        let forged = format!("{START}{}:KEY)", "0".repeat(2 * MARK_BYTES));
        assert_eq!(secrets.filled(&forged, "api.example", 443), Ok(None));
        let cut = placeholder.trim_end_matches(')');
        assert_eq!(secrets.filled(cut, "api.example", 443).unwrap().as_deref(), Some("s3cr3t-key"));
        let other = placeholder.replace("KEY", "OPEN");
        assert_eq!(secrets.filled(&other, "api.example", 443), Err("OPEN".into()));
    }
}
