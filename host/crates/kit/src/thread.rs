//! The processor time of a thread, and its priority. `sandbox` and `site` lower the priority of
//! threads that do long work, and `app` measures how long requests hold a thread.

use std::time::Duration;

use rustix::process::setpriority_process;
use rustix::time::{ClockId, clock_gettime};

/// The nice value of threads that do long work. Next to a thread of normal priority, they get about
/// a tenth of a processor.
const NICE: i32 = 10;

/// The processor time that the calling thread has used. In contrast to the time that passes, it does
/// not depend on what else the machine does.
pub fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Lowers the priority of the calling thread, so that threads of normal priority interrupt it. This
/// cannot be undone, and threads that this thread starts inherit it.
pub fn lower_priority() {
    // On Linux, this changes the calling thread only.
    if let Err(error) = setpriority_process(None, NICE) {
        tracing::debug!(%error, "the priority of a thread cannot be lowered");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_takes_no_processor_time() {
        let began = cpu_time();
        std::thread::sleep(Duration::from_millis(200));
        assert!(cpu_time() - began < Duration::from_millis(100));
        let began = cpu_time();
        while cpu_time() == began {}
    }

    #[test]
    fn lowers_the_priority_of_one_thread() {
        let own = || rustix::process::getpriority_process(None).unwrap();
        let before = own();
        let lowered = std::thread::spawn(move || {
            lower_priority();
            own()
        });
        assert!(lowered.join().unwrap() >= before.max(NICE));
        assert_eq!(own(), before);
    }
}
