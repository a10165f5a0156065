//! How the time of a run is divided, as a bar with a list.

use serde_json::{Value, json};

use sluice_runs::execution_log::Execution;

use super::templates::duration;

/// The phases of a run in their order, and the bar. None if no time was measured.
pub(crate) fn of(run: &Execution) -> Option<Value> {
    let script = run.wall_us.saturating_sub(run.host_us).saturating_sub(run.cpu_wait_us);
    let phases = [
        ("c", "waited for a sandbox", run.waited_us),
        ("a", "script", script),
        ("b", "in host calls", run.host_us.min(run.wall_us)),
        ("soft", "waited for a processor", run.cpu_wait_us.min(run.wall_us)),
    ];
    let all: u64 = phases.iter().map(|(_, _, us)| us).sum();
    if all == 0 {
        return None;
    }
    let share = |us: u64| us as f64 / all as f64 * 100.0;
    let mut at = 0.0;
    let mut bar = String::new();
    for (class, _, us) in phases {
        bar.push_str(&format!(
            "<rect class=\"{class}\" x=\"{at:.2}\" width=\"{:.2}\" height=\"10\"/>",
            share(us)
        ));
        at += share(us);
    }
    // The list beside it says the same in words.
    let bar = format!(
        "<svg class=\"phases\" viewBox=\"0 0 100 10\" preserveAspectRatio=\"none\" aria-hidden=\"true\">{bar}</svg>"
    );
    let list: Vec<Value> = phases
        .iter()
        .map(|(class, name, us)| {
            json!({ "class": class, "name": name, "took": duration(*us as f64), "percent": format!("{:.0}", share(*us)) })
        })
        .collect();
    Some(json!({ "bar": bar, "list": list }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_are_the_whole_time_and_never_more() {
        let run = |wall_us: u64, host_us: u64, cpu_wait_us: u64| -> Execution {
            serde_json::from_value(json!({
                "id": 1, "at_ms": 0, "brand": "", "page": "", "trace_id": "", "method": "", "path": "", "outcome": "ok",
                "status": 200, "fuel": 1, "memory_bytes": 1, "wall_us": wall_us, "host_us": host_us, "console": [],
                "console_dropped": 0, "error": null, "waited_us": 1_000, "cpu_wait_us": cpu_wait_us,
            }))
            .unwrap()
        };
        let shown = of(&run(9_000, 4_000, 2_000)).unwrap();
        let times: Vec<&str> =
            shown["list"].as_array().unwrap().iter().map(|one| one["took"].as_str().unwrap()).collect();
        assert_eq!(times, ["1 ms", "3 ms", "4 ms", "2 ms"]);
        assert!(shown["bar"].as_str().unwrap().contains("x=\"80.00\" width=\"20.00\""), "{shown}");
        // Both can count the same wait.
        let shown = of(&run(3_000, 3_000, 2_000)).unwrap();
        assert_eq!(shown["list"][1]["took"], "0 µs");
        assert!(of(&Execution { waited_us: 0, ..run(0, 0, 0) }).is_none());
    }
}
