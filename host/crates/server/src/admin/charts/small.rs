//! Small charts without an axis of time: a trend, a bar, and columns.

use super::{BOTTOM, HEIGHT, LEFT, TOP, WIDTH};
use crate::admin::templates::number;
use crate::admin::views::pages::{PageDetail, Quantiles};

/// Counts over time as small columns. They are said in words beside it, so it has no name.
pub(crate) fn trend(counts: &[u64]) -> String {
    let top = counts.iter().copied().max().unwrap_or(0).max(1) as f64;
    let columns: String = counts
        .iter()
        .enumerate()
        .filter(|(_, count)| **count > 0)
        .map(|(at, count)| {
            let height = (*count as f64 / top * 18.0).max(2.0);
            let y = 20.0 - height;
            format!("<rect x=\"{}\" y=\"{y:.1}\" width=\"3\" height=\"{height:.1}\"/>", at * 4)
        })
        .collect();
    let width = counts.len() * 4;
    format!("<svg class=\"trend\" viewBox=\"0 0 {width} 20\" aria-hidden=\"true\">{columns}</svg>")
}

/// A bar with p50, p99 and the maximum on a logarithmic scale from a thousandth of the quota to the quota.
/// Empty if nothing was used.
pub(crate) fn share_of_quota(used: Quantiles, quota: u64) -> String {
    let share = |value: u64| {
        let part = value.max(1) as f64 / quota.max(1) as f64;
        ((part.log10() + 3.0) / 3.0 * 100.0).clamp(1.0, 100.0)
    };
    if used.max == 0 {
        return String::new();
    }
    let (p50, p99, max) = (share(used.p50), share(used.p99), share(used.max));
    let class = if used.max as f64 >= quota as f64 * 0.8 { "bar close" } else { "bar" };
    format!(
        "<svg class=\"{class}\" viewBox=\"0 0 100 10\" preserveAspectRatio=\"none\" role=\"img\" \
         aria-label=\"at most {} of {}\"><rect class=\"room\" width=\"100\" height=\"10\"/>\
         <rect class=\"p99\" width=\"{p99:.1}\" height=\"10\"/><rect class=\"p50\" width=\"{p50:.1}\" height=\"10\"/>\
         <rect class=\"max\" x=\"{:.1}\" width=\"1\" height=\"10\"/></svg>",
        number(used.max as f64),
        number(quota as f64),
        (max - 1.0).max(0.0)
    )
}

/// The distribution of the fuel per run, as columns and as a table.
pub(crate) fn fuel_distribution(page: &PageDetail) -> String {
    let title = "Runs by fuel used";
    let buckets = &page.fuel_buckets;
    let (Some((min, _)), Some((max, _))) = (buckets.first(), buckets.last()) else {
        return format!(
            "<figure class=\"chart\"><figcaption>{title}</figcaption><p class=\"empty\">No data yet.</p></figure>"
        );
    };
    let top = buckets.iter().map(|(_, count)| *count).max().unwrap_or(1);
    let width = ((WIDTH - LEFT) / buckets.len() as f64).min(40.0);
    let (base, low) = (HEIGHT - BOTTOM, HEIGHT - 6.0);
    let label = |x: f64, anchor: &str, text: &str| {
        format!("<text class=\"scale\" x=\"{x:.1}\" y=\"{low}\" text-anchor=\"{anchor}\">{text}</text>")
    };
    // The labels stand below the first and the last column, or beside each other if there is no room between.
    let end = LEFT + width * buckets.len() as f64;
    let (first, last) = (number(*min as f64), number(*max as f64));
    let labels = match buckets.len() {
        1 => label(LEFT, "start", &format!("up to {first}")),
        _ if end - LEFT < 260.0 => label(LEFT, "start", &format!("up to {first} … up to {last}")),
        _ => label(LEFT, "start", &format!("up to {first}")) + &label(end, "end", &format!("up to {last}")),
    };
    let columns: String = buckets
        .iter()
        .enumerate()
        .map(|(index, (value, count))| {
            let height = (base - TOP) * f64::from(*count) / f64::from(top);
            format!(
                "<rect class=\"column\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{height:.1}\"><title>up to {}: {count}</title></rect>",
                LEFT + index as f64 * width,
                base - height,
                (width - 1.0).max(0.5),
                number(*value as f64),
            )
        })
        .collect();
    let rows: String = buckets
        .iter()
        .map(|(value, count)| {
            format!("<tr><th scope=\"row\">{}</th><td>{count}</td></tr>", number(*value as f64))
        })
        .collect();
    format!(
        "<figure class=\"chart\"><figcaption>{title} <small>fuel per run from left to right, number of runs upwards</small></figcaption>\
         <svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}: {first} to {last}\">\
         <line class=\"grid\" x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{base}\" y2=\"{base}\"/>{columns}\
         <text class=\"scale\" x=\"{}\" y=\"{}\" text-anchor=\"end\">{top}</text>{labels}</svg>\
         <details><summary>Data table</summary><div class=\"wide\"><table><thead><tr><th scope=\"col\">fuel, up to</th>\
         <th scope=\"col\">runs</th></tr></thead><tbody>{rows}</tbody></table></div></details></figure>",
        LEFT - 6.0,
        TOP + 12.0,
    )
}
