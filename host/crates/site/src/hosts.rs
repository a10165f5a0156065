//! The Hosts that a brand claims, and when two brands cannot have what they claim.

use serde::{Deserialize, Serialize};

use crate::domain::{Domain, Fit};

/// The Hosts that a brand claims.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hosts {
    domains: Vec<Domain>,
    is_default: bool,
    /// Whether `[brands.NAME] domains` in `sluice.toml` lists the domains.
    is_operators: bool,
    /// Parts of the domains that no brand serves, because another brand claims them, too.
    contested: Vec<Domain>,
    is_default_contested: bool,
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
        Self { domains, is_default, ..Self::default() }
    }

    /// What the brand has if the operator lists its domains. `None` leaves the decision to the brand.
    #[must_use]
    pub fn decided_by(self, operator: Option<&[Domain]>) -> Self {
        match operator {
            Some(domains) => Self { domains: domains.to_vec(), is_operators: true, ..self },
            None => self,
        }
    }

    /// The domains, also those that are contested.
    pub(crate) fn domains(&self) -> &[Domain] {
        &self.domains
    }

    /// Whether the operator lists the domains.
    pub fn is_operators(&self) -> bool {
        self.is_operators
    }

    /// Whether the brand serves every Host that no brand lists.
    pub fn is_default(&self) -> bool {
        self.is_default && !self.is_default_contested
    }

    /// A Host that the brand serves. `None` if it serves none.
    pub fn example(&self) -> Option<String> {
        let is_served = |host: &String| self.contested_fit(host) < self.fit(host).map(|(_, fit)| fit);
        let own = self.domains.iter().map(Domain::example).find(is_served);
        own.or_else(|| self.is_default().then(|| "localhost".to_owned()))
    }

    /// How well the best matching domain matches `host`. The operator's domains come first.
    pub(crate) fn fit(&self, host: &str) -> Option<(bool, Fit)> {
        let fit = self.domains.iter().filter_map(|domain| domain.fit(host)).max()?;
        Some((self.is_operators, fit))
    }

    /// How well the best matching contested domain matches `host`.
    pub(crate) fn contested_fit(&self, host: &str) -> Option<Fit> {
        self.contested.iter().filter_map(|domain| domain.fit(host)).max()
    }

    /// Everything that the brand `other` claims, too, unless the operator gives it to this brand.
    pub fn clashes(&self, other: &Self, other_id: &str) -> impl Iterator<Item = HostClash> {
        let default = (self.is_default && other.is_default).then_some(HostClash::Default);
        default
            .into_iter()
            .chain(self.domains.iter().flat_map(move |own| self.clashes_of(own, other, other_id)))
    }

    fn clashes_of(&self, own: &Domain, other: &Self, other_id: &str) -> impl Iterator<Item = HostClash> {
        other.domains.iter().filter_map(move |theirs| match (self.is_operators, other.is_operators) {
            // The operator chose both, and the more specific one takes precedence.
            (true, true) | (true, false) => None,
            // An operator's domain may also be a part of what another brand claims.
            (false, true) => {
                theirs.covers(own).then(|| HostClash::Operators(own.clone(), other_id.to_owned()))
            }
            (false, false) if own == theirs => Some(HostClash::Domain(own.clone())),
            (false, false) if theirs.covers(own) => {
                Some(HostClash::Overlap { narrow: own.clone(), wide: theirs.clone() })
            }
            (false, false) => {
                own.covers(theirs).then(|| HostClash::Overlap { narrow: theirs.clone(), wide: own.clone() })
            }
        })
    }

    /// Whether these Hosts include all of what two brands claim.
    pub fn serve(&self, claimed: &HostClash) -> bool {
        match claimed {
            HostClash::Default => self.is_default(),
            HostClash::Domain(domain)
            | HostClash::Overlap { narrow: domain, .. }
            | HostClash::Operators(domain, _) => {
                let covers = |own: &Domain| own.covers(domain);
                self.domains.iter().any(covers) && !self.contested.iter().any(covers)
            }
        }
    }

    /// The same claims, of which nobody serves those that are contested.
    #[must_use]
    pub fn contested(&self, claims: &[HostClash]) -> Self {
        let domains = claims.iter().filter_map(|claim| match claim {
            HostClash::Domain(domain) | HostClash::Overlap { narrow: domain, .. } => Some(domain.clone()),
            HostClash::Default | HostClash::Operators(..) => None,
        });
        let is_default_contested = claims.contains(&HostClash::Default);
        Self { contested: domains.collect(), is_default_contested, ..self.clone() }
    }

    /// What is left without the claims that clash with those of `first`.
    #[must_use]
    pub fn without(&self, first: &Self, first_id: &str) -> Self {
        let is_free = |own: &&Domain| self.clashes_of(own, first, first_id).next().is_none();
        Self {
            domains: self.domains.iter().filter(is_free).cloned().collect(),
            is_default: self.is_default && !first.is_default,
            ..self.clone()
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
        let clash =
            |hosts: &Hosts, first: &Hosts| hosts.clashes(first, "shop").next().map(|clash| clash.to_string());
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
        let clash =
            |hosts: &Hosts, first: &Hosts| hosts.clashes(first, "shop").next().map(|clash| clash.to_string());
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
    fn contested_claims_are_served_by_nobody() {
        let claims = |hosts: &Hosts, other: &Hosts| hosts.clashes(other, "shop").collect::<Vec<_>>();
        let wide = Hosts::of_brand(domains(&["*.example.com", "a.ex"]), true);
        let narrow = Hosts::of_brand(domains(&["victim.example.com", "b.ex"]), true);
        let shared = claims(&wide, &narrow);
        assert_eq!(shared.len(), 2);
        assert_eq!(shared, claims(&narrow, &wide));
        let contested = wide.contested(&shared);
        assert!(shared.iter().all(|claim| wide.serve(claim) && !contested.serve(claim)));
        assert!(
            contested.contested_fit("victim.example.com")
                > contested.fit("victim.example.com").map(|fit| fit.1)
        );
        assert!(contested.contested_fit("other.example.com").is_none() && !contested.is_default());
        assert_eq!(claims(&contested, &narrow), shared, "they stay claims");
        assert!(contested.serve(&HostClash::Domain(domains(&["a.ex"]).remove(0))));
    }

    #[test]
    fn keeps_the_claims_that_do_not_clash() {
        let hosts = Hosts::of_brand(domains(&["a.ex", "victim.example.com"]), true);
        let first = Hosts::of_brand(domains(&["*.example.com"]), true);
        assert_eq!(hosts.without(&first, "shop"), own(&["a.ex"]));
    }
}
