//! What serving stands on: the state that lives as long as the process, loading and reloading
//! the site, requests and replies, what watches them, and the workers that apply queued writes.
//! The journey of a request is in `sluice-journey`.

#![deny(unsafe_code)]

pub mod app;
pub mod faults;
mod hooks;
mod job_metrics;
pub mod jobs;
pub mod load;
pub mod observe;
pub mod page_cache;
mod past_reloads;
mod pool_metrics;
pub mod queue;
pub mod reload;
mod reloads;
pub mod request;
pub mod response;
pub mod schedules;
mod served_hosts;
mod settings;
mod site_changes;
pub mod stall;
pub mod uncancelled;
