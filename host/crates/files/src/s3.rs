//! Keeps files in a bucket of a service that speaks the protocol of S3.

use std::fs::File;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use rusty_s3::actions::{ListObjectsV2, S3Action};
use rusty_s3::{Bucket, Credentials, UrlStyle};
use tokio::time::timeout;
use url::Url;

use sluice_fetch::endpoint::{Answer, Endpoint, EndpointError, HeaderName, HeaderValue, Method, Outgoing};

use crate::error::FilesError;
use crate::id::FileId;
use crate::kept::Kept;

/// How long a signed request is valid.
const SIGNED: Duration = Duration::from_secs(300);
/// How long the service may take to answer a request that sends no file.
const SILENCE: Duration = Duration::from_secs(20);
/// The largest answer to a request for a list.
const LIST_BYTES_MAX: usize = 4 << 20;
/// The service gives no more entries at a time.
const LIST_MAX: usize = 1_000;

/// Where the bucket is, and who may use it.
#[derive(Clone)]
pub struct S3Options {
    /// The URL of the service.
    pub endpoint: Url,
    /// The name of the bucket.
    pub bucket: String,
    /// Its region.
    pub region: String,
    /// The id of the key.
    pub key_id: String,
    /// The key itself.
    pub secret_key: String,
}

/// A store in a bucket.
#[derive(Clone)]
pub(crate) struct S3Store {
    bucket: Bucket,
    credentials: Credentials,
    endpoint: Endpoint,
}

/// A file of the bucket, which is read as it arrives.
pub struct S3Body(Answer);

impl S3Body {
    /// The next bytes.
    ///
    /// # Errors
    /// The service has stopped.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, EndpointError> {
        self.0.chunk().await
    }
}

impl S3Store {
    pub(crate) fn new(options: S3Options, endpoint: Endpoint) -> Result<Self, FilesError> {
        let S3Options { endpoint: url, bucket, region, key_id, secret_key } = options;
        let bucket = Bucket::new(url, UrlStyle::Path, bucket, region)
            .map_err(|error| FilesError::Settings(error.to_string()))?;
        Ok(Self { bucket, credentials: Credentials::new(key_id, secret_key), endpoint })
    }

    async fn send(
        &self,
        method: Method,
        url: Url,
        headers: Vec<(HeaderName, HeaderValue)>,
        outgoing: Outgoing,
    ) -> Result<Answer, FilesError> {
        let sends_file = matches!(outgoing, Outgoing::File(..));
        let answer = self.endpoint.send(method, &url, headers, outgoing);
        if sends_file {
            return Ok(answer.await?);
        }
        let silent = || EndpointError::Silent(url.host_str().unwrap_or_default().to_owned());
        Ok(timeout(SILENCE, answer).await.map_err(|_| silent())??)
    }

    pub(crate) async fn put(
        &self,
        brand: &str,
        id: &FileId,
        file: File,
        bytes: u64,
    ) -> Result<(), FilesError> {
        let url = self.bucket.put_object(Some(&self.credentials), &key(brand, id)).sign(SIGNED);
        let answer = self.send(Method::PUT, url, Vec::new(), Outgoing::File(file, bytes)).await?;
        expect(&answer, &[200])
    }

    /// The file, or `bytes` bytes of it from `start` on.
    pub(crate) async fn get(
        &self,
        brand: &str,
        id: &FileId,
        part: Option<(u64, u64)>,
    ) -> Result<Option<S3Body>, FilesError> {
        let url = self.bucket.get_object(Some(&self.credentials), &key(brand, id)).sign(SIGNED);
        let range = part.map(|(start, bytes)| format!("bytes={start}-{}", start + bytes.saturating_sub(1)));
        let range = range.and_then(|range| HeaderValue::try_from(range).ok());
        let headers = range.map(|range| (HeaderName::from_static("range"), range)).into_iter().collect();
        let answer = self.send(Method::GET, url, headers, Outgoing::Nothing).await?;
        if answer.status == 404 {
            return Ok(None);
        }
        expect(&answer, if part.is_some() { &[206] } else { &[200] })?;
        Ok(Some(S3Body(answer)))
    }

    /// The size of a file, and since when it is kept.
    pub(crate) async fn about(
        &self,
        brand: &str,
        id: &FileId,
    ) -> Result<Option<(u64, SystemTime)>, FilesError> {
        let url = self.bucket.head_object(Some(&self.credentials), &key(brand, id)).sign(SIGNED);
        let answer = self.send(Method::HEAD, url, Vec::new(), Outgoing::Nothing).await?;
        if answer.status == 404 {
            return Ok(None);
        }
        expect(&answer, &[200])?;
        let text = |name: &str| answer.headers.get(name)?.to_str().ok();
        let bytes = text("content-length").and_then(|bytes| bytes.parse().ok());
        let modified = text("last-modified").and_then(|time| httpdate::parse_http_date(time).ok());
        let bytes = bytes.ok_or(FilesError::Answer("a file without a size"))?;
        Ok(Some((bytes, modified.unwrap_or(SystemTime::UNIX_EPOCH))))
    }

    /// Returns whether there was a file.
    pub(crate) async fn delete(&self, brand: &str, id: &FileId) -> Result<bool, FilesError> {
        // The answer to a deletion does not say that.
        if self.about(brand, id).await?.is_none() {
            return Ok(false);
        }
        let url = self.bucket.delete_object(Some(&self.credentials), &key(brand, id)).sign(SIGNED);
        let answer = self.send(Method::DELETE, url, Vec::new(), Outgoing::Nothing).await?;
        expect(&answer, &[200, 204, 404])?;
        Ok(true)
    }

    pub(crate) async fn list(
        &self,
        brand: &str,
        prefix: &str,
        after: &str,
        limit: usize,
    ) -> Result<Vec<Kept>, FilesError> {
        let folder = format!("{brand}/");
        let mut found = Vec::new();
        let mut token: Option<String> = None;
        while found.len() < limit {
            let wanted = (limit - found.len()).min(LIST_MAX);
            let mut action = self.bucket.list_objects_v2(Some(&self.credentials));
            action.with_prefix(format!("{folder}{prefix}"));
            action.with_max_keys(wanted);
            if let Some(token) = &token {
                action.with_continuation_token(token.clone());
            } else if !after.is_empty() {
                action.with_start_after(format!("{folder}{after}"));
            }
            let url = action.sign(SIGNED);
            let mut answer = self.send(Method::GET, url, Vec::new(), Outgoing::Nothing).await?;
            expect(&answer, &[200])?;
            let text = answer.whole(LIST_BYTES_MAX).await?;
            let text = String::from_utf8(text).map_err(|_| FilesError::Answer("a list that is not UTF-8"))?;
            let list = ListObjectsV2::parse_response(&text)
                .map_err(|_| FilesError::Answer("a list that is not XML as expected"))?;
            found.extend(list.contents.into_iter().filter_map(|object| {
                let id = FileId::parse(object.key.strip_prefix(&folder)?)?;
                let kept_at = object.last_modified.and_then(|time| humantime(&time));
                Some(Kept {
                    id,
                    bytes: object.size.unwrap_or_default(),
                    kept_at: kept_at.unwrap_or(SystemTime::UNIX_EPOCH),
                })
            }));
            // The service may send fewer entries than it has, or none, and goes on where its token says.
            let next = list.next_continuation_token;
            if next.is_some() && next == token {
                return Err(FilesError::Answer("a list without an end"));
            }
            token = next;
            if token.is_none() {
                break;
            }
        }
        found.truncate(limit);
        Ok(found)
    }
}

fn key(brand: &str, id: &FileId) -> String {
    format!("{brand}/{id}")
}

fn expect(answer: &Answer, statuses: &[u16]) -> Result<(), FilesError> {
    if statuses.contains(&answer.status) { Ok(()) } else { Err(FilesError::Status(answer.status)) }
}

/// A time such as `2026-11-28T20:00:00.000Z`.
fn humantime(text: &str) -> Option<SystemTime> {
    let time = time::OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339).ok()?;
    Some(time.into())
}
