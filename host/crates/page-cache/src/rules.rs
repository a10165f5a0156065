//! What a page asks of the cache.

use std::time::Duration;

use crate::Dependence;

/// `[[page]] cache`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CacheRules {
    /// How long an answer is fresh.
    pub ttl: Duration,
    /// How much longer it is served while it is made again, and if that fails.
    pub stale: Duration,
    /// The request headers that are part of the key, by names in lower case. `host` always is.
    pub vary: Vec<String>,
    /// The other request headers that the page can see.
    pub other_headers: Vec<String>,
    /// The names by which answers are dropped.
    pub tags: Vec<String>,
}

/// The parts of `request` that the visitor decides, besides the headers.
const PARTS: [&str; 5] = ["cookies", "ip", "ip6", "is_mobile", "is_tablet"];
/// How the part of a header begins.
const HEADERS: &str = "headers.";
/// The longest name of a header in a message, in bytes.
const NAME_SHOWN_BYTES: usize = 100;

/// A part of `request` that a script asks for.
#[derive(Debug, PartialEq, Eq)]
pub struct RequestPart {
    /// The property that has it.
    pub property: &'static str,
    /// Why the answer depends on the visitor from then on.
    pub dependence: Dependence,
}

impl CacheRules {
    /// Whether the request header of this lower-case name is part of the key.
    pub fn has_header(&self, name: &str) -> bool {
        name == "host" || self.vary.iter().any(|known| known == name)
    }

    /// Why an answer depends on the visitor if a property of `request` is read. `None` if it does not.
    pub fn dependence_on(&self, property: &str) -> Option<Dependence> {
        match property {
            "cookies" => Some(Dependence::Cookies),
            "ip" | "ip6" => Some(Dependence::Address),
            "is_mobile" | "is_tablet" => (!self.has_header("user-agent")).then_some(Dependence::Device),
            "headers" => (!self.other_headers.is_empty()).then_some(Dependence::Headers),
            _ => None,
        }
    }

    /// The part of `request` that a script asks for by this name, which may be any text. `None` if there is no
    /// such part, or it is never hidden.
    pub fn part(&self, name: &str) -> Option<RequestPart> {
        if let Some(header) = name.strip_prefix(HEADERS) {
            // All headers are given for one, so the answer depends on the visitor in any case.
            let is_one = self.other_headers.iter().any(|known| known == header);
            let dependence = match is_one {
                true => Dependence::Header(header.chars().take(NAME_SHOWN_BYTES).collect()),
                false => Dependence::Headers,
            };
            return Some(RequestPart { property: "headers", dependence });
        }
        let property = PARTS.into_iter().find(|part| *part == name)?;
        Some(RequestPart { property, dependence: self.dependence_on(property)? })
    }

    /// The properties of `request` that scripts do not get at once. `headers` is not among them: it has those
    /// that are part of the key.
    pub fn hides(&self, property: &str) -> bool {
        PARTS.contains(&property) && self.dependence_on(property).is_some()
    }

    /// The names of all parts that are hidden.
    pub fn hidden(&self) -> impl Iterator<Item = String> + '_ {
        let parts = PARTS.into_iter().filter(|part| self.hides(part)).map(str::to_owned);
        parts.chain(self.other_headers.iter().map(|name| format!("{HEADERS}{name}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(vary: &[&str], others: &[&str]) -> CacheRules {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        CacheRules { vary: owned(vary), other_headers: owned(others), ..CacheRules::default() }
    }

    #[test]
    fn visitor_decides_all_but_the_key() {
        let rules = rules(&["accept-language"], &["user-agent", "referer"]);
        for property in ["method", "path", "query", "queries", "body", "route_params", "route_slug"] {
            assert_eq!(rules.dependence_on(property), None, "{property}");
        }
        for property in ["cookies", "ip", "ip6", "is_mobile", "is_tablet", "headers"] {
            assert!(rules.dependence_on(property).is_some(), "{property}");
        }
        let hidden: Vec<String> = rules.hidden().collect();
        let expected =
            ["cookies", "ip", "ip6", "is_mobile", "is_tablet", "headers.user-agent", "headers.referer"];
        assert_eq!(hidden, expected);
        assert!(hidden.iter().all(|name| rules.part(name).is_some()));
    }

    #[test]
    fn vary_by_user_agent_shows_the_device() {
        let rules = rules(&["accept-language", "user-agent", "referer"], &[]);
        for property in ["is_mobile", "is_tablet", "headers"] {
            assert_eq!(rules.dependence_on(property), None, "{property}");
        }
        assert_eq!(rules.hidden().collect::<Vec<_>>(), ["cookies", "ip", "ip6"]);
        assert_eq!(rules.part("is_mobile"), None);
    }

    #[test]
    fn hostile_engine_gets_nothing_unnoticed() {
        let rules = rules(&["accept-language"], &["user-agent"]);
        for name in
            ["headers", "headers.", "headers.accept-language", "headers.host", "headers.x", "headers.*"]
        {
            match rules.part(name) {
                Some(part) => assert_eq!(part.dependence, Dependence::Headers, "{name}"),
                None => assert_eq!(name, "headers"),
            }
        }
        for name in ["", "path", "cookie", "CookieS", "session", "__proto__"] {
            assert_eq!(rules.part(name), None, "{name}");
        }
    }
}
