//! From a request to its reply: the state that lives as long as the process, loading and
//! reloading the site, the journey of a request, and the workers that apply queued writes.

#![deny(unsafe_code)]

pub mod app;
mod job_metrics;
pub mod jobs;
pub mod load;
pub mod observe;
pub mod reload;
pub mod request;
pub mod response;
pub mod serve;
mod settings;
pub mod stall;
mod static_file;
pub mod uncancelled;
