//! `sluice limits`: the effective limits of a page, and where each comes from.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Subcommand;

use sluice_http::path::{PathForm, canonical};
use sluice_kit::folder::FolderPath;
use sluice_limits::advice::{self, LimitUse};
use sluice_limits::policy::{BrandLayers, EffectiveLimit};
use sluice_limits::{JobLimits, grouped};
use sluice_runs::execution_log::query::{LogReader, PageSummary};
use sluice_site::config::{self, BrandConfig, SiteConfig};
use sluice_site::places::Places;
use sluice_site::table::{PageTable, url_path};
use sluice_site::{BrandFolder, brand_dir, brand_ids, limit_layers};
use sluice_text::printable::printable_json;
use sluice_text::suggest;

use super::output::{out, outln};

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: LimitsCommand,
}

#[derive(Subcommand)]
enum LimitsCommand {
    /// Print the effective limits of a page, and where each comes from
    Show(ShowArgs),
    /// Suggest limits from the costs of past runs, and name pages that are close to a limit
    Suggest(SuggestArgs),
}

#[derive(clap::Args)]
struct ShowArgs {
    /// The page's path, for example /weight/checkin
    path: String,
    /// The site's folder
    #[arg(default_value = ".")]
    site_dir: PathBuf,
    /// The brand [default: the only brand, or the default brand]
    #[arg(long)]
    brand: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
struct SuggestArgs {
    /// The site's folder
    #[arg(default_value = ".")]
    site_dir: PathBuf,
    /// Only pages of this brand [default: all brands]
    #[arg(long)]
    brand: Option<String>,
    /// Multiply the 99.9th percentile of the cost by this factor
    #[arg(long, default_value_t = advice::HEADROOM)]
    headroom: f64,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// The data folder, as given to `sluice serve` [default: as that of `sluice serve`]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

pub(crate) fn run(args: Args) -> anyhow::Result<()> {
    match args.command {
        LimitsCommand::Show(args) => show(&args),
        LimitsCommand::Suggest(args) => suggest(&args),
    }
}

fn show(args: &ShowArgs) -> anyhow::Result<()> {
    let site = config::read_site(&args.site_dir, std::env::vars())?;
    let (brand, config) = find_brand(&args.site_dir, args.brand.as_deref())?;
    let file = find_page(&brand_dir(&args.site_dir, &brand), &args.path)?;
    let limits = effective(&site, &brand, &config, &file);
    let layers = BrandLayers { brand: &brand, own: &config.limits.own, page: None };
    let mut job_limits = site.limit_policy().explain_jobs(layers, &config.limits.job);
    job_limits.retain(|limit| JobLimits::NAMES.contains(&limit.kind.name));
    if args.json {
        let report = serde_json::json!({
            "brand": brand, "page": format!("pages/{file}"), "limits": limits, "job_limits": job_limits,
        });
        outln!("{}", printable_json(&serde_json::to_string_pretty(&report)?));
    } else {
        outln!("pages/{file} of brand {brand}\n");
        out!("{}", table(&limits));
        outln!("\njobs of brand {brand} have the limits of the brand, but:\n");
        out!("{}", table(&job_limits));
    }
    Ok(())
}

fn suggest(args: &SuggestArgs) -> anyhow::Result<()> {
    if !(args.headroom.is_finite() && args.headroom >= 1.0) {
        bail!("--headroom {}: it must be 1 or more", args.headroom);
    }
    let site = config::read_site(&args.site_dir, std::env::vars())?;
    let policy = site.limit_policy();
    let places = Places::of(&args.site_dir, &site, args.data.as_deref())?;
    let path = places.log.path();
    if !path.exists() {
        bail!(
            "there is no log of runs at {}: the server writes it (see [log] in sluice.toml)",
            path.display()
        );
    }
    let reader = LogReader::open(path)?;
    let mut rows = Vec::new();
    for PageSummary { brand, page, stats } in reader.summaries(args.brand.as_deref(), 0)? {
        let Some(file) = page.strip_prefix("pages/") else { continue };
        // The histograms of deleted pages are kept for a while.
        let dir = brand_dir(&args.site_dir, &brand);
        if dir.file(&page).is_err() {
            continue;
        }
        let limits = policy.effective(limit_layers(&brand, &config::read_brand(&dir)?, &url_path(file)));
        let path = url_path(file);
        for row in advice::advise(&stats, &limits, args.headroom) {
            rows.push(Suggestion { brand: brand.clone(), path: path.clone(), runs: stats.runs, usage: row });
        }
    }
    if args.json {
        outln!("{}", printable_json(&serde_json::to_string_pretty(&rows)?));
    } else {
        out!("{}", suggestions(&rows));
    }
    Ok(())
}

/// One line of `sluice limits suggest`.
#[derive(serde::Serialize)]
struct Suggestion {
    brand: String,
    path: String,
    runs: u64,
    #[serde(flatten)]
    usage: LimitUse,
}

fn suggestions(rows: &[Suggestion]) -> String {
    let mut out = format!(
        "{:<12}{:<28}{:>8} {:<15}{:>15}{:>15}{:>15}{:>15}{:>15}\n",
        "brand", "page", "runs", "limit", "value", "p50", "p99.9", "max", "suggested"
    );
    for Suggestion { brand, path, runs, usage } in rows {
        let suggested = usage.suggested.map_or_else(|| "too few runs".to_owned(), grouped);
        out.push_str(&format!(
            "{brand:<12}{path:<28}{runs:>8} {:<15}{:>15}{:>15}{:>15}{:>15}{suggested:>15}\n",
            usage.limit,
            grouped(usage.quota),
            grouped(usage.p50),
            grouped(usage.p999),
            grouped(usage.max),
        ));
    }
    let close: Vec<String> = rows
        .iter()
        .filter(|row| row.usage.is_close)
        .map(|row| {
            format!(
                "  {} {}: {} reached {} of {}\n",
                row.brand,
                row.path,
                row.usage.limit,
                grouped(row.usage.max),
                grouped(row.usage.quota)
            )
        })
        .collect();
    if !close.is_empty() {
        out.push_str(&format!("\nat 80 % of a limit or more:\n{}", close.concat()));
    }
    out
}

fn effective(site: &SiteConfig, brand: &str, config: &BrandConfig, file: &str) -> Vec<EffectiveLimit> {
    site.limit_policy().explain(limit_layers(brand, config, &url_path(file)))
}

/// The given brand, or else the only brand, or else the default brand.
fn find_brand(site_dir: &Path, asked: Option<&str>) -> anyhow::Result<(String, BrandConfig)> {
    let ids = brand_ids(site_dir)?;
    let read = |id: &String| Ok((id.clone(), config::read_brand(&brand_dir(site_dir, id))?));
    if let Some(asked) = asked {
        let known = || ids.iter().map(String::as_str);
        let id = ids.iter().find(|id| *id == asked);
        return read(
            id.with_context(|| format!("there is no brand {asked}{}", suggest::hint(asked, known())))?,
        );
    }
    let mut brands = ids.iter().map(read).collect::<anyhow::Result<Vec<_>>>()?;
    if let [_] = brands.as_slice() {
        return brands.pop().context("there is no brand");
    }
    let default = brands.into_iter().find(|(_, config)| config.default);
    default.with_context(|| format!("there are several brands; choose one with --brand: {}", ids.join(", ")))
}

/// The file below `pages/` whose page has the path `path`.
fn find_page(brand_dir: &FolderPath, path: &str) -> anyhow::Result<String> {
    let folder = BrandFolder::new(brand_dir)?;
    let mut table = PageTable::default();
    for file in &folder.pages {
        table.insert(file, file.clone());
    }
    let PathForm::Canonical(canonical) = canonical(path) else {
        bail!("{path} is not a page's path: write it as in the address bar, for example /weight/checkin");
    };
    // A page can also be named by its pattern, such as /blog/{slug}.
    let by_pattern = folder.pages.iter().find(|file| url_path(file) == path);
    if let Some(file) = by_pattern.or_else(|| table.find(&canonical).map(|(file, _)| file)) {
        return Ok(file.clone());
    }
    let paths: Vec<String> = folder.pages.iter().map(|file| url_path(file)).collect();
    bail!("there is no page at {path}{}", suggest::hint(path, paths.iter().map(String::as_str)))
}

fn table(limits: &[EffectiveLimit]) -> String {
    let mut out = format!("{:<28}{:>16} {:<12}{}\n", "limit", "value", "unit", "from");
    for limit in limits {
        let asked = limit.asked.map(|asked| format!(" (set to {}; reduced by [limits.max])", grouped(asked)));
        out.push_str(&format!(
            "{:<28}{:>16} {:<12}{}{}\n",
            limit.kind.name,
            grouped(limit.value),
            limit.kind.unit,
            limit.origin,
            asked.unwrap_or_default(),
        ));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_digits_as_toml_does() {
        for (value, text) in [(0, "0"), (999, "999"), (1_000, "1_000"), (12_345_678, "12_345_678")] {
            assert_eq!(grouped(value), text);
        }
    }
}
