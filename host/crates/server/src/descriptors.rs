//! How many connections of visitors fit into the process's limit of open files.
//!
//! If visitors could use all descriptors, the admin listener could not accept the connection of a
//! probe. So the visitors' listener stops accepting earlier; further visitors wait in the
//! system's queue.

use std::fs;

/// Descriptors that stay free for operators, probes, the database and the log, besides those that are
/// open at start.
const KEPT: usize = 64;
/// A limit below this gets a warning.
const ENOUGH: usize = 4_096;
/// More connections of one worker than this are never accepted. It is actix's default.
const WORKER_MAX: usize = 25_600;

/// The connections that each of `workers` threads may have. Warns if the limit of open files is
/// low. `kept` descriptors are needed elsewhere.
pub(crate) fn connections_a_worker(workers: usize, kept: usize) -> usize {
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let open = fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    // Not Linux, or no limit.
    let Some(limit) = open_files_max(&limits) else { return WORKER_MAX };
    let connections = visitors_max(limit, open.saturating_add(kept));
    if limit < ENOUGH {
        tracing::warn!(
            limit,
            connections,
            "the limit of open files (ulimit -n) is low: so many connections of visitors are accepted at a \
             time, and others wait; set it to 65536 (systemd: LimitNOFILE, containers: --ulimit nofile)"
        );
    }
    (connections / workers.max(1)).clamp(1, WORKER_MAX)
}

/// The soft limit in the text of `/proc/self/limits`.
fn open_files_max(limits: &str) -> Option<usize> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// A visitor who gets a file needs a descriptor for the connection and one for the file.
fn visitors_max(limit: usize, used: usize) -> usize {
    limit.saturating_sub(used).saturating_sub(KEPT) / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_soft_limit() {
        let text = "Limit                     Soft Limit           Hard Limit           Units\n\
            Max processes             15000                15000                processes\n\
            Max open files            1024                 524288               files\n";
        assert_eq!(open_files_max(text), Some(1_024));
        assert_eq!(open_files_max(&text.replace("1024  ", "unlimited")), None);
        assert_eq!(open_files_max(""), None);
    }

    #[test]
    fn keeps_descriptors_for_operators() {
        assert_eq!(visitors_max(1_024, 60), 450);
        assert_eq!(visitors_max(65_536, 60), 32_706);
        assert_eq!(visitors_max(100, 60), 0);
    }
}
