//! The Hosts that a brand claims, and when two brands cannot have what they claim.

use crate::domain::{Domain, Fit};

/// The Hosts that a brand claims.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hosts {
    domains: Vec<Domain>,
    is_default: bool,
    /// Whether `[brands.NAME] domains` in `sluice.toml` lists the domains.
    is_operators: bool,
}

/// What two brands both claim.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostClash {
    /// Every Host that no brand lists.
    #[error("set `default = true`")]
    Default,
    /// One domain.
    #[error("list the domain {0}")]
    Domain(Domain),
    /// A domain, and a wildcard that includes it.
    #[error("claim {narrow}, which {wide} includes")]
    Overlap {
        /// The domain.
        narrow: Domain,
        /// The wildcard.
        wide: Domain,
    },
    /// A domain that `sluice.toml` gives to one of them.
    #[error("claim {0}, which sluice.toml gives to {1}")]
    Operators(Domain, String),
}

impl Hosts {
    /// What `brand.toml` claims.
    pub fn of_brand(domains: Vec<Domain>, is_default: bool) -> Self {
        Self { domains, is_default, is_operators: false }
    }

    /// What the brand has if the operator lists its domains. `None` leaves the decision to the brand.
    #[must_use]
    pub fn decided_by(self, operator: Option<&[Domain]>) -> Self {
        match operator {
            Some(domains) => Self { domains: domains.to_vec(), is_operators: true, ..self },
            None => self,
        }
    }

    /// Whether the operator lists the domains.
    pub fn is_operators(&self) -> bool {
        self.is_operators
    }

    /// Whether the brand serves every Host that no brand lists.
    pub fn is_default(&self) -> bool {
        self.is_default
    }

    /// A Host that the brand serves. `None` if it serves none.
    pub fn example(&self) -> Option<String> {
        let own = self.domains.first().map(Domain::example);
        own.or_else(|| self.is_default.then(|| "localhost".to_owned()))
    }

    /// How well the best matching domain matches `host`. The operator's domains come first.
    pub(crate) fn fit(&self, host: &str) -> Option<(bool, Fit)> {
        let fit = self.domains.iter().filter_map(|domain| domain.fit(host)).max()?;
        Some((self.is_operators, fit))
    }

    /// Why these Hosts cannot be served besides those of the brand `first`, which has precedence.
    pub fn clash(&self, first: &Self, first_id: &str) -> Option<HostClash> {
        if self.is_default && first.is_default {
            return Some(HostClash::Default);
        }
        self.domains.iter().find_map(|own| self.clash_of(own, first, first_id))
    }

    fn clash_of(&self, own: &Domain, first: &Self, first_id: &str) -> Option<HostClash> {
        first.domains.iter().find_map(|other| match (self.is_operators, first.is_operators) {
            // The operator chose both, and the more specific one takes precedence.
            (true, true) | (true, false) => None,
            // An operator's domain may also be a part of what another brand claims.
            (false, true) => {
                other.covers(own).then(|| HostClash::Operators(own.clone(), first_id.to_owned()))
            }
            (false, false) if own == other => Some(HostClash::Domain(own.clone())),
            (false, false) if other.covers(own) => {
                Some(HostClash::Overlap { narrow: own.clone(), wide: other.clone() })
            }
            (false, false) => {
                own.covers(other).then(|| HostClash::Overlap { narrow: other.clone(), wide: own.clone() })
            }
        })
    }

    /// What is left without the claims that clash with those of `first`.
    #[must_use]
    pub fn without(&self, first: &Self, first_id: &str) -> Self {
        let is_free = |own: &&Domain| self.clash_of(own, first, first_id).is_none();
        Self {
            domains: self.domains.iter().filter(is_free).cloned().collect(),
            is_default: self.is_default && !first.is_default,
            is_operators: self.is_operators,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domains(names: &[&str]) -> Vec<Domain> {
        names.iter().map(|name| Domain::try_from((*name).to_owned()).unwrap()).collect()
    }

    fn own(names: &[&str]) -> Hosts {
        Hosts::of_brand(domains(names), false)
    }

    fn operators(names: &[&str]) -> Hosts {
        own(&["ignored.example"]).decided_by(Some(&domains(names)))
    }

    #[test]
    fn brands_cannot_claim_hosts_that_another_brand_claims() {
        let clash = |hosts: &Hosts, first: &Hosts| hosts.clash(first, "shop").map(|clash| clash.to_string());
        let told = |text: &str| Some(text.to_owned());
        let overlap = told("claim victim.example.com, which *.example.com includes");
        assert_eq!(clash(&own(&["victim.example.com"]), &own(&["*.example.com"])), overlap);
        assert_eq!(clash(&own(&["*.example.com"]), &own(&["victim.example.com"])), overlap);
        assert_eq!(
            clash(&own(&["*.a.example.com"]), &own(&["*.example.com"])),
            told("claim *.a.example.com, which *.example.com includes")
        );
        assert_eq!(clash(&own(&["a.ex", "*.b.ex"]), &own(&["*.b.ex"])), told("list the domain *.b.ex"));
        for other in ["example.com", "*.com.example", "*.xample.com", "aexample.com"] {
            assert_eq!(clash(&own(&[other]), &own(&["*.example.com"])), None, "{other}");
        }
        let default = Hosts::of_brand(Vec::new(), true);
        assert_eq!(clash(&default, &default), told("set `default = true`"));
    }

    #[test]
    fn operator_decides() {
        let clash = |hosts: &Hosts, first: &Hosts| hosts.clash(first, "shop").map(|clash| clash.to_string());
        let taken = Some("claim victim.example.com, which sluice.toml gives to shop".to_owned());
        assert_eq!(clash(&own(&["victim.example.com"]), &operators(&["*.example.com"])), taken);
        assert_eq!(clash(&own(&["victim.example.com"]), &operators(&["victim.example.com"])), taken);
        assert_eq!(clash(&own(&["*.example.com"]), &operators(&["blog.example.com"])), None);
        assert_eq!(clash(&operators(&["blog.example.com"]), &operators(&["*.example.com"])), None);
        let wide = own(&["*.example.com"]).fit("blog.example.com");
        assert!(operators(&["*.com"]).fit("blog.example.com") > wide);
        assert_eq!(operators(&["a.ex"]).fit("ignored.example"), None);
    }

    #[test]
    fn keeps_the_claims_that_do_not_clash() {
        let hosts = Hosts::of_brand(domains(&["a.ex", "victim.example.com"]), true);
        let first = Hosts::of_brand(domains(&["*.example.com"]), true);
        assert_eq!(hosts.without(&first, "shop"), own(&["a.ex"]));
    }
}
