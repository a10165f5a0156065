//! The settings of `sluice.toml` while the program runs: some can change, the others need a
//! restart.

use sluice_site::config::SiteConfig;

/// The settings as they were written and as they hold.
pub struct Settings {
    as_written: SiteConfig,
    pub(crate) in_use: SiteConfig,
}

impl Settings {
    /// `in_use` is `as_written` with what the command line changed.
    pub fn new(as_written: SiteConfig, in_use: SiteConfig) -> Self {
        Self { as_written, in_use }
    }

    /// Takes over what can change while the program runs: `[limits]`. Gives a sentence
    /// for everything else that changed.
    pub(crate) fn take_over(&mut self, mut fresh: SiteConfig) -> Vec<String> {
        let old = &self.as_written;
        let sections = [
            ("[server]", fresh.server != old.server),
            ("[admin]", fresh.admin != old.admin),
            ("[database]", fresh.database != old.database),
            ("[session]", fresh.session != old.session),
            ("[secrets]", fresh.secrets != old.secrets),
            ("[cache]", fresh.cache != old.cache),
            ("[log]", fresh.log != old.log),
            ("limits.max.memory", fresh.limits.max.memory_bytes() != old.limits.max.memory_bytes()),
            (
                "limits.max.concurrent_runs",
                fresh.limits.max.concurrent_runs() != old.limits.max.concurrent_runs(),
            ),
        ];
        let changed = sections.iter().filter(|(_, changed)| *changed);
        let sentences = changed.map(|(name, _)| {
            format!("sluice.toml: {name} changed, which needs a restart; until then the old value holds")
        });
        let sentences = sentences.collect();
        fresh.limits.max.memory = old.limits.max.memory;
        fresh.limits.max.concurrent_runs = old.limits.max.concurrent_runs;
        self.in_use.limits = fresh.limits.clone();
        self.in_use.limits_from_environment = fresh.limits_from_environment.clone();
        // What needs a restart goes on needing it.
        self.as_written.limits = fresh.limits;
        sentences
    }
}
