//! Small charts as SVG, drawn on the server: lines over time, a bar for a share of a quota, and
//! columns for a distribution.
//!
//! The axis of time is the range that the operator chose. Quarters of an hour without runs are gaps, and a
//! value between two gaps is a point. An interval that is not over is dashed, and joined with nothing. Lines over time
//! also have their numbers in a table below, for operators who cannot see the chart, and in the attribute `data-chart`, from which `charts.js` draws a chart that shows values
//! under the pointer. Charts contain only numbers, constant texts and the names of marks, which are escaped as
//! `data-chart` is.

mod quantity;
mod scale;
mod small;

use serde::Serialize;
use serde_json::json;

use sluice_kit::clock::{iso_utc, now_ms};

use self::quantity::Quantity;
use self::scale::{LOGARITHMIC, Scale, round_up};
pub(crate) use self::small::{fuel_distribution, share_of_quota, trend};
use super::load::Sample;
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
    /// A value for each time of the chart. None in a gap.
    values: Vec<Option<f64>>,
}

/// The time that a chart shows.
#[derive(Clone, Copy)]
pub(crate) struct Span<'a> {
    /// Its first moment, and the one after the last, in Unix milliseconds.
    pub(crate) bounds: (i64, i64),
    /// Moments that a line marks: starts, reloads and changes of limits.
    pub(crate) marks: &'a [Mark],
}

/// A moment that a line marks.
#[derive(Debug, Serialize)]
pub(crate) struct Mark {
    pub(crate) at_ms: i64,
    /// What happened then. It contains text of authors.
    pub(crate) name: String,
}

struct Chart<'a> {
    title: &'a str,
    quantity: Quantity,
    span: Span<'a>,
    /// The length of the time that a value is about.
    step_ms: i64,
    /// The time of each value in Unix milliseconds.
    times: Vec<i64>,
    lines: Vec<Line<'a>>,
    /// The highest value that a run may have.
    quota: Option<u64>,
}

/// All runs and failed runs over time.
pub(crate) fn runs(history: &[Interval], span: Span<'_>) -> String {
    over_time(
        (history, span),
        "Runs per 15 minutes",
        (Quantity::Count, None),
        &[("runs", "a", |at| at.runs), ("failed", "bad", |at| at.failures)],
    )
}

/// All runs and failed runs of this process, minute by minute.
pub(crate) fn runs_by_minute(samples: &[Sample], span: Span<'_>) -> String {
    let rows: Vec<(i64, &Sample)> = samples.iter().map(|sample| (sample.at_ms, sample)).collect();
    let lines: [(&str, &str, Read<Sample>); 2] =
        [("runs", "a", |at| at.runs), ("failed", "bad", |at| at.failures)];
    let (times, lines) = with_gaps(&rows, MINUTE_MS, &lines);
    let (title, quantity) = ("Runs per minute, since this process started", Quantity::Count);
    Chart { title, quantity, span, step_ms: MINUTE_MS, times, lines, quota: None }.draw()
}

/// The wall time of runs, and their time in host calls, over time.
pub(crate) fn latency(history: &[Interval], span: Span<'_>) -> String {
    over_time(
        (history, span),
        "Time per run",
        (Quantity::Microseconds, None),
        &[
            ("p50", "a", |at| at.wall_us.p50),
            ("p99", "b", |at| at.wall_us.p99),
            ("p99 in host calls", "c", |at| at.host_us.p99),
        ],
    )
}

/// The memory of the scripts of a page's runs over time, without that of the engine.
pub(crate) fn memory(page: &PageDetail, span: Span<'_>) -> String {
    let own = |used: u64| used.saturating_sub(page.memory_bytes_base);
    let of_scripts = page.history.iter().map(|at| {
        let used = &at.memory_bytes;
        let used =
            Quantiles { p50: own(used.p50), p95: own(used.p95), p99: own(used.p99), max: own(used.max) };
        Interval { memory_bytes: used, ..*at }
    });
    over_time(
        (&of_scripts.collect::<Vec<_>>(), span),
        "Memory of the script per run",
        (Quantity::Bytes, Some(page.memory_quota)),
        &[("p50", "a", |at| at.memory_bytes.p50), ("max", "b", |at| at.memory_bytes.max)],
    )
}

/// The fuel of a page's runs over time.
pub(crate) fn fuel(page: &PageDetail, span: Span<'_>) -> String {
    over_time(
        (&page.history, span),
        "Fuel per run",
        (Quantity::Count, Some(page.row.fuel_quota)),
        &[("p50", "a", |at| at.fuel.p50), ("p99", "b", |at| at.fuel.p99), ("max", "c", |at| at.fuel.max)],
    )
}

/// Takes a line's value from a row.
type Read<T> = fn(&T) -> u64;

/// A chart leaves out a first part of the range without values if it is longer than this part of the range.
const EMPTY_PART: i64 = 5;
pub(crate) const MINUTE_MS: i64 = 60 * 1_000;
/// The length of an interval of the statistics.
const INTERVAL_MS: i64 = 15 * 60 * 1_000;

fn over_time(
    (history, span): (&[Interval], Span<'_>),
    title: &str,
    (quantity, quota): (Quantity, Option<u64>),
    lines: &[(&str, &str, Read<Interval>)],
) -> String {
    let rows: Vec<(i64, &Interval)> = history.iter().map(|at| (at.at_ms, at)).collect();
    let (times, lines) = with_gaps(&rows, INTERVAL_MS, lines);
    Chart { title, quantity, span, step_ms: INTERVAL_MS, times, lines, quota }.draw()
}

/// The times of the rows, with an empty one in each gap between them, and the values of the lines.
fn with_gaps<'a, T>(
    rows: &[(i64, &T)],
    step_ms: i64,
    lines: &[(&'a str, &'a str, Read<T>)],
) -> (Vec<i64>, Vec<Line<'a>>) {
    let mut slots: Vec<(i64, Option<&T>)> = Vec::new();
    for (at_ms, row) in rows {
        // Samples are not taken to the millisecond.
        if let Some((last, _)) = slots.last().copied().filter(|(last, _)| at_ms - last > step_ms * 3 / 2) {
            slots.push((last + step_ms, None));
        }
        slots.push((*at_ms, Some(row)));
    }
    let line = |(name, class, read): &(&'a str, &'a str, Read<T>)| Line {
        name,
        class,
        values: slots.iter().map(|(_, row)| row.map(|row| read(row) as f64)).collect(),
    };
    let lines = lines.iter().map(line).collect();
    (slots.iter().map(|(at_ms, _)| *at_ms).collect(), lines)
}

/// Sandboxes, memory and processors of the host over time: three charts.
pub(crate) fn load((step_ms, samples): &(i64, Vec<Sample>), span: Span<'_>) -> [String; 3] {
    let rows: Vec<(i64, &Sample)> = samples.iter().map(|sample| (sample.at_ms, sample)).collect();
    let draw = |title, quantity, lines: &[(&str, &str, Read<Sample>)]| {
        let (times, lines) = with_gaps(&rows, *step_ms, lines);
        Chart { title, quantity, span, step_ms: *step_ms, times, lines, quota: None }.draw()
    };
    [
        draw(
            "Sandboxes",
            Quantity::Count,
            &[("in use", "a", |at| at.running), ("requests that wait", "bad", |at| at.waiting)],
        ),
        draw("Memory of the process", Quantity::Bytes, &[("resident", "a", |at| at.memory_bytes)]),
        draw("Processors", Quantity::Permille, &[("in use", "a", |at| at.cpu_permille)]),
    ]
}

impl Chart<'_> {
    fn draw(&self) -> String {
        if self.times.is_empty() {
            return format!(
                "<figure class=\"chart\"><figcaption>{}</figcaption><p class=\"empty\">No data yet.</p></figure>",
                self.title
            );
        }
        let max =
            self.lines.iter().flat_map(|line| line.values.iter().flatten().copied()).fold(0.0, f64::max);
        let unit = self.quantity.unit();
        // The line of the quota belongs into the chart if the values come near it.
        let quota = self.quota.map(|quota| quota as f64);
        let near = quota.filter(|quota| max >= quota * 0.2);
        let decades = self.decades(max);
        let top = match decades {
            Some((_, to)) => 10_f64.powi(to),
            None => round_up(near.unwrap_or(max).max(max) / unit) * unit,
        };
        let values = || self.lines.iter().flat_map(|line| line.values.iter().flatten());
        let has_zero = decades.is_some() && values().any(|value| *value <= 0.0);
        let scale = Scale { top, decades, has_zero };
        let mut svg = format!(
            "<figure class=\"chart\" data-chart=\"{}\"><figcaption>{}{}</figcaption>\
             <svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}: at most {}\">",
            self.numbers(near.is_some(), scale),
            self.title,
            self.share(max) + scale.said() + &self.begin(),
            self.title,
            self.quantity.write(max)
        );
        let steps: Vec<f64> = match decades {
            Some((from, to)) => (from..=to)
                .step_by(if to - from > 4 { 2 } else { 1 })
                .map(|power| 10_f64.powi(power))
                .collect(),
            None => (0..=2).map(|step| top * f64::from(step) / 2.0).collect(),
        };
        let zero = has_zero.then(|| (0.0, "0".to_owned()));
        let labels = steps.into_iter().map(|value| (value, self.quantity.write(value)));
        for (value, label) in zero.into_iter().chain(labels) {
            let y = scale.y(value);
            svg.push_str(&format!(
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
                 <text class=\"scale\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
                LEFT - 6.0,
                y + 4.0,
            ));
        }
        for mark in self.span.marks {
            let (x, base) = (self.x_at(mark.at_ms), HEIGHT - BOTTOM);
            svg.push_str(&format!(
                "<line class=\"mark\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{base}\"><title>{} {}</title></line>",
                iso_utc(mark.at_ms),
                handlebars::html_escape(&mark.name)
            ));
        }
        for line in &self.lines {
            svg.push_str(&self.line(line, scale));
        }
        if let Some(quota) = near {
            let y = scale.y(quota);
            svg.push_str(&format!(
                "<line class=\"quota\" x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>"
            ));
        }
        svg.push_str(&self.time_scale());
        svg.push_str("</svg>");
        svg.push_str(&self.legend());
        svg.push_str(&self.table());
        svg.push_str("</figure>");
        svg
    }

    /// The time that is drawn: the range that the operator chose, without an empty first part of it.
    fn bounds(&self) -> (i64, i64) {
        let (from, to) = self.span.bounds;
        let first = self.times.first().copied().unwrap_or(from);
        if first.saturating_sub(from) <= (to - from) / EMPTY_PART {
            return (from, to);
        }
        // What is drawn is as long as two values at least.
        (first.saturating_sub(self.step_ms).min(to - 2 * self.step_ms).max(from), to)
    }

    /// Since when there are values, if that is later than the range.
    fn begin(&self) -> String {
        let first = self.times.first().filter(|_| self.bounds().0 > self.span.bounds.0);
        first
            .map(|first| format!(" <small>no values before <time>{}</time></small>", iso_utc(*first)))
            .unwrap_or_default()
    }

    /// Whether each value is about a whole interval, and not about a moment.
    fn has_intervals(&self) -> bool {
        self.step_ms >= MINUTE_MS
    }

    /// The interval that is not over yet: its place among the times.
    fn open(&self) -> Option<usize> {
        let last = self.times.last().filter(|_| self.has_intervals())?;
        (last + self.step_ms > now_ms()).then(|| self.times.len() - 1)
    }

    /// The quota, and how much of it the largest value is.
    fn share(&self, max: f64) -> String {
        let Some(quota) = self.quota.filter(|quota| *quota > 0) else { return String::new() };
        let percent = max / quota as f64 * 100.0;
        let percent =
            if percent < 0.1 { "less than 0.1".to_owned() } else { format!("at most {percent:.1}") };
        format!(" <small>{percent} % of the quota of {}</small>", self.quantity.write(quota as f64))
    }

    /// The content of the attribute `data-chart`: JSON, escaped for HTML.
    fn numbers(&self, shows_quota: bool, scale: Scale) -> String {
        let lines: Vec<_> = self
            .lines
            .iter()
            .map(|line| json!({ "name": line.name, "color": line.class, "values": line.values }))
            .collect();
        let numbers = json!({
            "quantity": self.quantity.name(), "times_ms": self.times, "lines": lines,
            "step_ms": self.step_ms, "from_ms": self.bounds().0, "to_ms": self.bounds().1,
            "quota": self.quota.filter(|_| shows_quota), "marks": self.span.marks,
            "decades": scale.decades.map(|(from, to)| [from, to]), "has_zero": scale.has_zero,
            "open": self.open(),
        });
        handlebars::html_escape(&numbers.to_string())
    }

    fn x(&self, index: usize) -> f64 {
        let at = self.times.get(index).copied().unwrap_or(self.span.bounds.0);
        // An interval is where its middle is, which is now at the latest.
        self.x_at(at + self.step_ms / 2)
    }

    fn x_at(&self, at: i64) -> f64 {
        let (from, to) = self.bounds();
        let at = at.clamp(from, to);
        let share = (at - from) as f64 / (to - from).max(1) as f64;
        LEFT + 6.0 + share * (WIDTH - LEFT - 12.0)
    }

    /// The powers of ten between which a logarithmic scale runs, if the chart needs one: its p99 is so large beside its
    /// p50 that a line of the p50 would lie on the axis.
    fn decades(&self, max: f64) -> Option<(i32, i32)> {
        let most = |name: &str| {
            let line = self.lines.iter().find(|line| line.name == name)?;
            Some(line.values.iter().flatten().copied().fold(0.0, f64::max))
        };
        let (p50, p99) = (most("p50")?, most("p99")?);
        if !matches!(self.quantity, Quantity::Microseconds) || p50 <= 0.0 || p99 <= p50 * LOGARITHMIC {
            return None;
        }
        let values = self.lines.iter().flat_map(|line| line.values.iter().flatten().copied());
        let least = values.filter(|value| *value > 0.0).fold(max, f64::min);
        let (from, to) = (least.log10().floor() as i32, max.log10().ceil() as i32);
        Some((from, to.max(from + 1)))
    }

    fn line(&self, line: &Line<'_>, scale: Scale) -> String {
        let at = |index: usize, value: f64| (self.x(index), scale.y(value));
        let open = self.open();
        let mut values: Vec<Option<(f64, f64)>> = line
            .values
            .iter()
            .enumerate()
            .map(|(index, value)| value.map(|value| at(index, value)))
            .collect();
        let last = open.and_then(|index| values.get_mut(index)?.take().map(|(_, y)| (index, y)));
        let parts = values.split(Option::is_none).filter(|part| !part.is_empty());
        let draw = |part: &[Option<(f64, f64)>]| {
            let points: Vec<(f64, f64)> = part.iter().flatten().copied().collect();
            if let [(x, y)] = points.as_slice() {
                return format!("<circle class=\"dot {}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\"/>", line.class);
            }
            let half = self.x_at(self.bounds().0 + self.step_ms / 2) - self.x_at(self.bounds().0);
            let points: Vec<String> = match self.has_intervals() {
                // The value holds for the whole interval, and nothing is known of what is between two of them.
                true => points
                    .iter()
                    .flat_map(|(x, y)| [(x - half, y), (x + half, y)])
                    .map(|(x, y)| format!("{x:.1},{y:.1}"))
                    .collect(),
                false => points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect(),
            };
            format!("<polyline class=\"line {}\" points=\"{}\"/>", line.class, points.join(" "))
        };
        let ended: String = parts.map(draw).collect();
        ended + &last.map(|(index, y)| self.not_over(line, index, y)).unwrap_or_default()
    }

    /// What is known of an interval that is not over, from its begin until now. No line joins it with the one before,
    /// because its values are not comparable yet.
    fn not_over(&self, line: &Line<'_>, index: usize, y: f64) -> String {
        let at = self.times.get(index).copied().unwrap_or_default();
        let (begin, end) = (self.x_at(at), self.x_at(at + self.step_ms));
        let class = line.class;
        let title = "<title>not over yet</title>";
        match end - begin < 6.0 {
            true => format!(
                "<circle class=\"dot {class} open\" cx=\"{end:.1}\" cy=\"{y:.1}\" r=\"3\">{title}</circle>"
            ),
            false => format!(
                "<polyline class=\"line {class} open\" points=\"{begin:.1},{y:.1} {end:.1},{y:.1}\">{title}</polyline>"
            ),
        }
    }

    /// The bounds of the range, below the chart. `console.js` shows them in the operator's zone.
    fn time_scale(&self) -> String {
        let label = |at: i64, x: f64, anchor: &str| {
            let iso = iso_utc(at);
            let text = iso.get(..16).unwrap_or_default().replace('T', " ");
            format!(
                "<text class=\"scale\" data-moment=\"{iso}\" x=\"{x}\" y=\"{}\" text-anchor=\"{anchor}\">{text}</text>",
                HEIGHT - 6.0
            )
        };
        let (from, to) = self.bounds();
        label(from, LEFT, "start") + &label(to, WIDTH, "end")
    }

    fn legend(&self) -> String {
        let entry = |line: &Line<'_>| format!("<li class=\"{}\">{}</li>", line.class, line.name);
        let open = self.open().map_or("", |_| "<li class=\"open\">dashed: not over yet</li>");
        format!("<ul class=\"legend\">{}{open}</ul>", self.lines.iter().map(entry).collect::<String>())
    }

    fn table(&self) -> String {
        let heads: String =
            self.lines.iter().map(|line| format!("<th scope=\"col\">{}</th>", line.name)).collect();
        let open = self.open();
        let is_gap = |index: &usize| self.lines.iter().all(|line| line.values.get(*index) == Some(&None));
        let rows = self.times.iter().enumerate().filter(|(index, _)| !is_gap(index)).map(|(index, at)| {
            let value = |line: &Line<'_>| {
                let value = line.values.get(index).copied().flatten();
                format!("<td>{}</td>", self.quantity.write(value.unwrap_or(0.0)))
            };
            let values: String = self.lines.iter().map(value).collect();
            let open = if open == Some(index) { " <small>not over yet</small>" } else { "" };
            format!("<tr><th scope=\"row\"><time>{}</time>{open}</th>{values}</tr>", iso_utc(*at))
        });
        format!(
            "<details><summary>Data table</summary><div class=\"wide\"><table><thead><tr>\
             <th scope=\"col\">time</th>{heads}</tr></thead><tbody>{}</tbody></table></div></details>",
            rows.collect::<String>()
        )
    }
}

#[cfg(test)]
mod tests;
