//! Settings of files that visitors send and scripts keep.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use url::Url;

use sluice_files::media;

/// A page cannot take more files in one request: each is an open file of the process.
const FILES_MAX: usize = 20;

/// `[files]` of `sluice.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FilesConfig {
    /// The size of the files that one brand can keep, in bytes.
    pub brand_bytes_max: u64,
    /// The number of files that one brand can keep.
    pub brand_files_max: usize,
    /// The room on the disk for files that are arriving, in bytes. A brand gets at most half of it. Requests that
    /// find no room get status 503.
    pub uploads_bytes_max: u64,
    /// A bucket that keeps the files, instead of the folder `files` in the data folder. Hosts that share a
    /// database need one, or a shared folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub s3: Option<S3Config>,
}

impl Default for FilesConfig {
    fn default() -> Self {
        Self { brand_bytes_max: 1 << 30, brand_files_max: 10_000, uploads_bytes_max: 1 << 30, s3: None }
    }
}

/// `[files.s3]` of `sluice.toml`: a bucket of a service that speaks the protocol of S3.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct S3Config {
    /// The URL of the service.
    #[serde(default, deserialize_with = "endpoint")]
    #[schemars(example = "https://s3.eu-central-1.amazonaws.com")]
    pub endpoint: String,
    /// The bucket, which must exist.
    #[serde(default)]
    #[schemars(example = "my-site-files")]
    pub bucket: String,
    /// The region of the bucket.
    #[serde(default)]
    #[schemars(example = "eu-central-1")]
    pub region: String,
    /// The id of the access key. Prefer `SLUICE_FILES__S3__KEY_ID`.
    #[serde(default, skip_serializing)]
    pub key_id: String,
    /// The access key itself. Prefer `SLUICE_FILES__S3__SECRET_KEY`, so that no file contains it.
    #[serde(default, skip_serializing)]
    pub secret_key: String,
}

impl S3Config {
    /// Whether it says which bucket. If only the environment of a developer has the keys, it does not.
    pub fn names_bucket(&self) -> bool {
        ![&self.endpoint, &self.bucket, &self.region].into_iter().any(String::is_empty)
    }

    /// The URL of the service.
    pub fn url(&self) -> Option<Url> {
        Url::parse(&self.endpoint).ok()
    }
}

/// `uploads` of a page.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UploadConfig {
    /// How many files a request can have, at most 20.
    #[serde(default = "one", deserialize_with = "files_max")]
    pub files_max: usize,
    /// How large each file can be: bytes, or a text such as `10 MB`.
    #[serde(deserialize_with = "size")]
    #[schemars(with = "Size")]
    pub bytes_max: u64,
    /// The types of the files. The content of a file decides about its type, and not what the browser says.
    /// All types by default.
    #[serde(default, deserialize_with = "types")]
    pub types: Vec<String>,
}

/// A number of bytes, or a text such as `10 MB`.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "it stands for a number of bytes in the schema only")]
enum Size {
    Bytes(u64),
    #[schemars(extend("pattern" = "^[0-9]+ ?(KB|MB|GB)$"))]
    Text(String),
}

const fn one() -> usize {
    1
}

fn files_max<'de, D: Deserializer<'de>>(input: D) -> Result<usize, D::Error> {
    match usize::deserialize(input)? {
        count @ 1..=FILES_MAX => Ok(count),
        count => {
            Err(serde::de::Error::custom(format!("a request can have 1 to {FILES_MAX} files, not {count}")))
        }
    }
}

fn endpoint<'de, D: Deserializer<'de>>(input: D) -> Result<String, D::Error> {
    let text = String::deserialize(input)?;
    let url = Url::parse(&text).ok();
    let is_url = url.is_some_and(|url| matches!(url.scheme(), "http" | "https") && url.host().is_some());
    match is_url {
        true => Ok(text),
        false => Err(serde::de::Error::custom(format!("`{text}` is not a URL such as https://s3.example"))),
    }
}

fn size<'de, D: Deserializer<'de>>(input: D) -> Result<u64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Given {
        Bytes(u64),
        Text(String),
    }
    match Given::deserialize(input)? {
        Given::Bytes(bytes) => Ok(bytes),
        Given::Text(text) => parse_size(&text).ok_or_else(|| {
            serde::de::Error::custom(format!("`{text}` is not a size such as 500 KB or 10 MB"))
        }),
    }
}

fn parse_size(text: &str) -> Option<u64> {
    let unit_at = text.find(|c: char| !c.is_ascii_digit())?;
    let (count, unit) = text.split_at_checked(unit_at)?;
    let shift = match unit.trim() {
        "KB" => 10,
        "MB" => 20,
        "GB" => 30,
        _ => return None,
    };
    count.parse::<u64>().ok()?.checked_mul(1 << shift)
}

fn types<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<String>, D::Error> {
    let types = Vec::<String>::deserialize(input)?;
    match types.iter().find(|name| !media::is_known(name)) {
        None => Ok(types),
        Some(name) => Err(serde::de::Error::custom(format!(
            "`{name}` is not a type that the content of a file shows; known are image/png, image/jpeg, image/gif, \
             image/webp, application/pdf, text/plain, text/csv and others in docs/scripts.md"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::parse_size;

    #[test]
    fn reads_sizes_with_a_unit() {
        for (text, expected) in [
            ("10 MB", Some(10 << 20)),
            ("1KB", Some(1 << 10)),
            ("2 GB", Some(2 << 30)),
            ("10", None),
            ("10 mb", None),
            ("MB", None),
            ("99999999999999999999 GB", None),
        ] {
            assert_eq!(parse_size(text), expected, "{text}");
        }
    }
}
