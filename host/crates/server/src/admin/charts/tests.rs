//! Charts as text.

use super::*;

fn interval(at_ms: i64, runs: u64) -> Interval {
    let used = Quantiles { p50: runs, p95: runs, p99: runs * 2, max: runs * 3 };
    Interval { at_ms, runs, failures: 1, fuel: used, wall_us: used, host_us: used, memory_bytes: used }
}

#[test]
fn contains_its_numbers_as_a_table_and_as_json() {
    let marks = [Mark { at_ms: 1_800_000, name: "reload <b>".to_owned() }];
    let bounds = Span { bounds: (0, 3_600_000), marks: &marks };
    let chart = runs(&[interval(0, 10), interval(900_000, 20)], bounds);
    let data = chart.split_once("data-chart=\"").unwrap().1.split_once('"').unwrap().0;
    let data: serde_json::Value = serde_json::from_str(&data.replace("&quot;", "\"")).unwrap();
    assert_eq!(data["lines"][0]["values"], json!([10.0, 20.0]));
    assert_eq!(data["marks"], json!([{ "at_ms": 1_800_000, "name": "reload &lt;b&gt;" }]));
    assert!(chart.contains("<line class=\"mark\" x1=\"362.0\""), "{chart}");
    assert!(chart.contains("<title>1970-01-01T00:30:00.000Z reload &lt;b&gt;</title>"), "{chart}");
    assert!(chart.contains("<polyline") && chart.contains("role=\"img\""), "{chart}");
    assert!(chart.contains("1970-01-01T00:15:00.000Z</time></th><td>20</td><td>1</td>"), "{chart}");
    assert!(runs(&[interval(0, 10)], bounds).contains("<circle"), "a single value is drawn as a dot");
    assert!(runs(&[], bounds).contains("No data yet"));
}

#[test]
fn leaves_gaps_where_there_were_no_runs() {
    let history = [0, 1, 4, 9, 10, 11].map(|at| interval(at * 900_000, 10));
    let chart = runs(&history, Span { bounds: (0, 12 * 900_000), marks: &[] });
    // Two lines of two parts and a point each: 0 and 1, 4, and 9 to 11.
    assert_eq!((chart.matches("<polyline").count(), chart.matches("<circle").count()), (4, 2), "{chart}");
    assert_eq!(chart.matches("<th scope=\"row\">").count(), 6, "a gap is no row of the table");
    assert!(chart.contains("[10.0,10.0,null,10.0,null,10.0,10.0,10.0]"), "{chart}");
    assert!(!chart.contains("class=\"quota\""));
}

#[test]
fn a_young_process_has_a_chart_of_the_time_that_it_knows() {
    let day = 96 * 900_000;
    let history = [interval(day - 2 * 900_000, 10), interval(day - 900_000, 30)];
    let chart = runs(&history, Span { bounds: (0, day), marks: &[] });
    assert!(chart.contains("no values before <time>1970-01-01T23:30:00.000Z</time>"), "{chart}");
    assert!(chart.contains("data-moment=\"1970-01-01T23:15:00.000Z\""), "{chart}");
    // Steps: each value is as wide as its interval.
    assert!(chart.contains("<polyline class=\"line a\""), "{chart}");
    let whole = runs(&[interval(0, 10), interval(day - 900_000, 30)], Span { bounds: (0, day), marks: &[] });
    assert!(!whole.contains("no values before"), "{whole}");
}

#[test]
fn times_that_differ_much_have_a_logarithmic_scale() {
    let of = |p99: u64| {
        let wall_us = Quantiles { p50: 1_000, p95: p99, p99, max: p99 };
        let host_us = Quantiles { p50: 0, p95: 0, p99: 0, max: 0 };
        let at = Interval { wall_us, host_us, ..interval(0, 1) };
        latency(&[at], Span { bounds: (0, 900_000), marks: &[] })
    };
    let near = of(20_000);
    assert!(!near.contains("logarithmic") && near.contains("&quot;decades&quot;:null"), "{near}");
    let far = of(20_001);
    assert!(far.contains("<small>logarithmic scale, 0 below it</small>"), "{far}");
    assert!(far.contains("&quot;decades&quot;:[3,5]"), "{far}");
    for label in [">1 ms<", ">10 ms<", ">100 ms<"] {
        assert!(far.contains(label), "{label} is not in {far}");
    }
    // The value 0 is at the bottom.
    assert!(far.contains("<circle class=\"dot c\" cx=\"362.0\" cy=\"138.0\""), "{far}");
}

/// The numbers from which the script draws a chart.
fn data(chart: &str) -> serde_json::Value {
    let data = chart.split_once("data-chart=\"").unwrap().1.split_once('"').unwrap().0;
    serde_json::from_str(&data.replace("&quot;", "\"")).unwrap()
}

#[test]
fn zero_has_a_line_of_its_own_below_a_logarithmic_scale() {
    let wall_us = Quantiles { p50: 1_000, p95: 90_000, p99: 90_000, max: 90_000 };
    let of = |host: u64| {
        let host_us = Quantiles { p50: host, p95: host, p99: host, max: host };
        let at = Interval { wall_us, host_us, ..interval(0, 1) };
        latency(&[at], Span { bounds: (0, 900_000), marks: &[] })
    };
    let (zero, least) = (of(0), of(1_000));
    // With a value of 0, the lowest decade is above the line of 0.
    assert!(zero.contains("logarithmic scale, 0 below it") && zero.contains(">0<"), "{zero}");
    assert!(zero.contains("<circle class=\"dot c\" cx=\"362.0\" cy=\"138.0\""), "{zero}");
    assert!(zero.contains("<circle class=\"dot a\" cx=\"362.0\" cy=\"114.0\""), "{zero}");
    assert!(!least.contains("0 below it") && !least.contains(">0<"), "{least}");
    assert!(least.contains("<circle class=\"dot c\" cx=\"362.0\" cy=\"138.0\""), "{least}");
    assert_eq!((&data(&zero)["has_zero"], &data(&least)["has_zero"]), (&json!(true), &json!(false)));
}

#[test]
fn an_interval_that_is_not_over_is_drawn_apart() {
    let now = now_ms();
    let begin = now - now.rem_euclid(INTERVAL_MS);
    let ended = [interval(begin - 2 * INTERVAL_MS, 40), interval(begin - INTERVAL_MS, 50)];
    let span = Span { bounds: (begin - 4 * INTERVAL_MS, begin + INTERVAL_MS), marks: &[] };
    let whole = runs(&ended, span);
    assert!(!whole.contains("not over yet") && data(&whole)["open"].is_null(), "{whole}");
    let [first, second] = ended;
    let chart = runs(&[first, second, interval(begin, 1)], span);
    assert_eq!(data(&chart)["open"], 2);
    // Two lines of what has ended, and two dashed ones beside them.
    assert_eq!(
        (chart.matches("<polyline class=\"line ").count(), chart.matches("class=\"line a open\"").count()),
        (4, 1)
    );
    assert!(chart.contains("<li class=\"open\">dashed: not over yet</li>"), "{chart}");
    assert_eq!(chart.matches("<small>not over yet</small>").count(), 1, "in the table");
}
