//! What CRM calls need of a database.

use crate::{CrmStore, JobStore};

/// What CRM calls need of a database: to be read and written, and to take writes for
/// later.
pub trait CrmDatabase: CrmStore + JobStore {}

impl<T: CrmStore + JobStore + ?Sized> CrmDatabase for T {}
