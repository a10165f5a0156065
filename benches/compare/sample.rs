//! One sample: `wrk` requests a page for a while, and the kernel says what that cost.

use std::fs;
use std::process::Command;

use crate::hosts::Host;

/// The kernel counts CPU time in hundredths of a second, on every architecture.
const TICKS_PER_SECOND: f64 = 100.0;

/// What one sample measured.
#[derive(Clone, Copy)]
pub(crate) struct Sample {
    /// CPU time of the host for one request, in microseconds.
    pub(crate) cpu_us: f64,
    pub(crate) requests_per_second: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) rss_kb: f64,
    /// The share of the machine's CPU time that other programs used meanwhile, from 0 to 1.
    pub(crate) others: f64,
}

/// Requests a page with eight connections.
pub(crate) fn take(host: &Host, page: &str, seconds: u32) -> Sample {
    let url = format!("{}/{page}", host.url);
    let cookie = session_cookie(&url);
    let (cpu, machine, own) = (cpu_of(host.pid()), machine_busy(), children());
    let mut wrk = Command::new("wrk");
    wrk.args(["--threads", "1", "--connections", "8", "--script", "benches/load.lua"]);
    wrk.args(["--duration", &format!("{seconds}s"), "--timeout", "30s"]);
    if let Some(cookie) = cookie {
        wrk.arg("-H").arg(format!("Cookie: {cookie}"));
    }
    let output = wrk.arg(&url).output().expect("wrk starts");
    let (cpu, machine, own) = (cpu_of(host.pid()) - cpu, machine_busy() - machine, children() - own);
    let text = String::from_utf8_lossy(&output.stdout);
    let result = text.lines().find_map(|line| line.strip_prefix("result ")).expect("wrk prints its result");
    let figures: Vec<f64> = result.split(' ').map(|figure| figure.parse().expect("a number")).collect();
    let [requests, microseconds, p50_us, p99_us, bad] = figures[..] else {
        panic!("wrk printed {result}");
    };
    assert!(requests > 0.0 && bad == 0.0, "{}: {bad} of {requests} responses of {page} failed", host.name);
    let wall = microseconds / 1e6;
    let cores = std::thread::available_parallelism().map_or(1.0, |cores| cores.get() as f64);
    Sample {
        cpu_us: cpu * 1e6 / requests,
        requests_per_second: requests / wall,
        p50_us,
        p99_us,
        rss_kb: rss_kb(host.pid()),
        others: ((machine - cpu - own) / (wall * cores)).max(0.0),
    }
}

/// The session's cookie, if the page sets one.
fn session_cookie(url: &str) -> Option<String> {
    let output = Command::new("curl").args(["--silent", "--include", "--max-time", "10", url]).output();
    let output = output.expect("curl starts");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.starts_with("HTTP/1.1 200"), "{url} answers {text}");
    let line = text.lines().find(|line| line.to_ascii_lowercase().starts_with("set-cookie:"))?;
    let value = line.split_once(':')?.1;
    Some(value.split(';').next()?.trim().to_owned())
}

/// The CPU time that a process has used, in seconds.
fn cpu_of(pid: u32) -> f64 {
    fields_of(&format!("/proc/{pid}/stat"), &[11, 12])
}

/// The CPU time that ended children of this program have used, in seconds: that of `wrk` and `curl`.
fn children() -> f64 {
    fields_of("/proc/self/stat", &[11, 12, 13, 14])
}

/// The sum of some fields of a `stat` file, counted from the field after the program's name.
fn fields_of(file: &str, wanted: &[usize]) -> f64 {
    let text = fs::read_to_string(file).expect("the process runs");
    let (_, rest) = text.rsplit_once(") ").expect("the name stands in parentheses");
    let fields: Vec<&str> = rest.split(' ').collect();
    let ticks = |index: &usize| fields.get(*index).and_then(|field| field.parse::<f64>().ok());
    wanted.iter().filter_map(ticks).sum::<f64>() / TICKS_PER_SECOND
}

/// The CPU time that all programs and the kernel have used, in seconds.
fn machine_busy() -> f64 {
    let text = fs::read_to_string("/proc/stat").expect("the kernel counts");
    let line = text.lines().next().expect("the first line is the sum");
    let ticks: Vec<f64> = line.split_whitespace().skip(1).filter_map(|field| field.parse().ok()).collect();
    // user, nice, system, idle, iowait, irq, softirq, steal
    [0, 1, 2, 5, 6, 7].iter().filter_map(|index: &usize| ticks.get(*index)).sum::<f64>() / TICKS_PER_SECOND
}

fn rss_kb(pid: u32) -> f64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process runs");
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it has memory");
    line.split_whitespace().next().and_then(|kb| kb.parse().ok()).expect("a number")
}
