//! Small charts as SVG, drawn on the server: lines over time, a bar for a share of a quota, and
//! columns for a distribution.
//!
//! Lines over time also have their numbers in a table below, for operators who cannot see the
//! chart, and in the attribute `data-chart`, from which `charts.js` draws a chart that shows values
//! under the pointer. Charts contain only numbers and constant texts, so only `data-chart` is escaped.

use serde_json::json;

use sluice_kit::clock::iso_utc;

use super::templates::{bytes, duration, number};
use super::views::pages::{Interval, PageDetail, Quantiles};

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 160.0;
/// Space for the scale on the left.
const LEFT: f64 = 84.0;
const BOTTOM: f64 = 22.0;
const TOP: f64 = 8.0;

struct Line<'a> {
    /// The name in the legend.
    name: &'a str,
    /// The class that sets the colour in the style sheet.
    class: &'a str,
    values: Vec<f64>,
}

/// What a chart measures. It decides how values are formatted.
#[derive(Debug, Clone, Copy)]
enum Quantity {
    Count,
    Microseconds,
    Bytes,
}

impl Quantity {
    fn write(self, value: f64) -> String {
        match self {
            Self::Count => number(value),
            Self::Microseconds => duration(value),
            Self::Bytes => bytes(value),
        }
    }

    /// The name that `charts.js` uses.
    fn name(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Microseconds => "microseconds",
            Self::Bytes => "bytes",
        }
    }

    /// The unit in which the end of the scale is a round number.
    fn unit(self) -> f64 {
        match self {
            Self::Bytes => 1_048_576.0,
            Self::Count | Self::Microseconds => 1.0,
        }
    }
}

struct Chart<'a> {
    title: &'a str,
    quantity: Quantity,
    /// The time of each value in Unix milliseconds.
    times: Vec<i64>,
    lines: Vec<Line<'a>>,
}

/// All runs and failed runs over time.
pub(crate) fn runs(history: &[Interval]) -> String {
    over_time(
        history,
        "Runs per 15 minutes",
        Quantity::Count,
        &[("runs", "a", |at| at.runs), ("failed", "bad", |at| at.failures)],
    )
}

/// The wall time of runs, and their time in host calls, over time.
pub(crate) fn latency(history: &[Interval]) -> String {
    over_time(
        history,
        "Time per run",
        Quantity::Microseconds,
        &[
            ("p50", "a", |at| at.wall_us.p50),
            ("p99", "b", |at| at.wall_us.p99),
            ("p99 in host calls", "c", |at| at.host_us.p99),
        ],
    )
}

/// The memory of runs over time.
pub(crate) fn memory(history: &[Interval]) -> String {
    over_time(
        history,
        "Memory per run",
        Quantity::Bytes,
        &[("p50", "a", |at| at.memory_bytes.p50), ("max", "b", |at| at.memory_bytes.max)],
    )
}

/// The fuel of a page's runs over time.
pub(crate) fn fuel(page: &PageDetail) -> String {
    over_time(
        &page.history,
        "Fuel per run",
        Quantity::Count,
        &[("p50", "a", |at| at.fuel.p50), ("p99", "b", |at| at.fuel.p99), ("max", "c", |at| at.fuel.max)],
    )
}

/// Takes a line's value from an interval.
type Read = fn(&Interval) -> u64;

fn over_time(history: &[Interval], title: &str, quantity: Quantity, lines: &[(&str, &str, Read)]) -> String {
    let lines = lines.iter().map(|(name, class, read)| Line {
        name,
        class,
        values: history.iter().map(|at| read(at) as f64).collect(),
    });
    let times = history.iter().map(|at| at.at_ms).collect();
    Chart { title, quantity, times, lines: lines.collect() }.draw()
}

impl Chart<'_> {
    fn draw(&self) -> String {
        if self.times.is_empty() {
            return format!(
                "<figure class=\"chart\"><figcaption>{}</figcaption><p class=\"empty\">No data yet.</p></figure>",
                self.title
            );
        }
        let max = self.lines.iter().flat_map(|line| line.values.iter().copied()).fold(0.0, f64::max);
        let unit = self.quantity.unit();
        let top = round_up(max / unit) * unit;
        let mut svg = format!(
            "<figure class=\"chart\" data-chart=\"{}\"><figcaption>{}</figcaption>\
             <svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}: at most {}\">",
            self.numbers(),
            self.title,
            self.title,
            self.quantity.write(max)
        );
        for step in 0..=2 {
            let value = top * f64::from(step) / 2.0;
            let y = self.y(value, top);
            svg.push_str(&format!(
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
                 <text class=\"scale\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                LEFT - 6.0,
                y + 4.0,
                self.quantity.write(value)
            ));
        }
        for line in &self.lines {
            svg.push_str(&self.line(line, top));
        }
        svg.push_str(&self.time_scale());
        svg.push_str("</svg>");
        svg.push_str(&self.legend());
        svg.push_str(&self.table());
        svg.push_str("</figure>");
        svg
    }

    /// The content of the attribute `data-chart`: JSON, escaped for HTML.
    fn numbers(&self) -> String {
        let lines: Vec<_> = self
            .lines
            .iter()
            .map(|line| json!({ "name": line.name, "color": line.class, "values": line.values }))
            .collect();
        let numbers = json!({ "quantity": self.quantity.name(), "times_ms": self.times, "lines": lines });
        handlebars::html_escape(&numbers.to_string())
    }

    fn x(&self, index: usize) -> f64 {
        let (first, last) =
            (self.times.first().copied().unwrap_or(0), self.times.last().copied().unwrap_or(0));
        let at = self.times.get(index).copied().unwrap_or(first);
        let share = if last > first { (at - first) as f64 / (last - first) as f64 } else { 0.5 };
        LEFT + 6.0 + share * (WIDTH - LEFT - 12.0)
    }

    fn y(&self, value: f64, top: f64) -> f64 {
        let share = if top > 0.0 { value / top } else { 0.0 };
        HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - TOP)
    }

    fn line(&self, line: &Line<'_>, top: f64) -> String {
        let points = line.values.iter().enumerate();
        let points: Vec<(f64, f64)> = points.map(|(at, value)| (self.x(at), self.y(*value, top))).collect();
        if let [(x, y)] = points.as_slice() {
            return format!("<circle class=\"dot {}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\"/>", line.class);
        }
        let points: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        format!("<polyline class=\"line {}\" points=\"{}\"/>", line.class, points.join(" "))
    }

    /// The first and the last time, below the chart.
    fn time_scale(&self) -> String {
        let label = |at: Option<&i64>, x: f64, anchor: &str| {
            let text = iso_utc(at.copied().unwrap_or(0));
            let text = text.get(5..16).unwrap_or_default().replace('T', " ");
            format!(
                "<text class=\"scale\" x=\"{x}\" y=\"{}\" text-anchor=\"{anchor}\">{text}</text>",
                HEIGHT - 6.0
            )
        };
        let first = label(self.times.first(), LEFT, "start");
        if self.times.len() < 2 { first } else { first + &label(self.times.last(), WIDTH, "end") }
    }

    fn legend(&self) -> String {
        let entry = |line: &Line<'_>| format!("<li class=\"{}\">{}</li>", line.class, line.name);
        format!("<ul class=\"legend\">{}</ul>", self.lines.iter().map(entry).collect::<String>())
    }

    fn table(&self) -> String {
        let heads: String =
            self.lines.iter().map(|line| format!("<th scope=\"col\">{}</th>", line.name)).collect();
        let rows = self.times.iter().enumerate().map(|(index, at)| {
            let value = |line: &Line<'_>| {
                format!("<td>{}</td>", self.quantity.write(line.values.get(index).copied().unwrap_or(0.0)))
            };
            let values: String = self.lines.iter().map(value).collect();
            format!("<tr><th scope=\"row\"><time>{}</time></th>{values}</tr>", iso_utc(*at))
        });
        format!(
            "<details><summary>Data table</summary><div class=\"wide\"><table><thead><tr>\
             <th scope=\"col\">time</th>{heads}</tr></thead><tbody>{}</tbody></table></div></details>",
            rows.collect::<String>()
        )
    }
}

/// A bar with p50, p99 and the maximum on a logarithmic scale that ends at the quota. Empty if
/// nothing was used.
pub(crate) fn share_of_quota(used: Quantiles, quota: u64) -> String {
    let share = |value: u64| {
        let (value, quota) = ((value.max(1) as f64).log10(), (quota.max(10) as f64).log10());
        (value / quota * 100.0).clamp(0.0, 100.0)
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

/// The distribution of the fuel per run, as columns.
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
    let last = match buckets.len() {
        1 => String::new(),
        count => format!(
            "<text class=\"scale\" x=\"{:.1}\" y=\"{}\" text-anchor=\"end\">{}</text>",
            (LEFT + width * count as f64).max(LEFT + 200.0),
            HEIGHT - 6.0,
            number(*max as f64)
        ),
    };
    let columns: String = buckets
        .iter()
        .enumerate()
        .map(|(index, (value, count))| {
            let height = (HEIGHT - BOTTOM - TOP) * f64::from(*count) / f64::from(top);
            format!(
                "<rect class=\"column\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{height:.1}\"><title>up to {}: {count}</title></rect>",
                LEFT + index as f64 * width,
                HEIGHT - BOTTOM - height,
                (width - 1.0).max(0.5),
                number(*value as f64),
            )
        })
        .collect();
    format!(
        "<figure class=\"chart\"><figcaption>{title}</figcaption>\
         <svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}: {} to {}\">\
         <line class=\"grid\" x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{base}\" y2=\"{base}\"/>{columns}\
         <text class=\"scale\" x=\"{}\" y=\"{}\" text-anchor=\"end\">{top}</text>\
         <text class=\"scale\" x=\"{LEFT}\" y=\"{low}\">{}</text>{last}</svg></figure>",
        number(*min as f64),
        number(*max as f64),
        LEFT - 6.0,
        TOP + 8.0,
        number(*min as f64),
        base = HEIGHT - BOTTOM,
        low = HEIGHT - 6.0,
    )
}

/// The end of a scale for values up to `value`: 1, 2 or 5 times a power of ten.
fn round_up(value: f64) -> f64 {
    if value <= 0.0 {
        return 1.0;
    }
    let unit = 10_f64.powf(value.log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|step| step * unit).find(|end| *end >= value).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interval(at_ms: i64, runs: u64) -> Interval {
        let used = Quantiles { p50: runs, p99: runs * 2, max: runs * 3 };
        Interval { at_ms, runs, failures: 1, fuel: used, wall_us: used, host_us: used, memory_bytes: used }
    }

    #[test]
    fn contains_its_numbers_as_a_table_and_as_json() {
        let chart = runs(&[interval(0, 10), interval(900_000, 20)]);
        let data = chart.split_once("data-chart=\"").unwrap().1.split_once('"').unwrap().0;
        let data: serde_json::Value = serde_json::from_str(&data.replace("&quot;", "\"")).unwrap();
        assert_eq!(data["lines"][0]["values"], json!([10.0, 20.0]));
        assert!(chart.contains("<polyline") && chart.contains("role=\"img\""), "{chart}");
        assert!(chart.contains("1970-01-01T00:15:00.000Z</time></th><td>20</td><td>1</td>"), "{chart}");
        assert!(runs(&[interval(0, 10)]).contains("<circle"), "a single value is drawn as a dot");
        assert!(runs(&[]).contains("No data yet"));
    }

    #[test]
    fn ends_scales_at_round_numbers() {
        for (value, end) in [(0.0, 1.0), (1.0, 1.0), (3.0, 5.0), (6.0, 10.0), (123.0, 200.0)] {
            assert!((round_up(value) - end).abs() < 1e-9, "{value}");
        }
    }
}
