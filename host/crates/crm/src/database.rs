//! The database of CRM calls.

use crate::{CrmStore, JobStore};

/// A database that reads and writes CRM data and queues writes as jobs.
pub trait CrmDatabase: CrmStore + JobStore {}

impl<T: CrmStore + JobStore + ?Sized> CrmDatabase for T {}
