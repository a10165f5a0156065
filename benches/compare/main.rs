//! Compares whole requests: Sluice, a native QuickJS host without isolation, and workerd. `make
//! compare` runs it, with the path of workerd's program.
//!
//! Each round takes a sample of each page on each host in turn, so that a machine whose speed changes
//! does so for all of them. The figures are medians, and a ratio is the median of the rounds' ratios.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a bench ends at the first failure and prints"
)]

mod hosts;
mod native_host;
mod pages;
mod sample;

use std::path::PathBuf;

use hosts::Host;
use pages::{ROWS, Row};
use sample::Sample;
use sluice_benches::medians::median;

/// The argument with which this program is the native host.
const NATIVE_HOST: &str = "native-host";

/// If other programs use more than this share of the machine, the figures say little.
const OTHERS_MAX: f64 = 0.1;

/// The samples of one page on one host, one for each round.
type Samples = Vec<Sample>;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    if args.first().is_some_and(|arg| arg == NATIVE_HOST) {
        return native_host::serve();
    }
    let [sluice, workerd] = &args[..] else {
        panic!("usage: compare <program of sluice> <program of workerd, or none>");
    };
    // Cargo runs benches in their package's folder.
    std::env::set_current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).expect("the folder exists");
    let rounds = number("ROUNDS", 5) | 1;
    let seconds = number("SAMPLE_SECONDS", 2);
    let dirs = [(); 2].map(|()| tempfile::tempdir().expect("a folder can be made"));
    let mut hosts = vec![Host::sluice(&PathBuf::from(sluice), dirs[0].path()), Host::native()];
    if workerd != "none" {
        hosts.push(Host::workerd(&PathBuf::from(workerd), dirs[1].path()));
    }
    let samples = measure(&hosts, rounds, seconds);
    print(&hosts, &samples);
}

fn number(variable: &str, default: u32) -> u32 {
    match std::env::var(variable) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{variable}={text} is not a number")),
        Err(_) => default,
    }
}

/// Takes all samples: for each row, those of each host.
fn measure(hosts: &[Host], rounds: u32, seconds: u32) -> Vec<Vec<Samples>> {
    let page = |row: &Row, host: &Host| if host.name == "Sluice" { Some(row.page) } else { row.other };
    let mut samples = vec![vec![Samples::new(); hosts.len()]; ROWS.len()];
    for row in &ROWS {
        for host in hosts {
            // The first requests fill caches.
            if let Some(page) = page(row, host) {
                sample::take(host, page, 1);
            }
        }
    }
    for _ in 0..rounds {
        for (row, of_row) in ROWS.iter().zip(&mut samples) {
            for (host, of_host) in hosts.iter().zip(of_row) {
                of_host.extend(page(row, host).map(|page| sample::take(host, page, seconds)));
            }
        }
    }
    samples
}

fn print(hosts: &[Host], samples: &[Vec<Samples>]) {
    println!(
        "{:<38}{:<9}{:>10}{:>11}{:>10}{:>10}{:>8}{:>8}{:>7}",
        "page", "host", "CPU", "requests/s", "p50", "p99", "RSS", "ratio", "goal"
    );
    for (row, of_row) in ROWS.iter().zip(samples) {
        for (index, (host, of_host)) in hosts.iter().zip(of_row).enumerate() {
            if of_host.is_empty() {
                continue;
            }
            let median = |figure: fn(&Sample) -> f64| {
                median(of_host.iter().map(figure).collect()).expect("there is a sample")
            };
            let ratio = of_row.get(1).and_then(|of_native| ratio_to_native(of_host, of_native));
            let goal = row.goal.filter(|_| index == 0);
            println!(
                "{:<38}{:<9}{:>7.0} µs{:>11.0}{:>7.2} ms{:>7.2} ms{:>5.0} MB{:>8}{:>7}",
                row.title,
                host.name,
                median(|sample| sample.cpu_us),
                median(|sample| sample.requests_per_second),
                median(|sample| sample.p50_us) / 1e3,
                median(|sample| sample.p99_us) / 1e3,
                median(|sample| sample.rss_kb) / 1024.0,
                ratio.map_or(String::new(), |ratio| format!("{ratio:.2} x")),
                goal.map_or(String::new(), |goal| format!("{goal:.1} x")),
            );
        }
    }
    println!("CPU: time of the host for one request. Ratio: to the native host, in CPU time.");
    let others = median(samples.iter().flatten().flatten().map(|sample| sample.others).collect());
    if let Some(others) = others.filter(|others| *others > OTHERS_MAX) {
        println!(
            "Void: other programs used {:.0} % of the machine. Measure again when it is idle.",
            others * 100.0
        );
    }
}

/// The median of the rounds' ratios. `None` if the native host does not serve the page.
fn ratio_to_native(of_host: &Samples, of_native: &Samples) -> Option<f64> {
    let ratios: Vec<f64> =
        of_host.iter().zip(of_native).map(|(sample, native)| sample.cpu_us / native.cpu_us).collect();
    median(ratios)
}
