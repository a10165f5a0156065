//! What can go wrong with the store of files.

use std::io;

use sluice_fetch::endpoint::EndpointError;

use crate::id::BadName;

/// Why a file is not kept, deleted or found.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// The name is not one.
    #[error(transparent)]
    BadName(#[from] BadName),
    /// The brand has no room for the file.
    #[error("the files of the brand take all of its {0}")]
    Full(String),
    /// The settings of the store are wrong.
    #[error("the store of files: {0}")]
    Settings(String),
    /// The folder cannot be used.
    #[error("the store of files: {0}")]
    Disk(#[from] io::Error),
    /// The service cannot be reached.
    #[error("the store of files: {0}")]
    Service(#[from] EndpointError),
    /// The service answered with a status that was not expected.
    #[error("the store of files answered with status {0}")]
    Status(u16),
    /// The service answered with something else.
    #[error("the store of files answered with {0}")]
    Answer(&'static str),
}
