//! Records finished runs: lines in the log, and rows in the execution log together with the
//! histograms of each page.

#![deny(unsafe_code)]

pub mod execution_log;
pub mod run_log;
