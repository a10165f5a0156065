//! Changes a site's Content-Security-Policy so that it allows one script of this host and the
//! connection that the script makes. It changes nothing else.

/// A policy that allows the script.
pub(super) struct Allowed {
    pub(super) policy: String,
    /// The policy allows the script only if it carries the nonce.
    pub(super) needs_nonce: bool,
}

/// Adds to `policy` what the script needs. `nonce` is used where the policy requires one.
pub(super) fn allow(policy: &str, nonce: &str) -> Allowed {
    let mut needs_nonce = false;
    // Browsers apply all policies of a header, so each of them has to allow the script.
    let policies = policy.split(',').map(|policy| {
        let mut directives: Vec<Directive> = policy.split(';').filter_map(Directive::parse).collect();
        let script = effective(&mut directives, &["script-src-elem", "script-src", "default-src"]);
        if let Some(script) = script {
            // Next to a nonce, a hash or 'strict-dynamic', browsers may ignore 'self'. Without
            // these, a nonce would disable 'unsafe-inline'.
            let source = match script.has_nonces() {
                true => format!("'nonce-{nonce}'"),
                false => "'self'".to_owned(),
            };
            needs_nonce |= script.has_nonces();
            script.add(&source);
        }
        if let Some(connect) = effective(&mut directives, &["connect-src", "default-src"]) {
            connect.add("'self'");
        }
        let written = directives.iter().map(|directive| directive.words.join(" "));
        written.collect::<Vec<_>>().join("; ")
    });
    let policy = policies.collect::<Vec<_>>().join(", ");
    Allowed { policy, needs_nonce }
}

/// The directive that applies: the first of `names` that the policy has.
///
/// If that is `default-src`, its sources are copied into a new, more specific directive, so that
/// `default-src` stays the same for everything else.
fn effective<'a>(directives: &'a mut Vec<Directive>, names: &[&str]) -> Option<&'a mut Directive> {
    let named = |name: &&&str| directives.iter().any(|directive| directive.is(name));
    let name = *names.iter().find(named)?;
    if name == "default-src" {
        let [.., own, _] = names else { return None };
        let mut words = directives.iter().find(|directive| directive.is(name))?.words.clone();
        *words.first_mut()? = (*own).to_owned();
        directives.push(Directive { words });
        return directives.last_mut();
    }
    directives.iter_mut().find(|directive| directive.is(name))
}

/// A name and its sources.
struct Directive {
    words: Vec<String>,
}

impl Directive {
    fn parse(text: &str) -> Option<Self> {
        let words: Vec<String> = text.split_ascii_whitespace().map(str::to_owned).collect();
        (!words.is_empty()).then_some(Self { words })
    }

    fn is(&self, name: &str) -> bool {
        self.words.first().is_some_and(|own| own.eq_ignore_ascii_case(name))
    }

    fn has_nonces(&self) -> bool {
        self.words.iter().skip(1).any(|source| {
            let source = source.to_ascii_lowercase();
            ["'nonce-", "'sha256-", "'sha384-", "'sha512-", "'strict-dynamic'"]
                .iter()
                .any(|start| source.starts_with(start))
        })
    }

    fn add(&mut self, source: &str) {
        // 'none' is only valid as the only source.
        self.words.retain(|known| !known.eq_ignore_ascii_case("'none'"));
        if !self.words.iter().any(|known| known == source) {
            self.words.push(source.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allows_only_the_script_and_its_connection() {
        for (policy, allowed, needs_nonce) in [
            ("default-src 'self'", "default-src 'self'; script-src 'self'; connect-src 'self'", false),
            ("default-src 'none'", "default-src 'none'; script-src 'self'; connect-src 'self'", false),
            ("script-src 'unsafe-inline'; img-src *", "script-src 'unsafe-inline' 'self'; img-src *", false),
            (
                "Script-Src 'nonce-abc' 'strict-dynamic'; connect-src https://api.example",
                "Script-Src 'nonce-abc' 'strict-dynamic' 'nonce-n'; connect-src https://api.example 'self'",
                true,
            ),
            (
                "script-src 'none'; script-src-elem https://a.example",
                "script-src 'none'; script-src-elem https://a.example 'self'",
                false,
            ),
            ("img-src 'self'", "img-src 'self'", false),
            (
                "default-src https:, script-src 'sha256-x='",
                "default-src https:; script-src https: 'self'; connect-src https: 'self', script-src 'sha256-x=' 'nonce-n'",
                true,
            ),
            ("", "", false),
        ] {
            let found = allow(policy, "n");
            assert_eq!((found.policy.as_str(), found.needs_nonce), (allowed, needs_nonce), "{policy}");
        }
    }
}
