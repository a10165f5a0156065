//! `sluice`: the command line.

#![deny(unsafe_code)]

mod cli;

use std::process::ExitCode;

/// glibc's allocator keeps the memory of a burst of large requests for good. This one returns it to
/// the system within seconds, with a thread of its own. See `docs/decisions/allocator.md`.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    cli::main()
}
