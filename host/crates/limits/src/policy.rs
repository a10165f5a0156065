//! Which value of each limit applies to a page, and where it was set. A page's value
//! overrides the brand's, the brand's overrides the site's, and the site's overrides the
//! default. No value exceeds `[limits.max]` or the size of a sandbox.

use std::fmt;

use serde::Serialize;

use super::{JobLimits, KINDS, LimitKind, LimitOverrides, Limits, MaxLimits, SiteLimits};

/// The limits that the operator set for the whole site.
#[derive(Debug, Clone)]
pub struct LimitPolicy {
    site: LimitOverrides,
    /// `[limits.job]` of the site.
    job: JobLimits,
    /// Names of the limits in `site` that environment variables set.
    from_environment: Vec<String>,
    max: MaxLimits,
    /// The largest `heap_bytes_max` that fits into one sandbox.
    heap_bytes_fit: u32,
}

/// Where a value was set. `Display` names the file and the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "from", content = "name")]
pub enum Origin {
    /// Nowhere.
    Default,
    /// In this environment variable.
    Environment(String),
    /// In `sluice.toml`.
    Site,
    /// In the `brand.toml` of this brand.
    Brand(String),
    /// In a `[[page]]` of a `brand.toml`.
    Page {
        /// The brand's id.
        brand: String,
        /// The page's path.
        path: String,
    },
    /// The default of jobs.
    JobDefault,
    /// In `[limits.job]` of `sluice.toml`.
    SiteJob,
    /// In `[limits.job]` of the `brand.toml` of this brand.
    BrandJob(String),
}

/// The value of one limit for one page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EffectiveLimit {
    /// The limit.
    #[serde(flatten)]
    pub kind: LimitKind,
    /// The value that applies.
    pub value: u64,
    /// Where the value was set.
    pub origin: Origin,
    /// The value at `origin`, if it is larger than the host allows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked: Option<u64>,
}

/// A value that is larger than the host allows. `Display` writes a sentence without the
/// origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClampedLimit {
    /// The limit's name.
    pub name: &'static str,
    /// The value at `origin`.
    pub asked: u64,
    /// The value that applies.
    pub value: u64,
    /// Where the value was set.
    pub origin: Origin,
}

/// The `[limits]` of a brand and of one of its pages.
#[derive(Debug, Clone, Copy)]
pub struct BrandLayers<'a> {
    /// The brand's id.
    pub brand: &'a str,
    /// The brand's `[limits]`.
    pub own: &'a LimitOverrides,
    /// The page's path and limits, if `brand.toml` has a `[[page]]` for it.
    pub page: Option<(&'a str, &'a LimitOverrides)>,
}

impl LimitPolicy {
    /// Makes the policy from `site`, the `[limits]` of `sluice.toml`. `from_environment` has
    /// the names of its limits that environment variables set. `heap_bytes_fit` is the
    /// largest `heap_bytes_max` that fits into a sandbox of [`MaxLimits::memory_bytes`].
    pub fn new(site: &SiteLimits, from_environment: &[String], heap_bytes_fit: u32) -> Self {
        Self {
            site: site.own(),
            job: site.job.clone(),
            from_environment: from_environment.to_vec(),
            max: site.max.clone(),
            heap_bytes_fit,
        }
    }

    /// Returns the limits of a page.
    pub fn effective(&self, layers: BrandLayers<'_>) -> Limits {
        let mut limits = Limits::default();
        for limit in self.explain(layers) {
            limits.set(limit.kind.name, limit.value);
        }
        limits
    }

    /// Returns the limits of the jobs of a brand whose `[limits.job]` is `own`.
    pub fn of_jobs(&self, layers: BrandLayers<'_>, own: &JobLimits) -> Limits {
        let mut limits = Limits::default();
        for limit in self.explain_jobs(layers, own) {
            limits.set(limit.kind.name, limit.value);
        }
        limits
    }

    /// Returns every limit of the jobs of a brand with its origin, in the order of [`KINDS`].
    pub fn explain_jobs(&self, layers: BrandLayers<'_>, own: &JobLimits) -> Vec<EffectiveLimit> {
        let (own, site) = (own.overrides(), self.job.overrides());
        let built_in = JobLimits::built_in().overrides();
        let of_job = |kind: &LimitKind| {
            let brand = own.get(kind.name).map(|value| (value, Origin::BrandJob(layers.brand.to_owned())));
            let site_or_default = || {
                let of_site = site.get(kind.name).map(|value| (value, Origin::SiteJob));
                of_site.or_else(|| Some((built_in.get(kind.name)?, Origin::JobDefault)))
            };
            let (asked, origin) = brand.or_else(site_or_default)?;
            // What the operator sets for the whole site needs no other maximum.
            let value = asked.min(self.most_of(kind).max(site.get(kind.name).unwrap_or(0)));
            Some(EffectiveLimit { kind: *kind, value, origin, asked: (value < asked).then_some(asked) })
        };
        KINDS.iter().map(|kind| of_job(kind).unwrap_or_else(|| self.one(*kind, layers))).collect()
    }

    /// Returns every limit of a page with its origin, in the order of [`KINDS`].
    pub fn explain(&self, layers: BrandLayers<'_>) -> Vec<EffectiveLimit> {
        KINDS.iter().map(|kind| self.one(*kind, layers)).collect()
    }

    fn one(&self, kind: LimitKind, layers: BrandLayers<'_>) -> EffectiveLimit {
        let page = layers.page.and_then(|(path, own)| {
            let origin = Origin::Page { brand: layers.brand.to_owned(), path: path.to_owned() };
            Some((own.get(kind.name)?, origin))
        });
        let brand = || Some((layers.own.get(kind.name)?, Origin::Brand(layers.brand.to_owned())));
        let site = || Some((self.site.get(kind.name)?, self.site_origin(kind.name)));
        let (asked, origin) = page.or_else(brand).or_else(site).unwrap_or((kind.default, Origin::Default));
        let value = asked.min(self.most_of(&kind));
        EffectiveLimit { kind, value, origin, asked: (value < asked).then_some(asked) }
    }

    fn site_origin(&self, name: &str) -> Origin {
        match self.from_environment.iter().any(|known| known == name) {
            true => Origin::Environment(format!("SLUICE_LIMITS__{}", name.to_ascii_uppercase())),
            false => Origin::Site,
        }
    }

    /// Returns the largest value that the limit with this name can have, or `None` if there is no
    /// such limit.
    pub fn most(&self, name: &str) -> Option<u64> {
        KINDS.iter().find(|kind| kind.name == name).map(|kind| self.most_of(kind))
    }

    /// Returns the largest value that a limit can have, by `[limits.max]` and by the size of a
    /// sandbox. An operator who sets a high value for the whole site does not have to set the
    /// maximum, too.
    fn most_of(&self, kind: &LimitKind) -> u64 {
        let name = kind.name;
        let fits = match name {
            "heap_bytes_max" => Some(u64::from(self.heap_bytes_fit)),
            "compile_memory_bytes_max" => u64::try_from(self.max.memory_bytes()).ok(),
            _ => None,
        };
        let site = self.site.get(name).unwrap_or(0);
        let max = self.max.caps().get(name).unwrap_or_else(|| kind.default_max().max(site));
        fits.map_or(max, |fits| max.min(fits))
    }

    /// Returns the values that are larger than the host allows.
    pub fn clamped(&self, layers: BrandLayers<'_>) -> Vec<ClampedLimit> {
        let clamped = self.explain(layers).into_iter().filter_map(|limit| {
            let EffectiveLimit { kind, value, origin, asked } = limit;
            Some(ClampedLimit { name: kind.name, asked: asked?, value, origin })
        });
        clamped.collect()
    }
}

impl fmt::Display for ClampedLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, asked, value, .. } = self;
        write!(f, "{name} = {asked} is more than the host allows; {value} applies instead")
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Environment(name) => f.write_str(name),
            Self::Site => f.write_str("sluice.toml, [limits]"),
            Self::Brand(brand) => write!(f, "brands/{brand}/brand.toml, [limits]"),
            Self::Page { brand, path } => write!(f, "brands/{brand}/brand.toml, [[page]] {path}"),
            Self::JobDefault => f.write_str("default of jobs"),
            Self::SiteJob => f.write_str("sluice.toml, [limits.job]"),
            Self::BrandJob(brand) => write!(f, "brands/{brand}/brand.toml, [limits.job]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(limits_toml: &str) -> LimitPolicy {
        let site: SiteLimits = toml::from_str(limits_toml).unwrap();
        LimitPolicy::new(&site, &[], 4 << 20)
    }

    fn overrides(text: &str) -> LimitOverrides {
        toml::from_str(text).unwrap()
    }

    fn find(limits: &[EffectiveLimit], name: &str) -> EffectiveLimit {
        limits.iter().find(|limit| limit.kind.name == name).unwrap().clone()
    }

    #[test]
    fn page_overrides_brand_overrides_site() {
        let policy = policy("fuel = 1\ncookies_max = 2\nheaders_max = 3");
        let brand = overrides("fuel = 10\ncookies_max = 20");
        let page = overrides("fuel = 100");
        let layers = BrandLayers { brand: "demo", own: &brand, page: Some(("/a", &page)) };
        let limits = policy.explain(layers);
        let shown = |name| {
            let limit = find(&limits, name);
            (limit.value, limit.origin.to_string())
        };
        assert_eq!(shown("fuel"), (100, "brands/demo/brand.toml, [[page]] /a".into()));
        assert_eq!(shown("cookies_max"), (20, "brands/demo/brand.toml, [limits]".into()));
        assert_eq!(shown("headers_max"), (3, "sluice.toml, [limits]".into()));
        assert_eq!(shown("crm_calls_max"), (100, "default".into()));
        let effective = policy.effective(layers);
        assert_eq!((effective.fuel, effective.cookies_max, effective.headers_max), (100, 20, 3));
        assert_eq!(effective.crm_calls_max, 100);
    }

    #[test]
    fn clamps_values_over_the_maximum_with_a_warning() {
        let policy = policy("[max]\nfuel = 50\nmemory = 16_777_216");
        let none = LimitOverrides::default();
        let page = overrides("fuel = 51\nheap_bytes_max = 4_194_305");
        let layers = BrandLayers { brand: "demo", own: &none, page: Some(("/a", &page)) };
        let fuel = find(&policy.explain(layers), "fuel");
        assert_eq!((fuel.value, fuel.asked), (50, Some(51)));
        assert_eq!(policy.effective(layers).heap_bytes_max, 4 << 20);
        let clamped = &policy.clamped(layers)[0];
        assert_eq!(clamped.origin, Origin::Page { brand: "demo".into(), path: "/a".into() });
        assert_eq!(clamped.to_string(), "fuel = 51 is more than the host allows; 50 applies instead");
        let exact = overrides("fuel = 50\nheap_bytes_max = 4_194_304\ncompile_memory_bytes_max = 16_777_216");
        let layers = BrandLayers { page: Some(("/a", &exact)), ..layers };
        assert_eq!(policy.clamped(layers), []);
    }

    #[test]
    fn jobs_have_limits_of_their_own() {
        let policy = policy("fuel = 1\ncookies_max = 2\n[job]\nwall_ms_max = 7\ncrm_calls_max = 5");
        let brand = overrides("fuel = 10");
        let layers = BrandLayers { brand: "demo", own: &brand, page: None };
        let own: JobLimits = toml::from_str("crm_calls_max = 6\nheap_bytes_max = 99_000_000").unwrap();
        let limits = policy.explain_jobs(layers, &own);
        let shown = |name| {
            let limit = find(&limits, name);
            (limit.value, limit.origin.to_string(), limit.asked)
        };
        assert_eq!(shown("fuel"), (5_000_000_000, "default of jobs".into(), None));
        assert_eq!(shown("wall_ms_max"), (7, "sluice.toml, [limits.job]".into(), None));
        assert_eq!(shown("crm_calls_max"), (6, "brands/demo/brand.toml, [limits.job]".into(), None));
        assert_eq!(shown("heap_bytes_max").2, Some(99_000_000), "reduced to what fits");
        assert_eq!(shown("cookies_max"), (2, "sluice.toml, [limits]".into(), None));
        let of_jobs = policy.of_jobs(layers, &own);
        assert_eq!((of_jobs.wall_ms_max, of_jobs.heap_bytes_max), (7, 4 << 20));
        for name in JobLimits::NAMES {
            let one: JobLimits = toml::from_str(&format!("{name} = 1")).unwrap();
            assert_eq!(one.overrides().get(name), Some(1), "{name}");
        }
    }

    #[test]
    fn brands_and_pages_can_raise_a_limit_to_ten_times_its_default() {
        // The default heap fits into a sandbox here.
        let policy = |text: &str| LimitPolicy::new(&toml::from_str(text).unwrap(), &[], 64 << 20);
        let none = LimitOverrides::default();
        let greedy = overrides("fuel = 9_000_000_000_000_000_000\nbody_bytes_max = 2_000_000_000");
        let exact = overrides("fuel = 10_000_000_000\nbody_bytes_max = 655_360");
        let layers = BrandLayers { brand: "demo", own: &none, page: Some(("/a", &greedy)) };
        let exact = BrandLayers { page: Some(("/a", &exact)), ..layers };
        let values = |policy: &LimitPolicy, layers| {
            let limits = policy.effective(layers);
            (limits.fuel, limits.body_bytes_max, policy.clamped(layers).len())
        };
        let clamped: Vec<_> = policy("").clamped(layers).into_iter().map(|limit| limit.name).collect();
        assert_eq!(clamped, ["fuel", "body_bytes_max"]);
        assert_eq!(values(&policy(""), layers), (10_000_000_000, 655_360, 2));
        assert_eq!(values(&policy(""), exact), (10_000_000_000, 655_360, 0));
        // The operator lowers and raises the maximum.
        let set = policy("[max]\nfuel = 5\nbody_bytes_max = 3_000_000_000");
        assert_eq!(values(&set, layers), (5, 2_000_000_000, 1));
        // A value for the whole site is the operator's, too.
        let set = policy("fuel = 20_000_000_000");
        assert_eq!(values(&set, BrandLayers { page: None, ..layers }).0, 20_000_000_000);
        assert_eq!(values(&set, layers).0, 20_000_000_000);
    }

    #[test]
    fn jobs_have_limits_of_their_own_below_the_maximum() {
        let none = LimitOverrides::default();
        let of = |text: &str, brand: &str, job: &str| {
            let (brand, job) = (overrides(brand), toml::from_str::<JobLimits>(job).unwrap());
            let layers = BrandLayers { brand: "demo", own: &brand, page: None };
            let limits = policy(text).of_jobs(layers, &job);
            (limits.fuel, limits.wall_ms_max, limits.crm_calls_max)
        };
        assert_eq!(of("", "", ""), (5_000_000_000, 60_000, 100));
        assert_eq!(of("fuel = 1", "fuel = 2\ncrm_calls_max = 7", ""), (5_000_000_000, 60_000, 7));
        assert_eq!(of("[job]\nfuel = 3\nwall_ms_max = 900_000", "", ""), (3, 900_000, 100));
        assert_eq!(of("[job]\nfuel = 3", "", "fuel = 4\nwall_ms_max = 5"), (4, 5, 100));
        assert_eq!(of("[max]\nfuel = 9", "", "fuel = 10"), (9, 60_000, 100));
        let layers = BrandLayers { brand: "demo", own: &none, page: None };
        let site = policy("[max]\nheap_bytes_max = 1000");
        let greedy = toml::from_str("heap_bytes_max = 1001").unwrap();
        assert_eq!(site.of_jobs(layers, &greedy).heap_bytes_max, 1_000);
    }

    #[test]
    fn limit_without_a_value_has_its_default() {
        let none = LimitOverrides::default();
        let layers = BrandLayers { brand: "demo", own: &none, page: None };
        let site = SiteLimits::default();
        assert_eq!(LimitPolicy::new(&site, &[], u32::MAX).effective(layers), Limits::default());
        for kind in KINDS {
            assert_eq!(Limits::default().get(kind.name), Some(kind.default), "{}", kind.name);
        }
    }
}
