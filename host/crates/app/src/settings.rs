//! The settings of `sluice.toml` while the program runs: some can change, the others need a
//! restart.

use sluice_site::config::SiteConfig;

use crate::load::Problem;

/// The settings in the file, and the settings that apply.
pub(crate) struct Settings {
    in_file: SiteConfig,
    pub(crate) in_use: SiteConfig,
}

impl Settings {
    /// `in_use` is `in_file` with the overrides of the command line.
    pub(crate) fn new(in_file: SiteConfig, in_use: SiteConfig) -> Self {
        Self { in_file, in_use }
    }

    /// The settings after a reload of `fresh`: those that can change while the program runs
    /// (`[limits]` and `[brands]`) are new. Returns a problem for each other setting that changed, too.
    pub(crate) fn with(&self, mut fresh: SiteConfig) -> (Self, Vec<Problem>) {
        let old = &self.in_file;
        let settings = [
            ("[server]", fresh.server != old.server),
            ("[acme]", fresh.acme != old.acme),
            ("[admin]", fresh.admin != old.admin),
            ("[database]", fresh.database != old.database),
            ("[session]", fresh.session != old.session),
            ("[secrets]", fresh.secrets != old.secrets),
            ("[compile]", fresh.compile != old.compile),
            ("[cache]", fresh.cache != old.cache),
            ("[page_cache]", fresh.page_cache != old.page_cache),
            ("[log]", fresh.log != old.log),
            ("[http]", fresh.http != old.http),
            ("[files]", fresh.files != old.files),
            ("[jobs]", fresh.jobs != old.jobs),
            ("limits.max.memory", fresh.limits.max.memory_bytes() != old.limits.max.memory_bytes()),
            (
                "limits.max.concurrent_runs",
                fresh.limits.max.concurrent_runs() != old.limits.max.concurrent_runs(),
            ),
        ];
        let changed = settings.into_iter().filter(|(_, changed)| *changed);
        let restarts = changed.map(|(setting, _)| Problem::Restart { setting }).collect();
        fresh.limits.max.memory = old.limits.max.memory;
        fresh.limits.max.concurrent_runs = old.limits.max.concurrent_runs;
        let in_use = SiteConfig {
            limits: fresh.limits.clone(),
            limits_from_environment: fresh.limits_from_environment,
            brands: fresh.brands.clone(),
            names: fresh.names,
            ..self.in_use.clone()
        };
        // The other sections of `in_file` stay as they were at start, so that later reloads still
        // report the change.
        let in_file = SiteConfig { limits: fresh.limits, brands: fresh.brands, ..old.clone() };
        (Self { in_file, in_use }, restarts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reload_changes_limits_only_in_the_new_settings() {
        let start = SiteConfig::default();
        let settings = Settings::new(start.clone(), start.clone());
        let mut fresh = start.clone();
        fresh.limits_from_environment = vec!["fuel".to_owned()];
        fresh.server.workers = Some(3);
        let (new, restarts) = settings.with(fresh);
        assert_eq!(new.in_use.limits_from_environment, ["fuel"]);
        assert_eq!(new.in_use.server.workers, None);
        assert_eq!(restarts.len(), 1);
        // The load may still fail.
        assert!(settings.in_use.limits_from_environment.is_empty());
    }
}
