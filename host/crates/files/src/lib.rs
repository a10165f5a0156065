//! Files that visitors send, and the store of those that scripts keep.

#![deny(unsafe_code)]

mod error;
mod folder;
mod id;
mod kept;
pub mod media;
pub mod multipart;
mod readers;
mod room;
mod s3;
mod signed;
mod store;
mod upload;
mod usage;

#[cfg(test)]
mod tests;

pub use error::FilesError;
pub use id::{BadName, FileId, is_name_prefix};
pub use kept::Kept;
pub use readers::Reader;
pub use room::{Taken, UploadRoom};
pub use s3::{S3Body, S3Options};
pub use signed::{PATH, TTL_SECONDS_MAX, opens_for, signed_path};
pub use store::{Content, FileStore};
pub use upload::{Received, Upload, UploadFault, UploadRules, receive};
pub use usage::FileQuota;
