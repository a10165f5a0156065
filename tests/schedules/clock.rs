//! Hosts whose clocks run fast, or ahead of others. A library that is loaded before the C library answers what time it is;
//! the program has no switch for it. How long something takes is measured by another clock, which stays as it is.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::harness::ServerOptions;

const SOURCE: &str = r#"
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static long long rate = 0, from = 0, ahead = 0;

static long long setting(const char *name) {
    const char *text = getenv(name);
    return text ? atoll(text) : 0;
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    int done = syscall(SYS_clock_gettime, clock, time);
    if (done != 0 || clock != CLOCK_REALTIME) return done;
    if (rate == 0) {
        from = setting("TEST_CLOCK_FROM");
        ahead = setting("TEST_CLOCK_AHEAD");
        rate = setting("TEST_CLOCK_RATE");
    }
    long long ns = (time->tv_sec - from) * 1000000000LL + time->tv_nsec;
    ns *= rate;
    time->tv_sec = from + ahead + ns / 1000000000LL;
    time->tv_nsec = ns % 1000000000LL;
    return 0;
}
"#;

/// The library, and the time from which on clocks run fast.
pub(super) struct FastClock {
    library: PathBuf,
    from: u64,
}

impl FastClock {
    /// Compiles the library.
    pub(super) fn build() -> Self {
        static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
        let library = LIBRARY.get_or_init(|| {
            // Each test is a process of its own.
            let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
            let name = format!("clock-{}", std::process::id());
            let (source, library) = (folder.join(format!("{name}.c")), folder.join(format!("{name}.so")));
            std::fs::write(&source, SOURCE).unwrap();
            let mut compiler = Command::new("cc");
            compiler.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(&source);
            assert!(compiler.status().unwrap().success());
            library
        });
        let from = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        Self { library: library.clone(), from }
    }

    /// A host with a clock that runs `rate` times as fast and is so many seconds ahead.
    pub(super) fn on(&self, host: ServerOptions, rate: u32, ahead: i64) -> ServerOptions {
        let library = self.library.to_str().unwrap();
        host.env("LD_PRELOAD", library)
            .env("TEST_CLOCK_FROM", &self.from.to_string())
            .env("TEST_CLOCK_RATE", &rate.to_string())
            .env("TEST_CLOCK_AHEAD", &ahead.to_string())
            // Leases are measured by the fast clock.
            .env("SLUICE_JOBS__TAKEOVER", "2m")
    }
}
