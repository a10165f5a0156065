//! Why the admin listener does not do what a request asks for.

use actix_web::HttpResponse;
use actix_web::error::{BlockingError, JsonPayloadError, PathError, QueryPayloadError, UrlencodedError};
use actix_web::http::StatusCode;

use sluice_app::reload::ReloadError;
use sluice_crm::csv::ExportFault;
use sluice_crm::{CrmFault, EntryId, ReferenceError, Refusal};
use sluice_files::UploadFault;
use sluice_kit::StoreError;
use sluice_runs::execution_log::query::LogError;
use sluice_site::apply::{ApplyError, EditFault};
use sluice_site::config::ConfigError;
use tokio::task::JoinError;

use super::changes::note_refusal;

/// Operators see the text of these errors: in the API as JSON, in the console as a page.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AdminError {
    /// No route has this form, or a part of the address is invalid: `/api/brands/shop/runs/abc`.
    #[error("there is no such address")]
    NoSuchAddress,
    #[error("the console has no page {0}")]
    NoConsolePage(String),
    #[error("there is no brand {0}")]
    NoBrand(String),
    #[error("brand {brand} has no page {path}")]
    NoPage { brand: String, path: String },
    #[error("brand {brand} has no run {id} in its log")]
    NoRun { brand: String, id: i64 },
    #[error("brand {brand} has no entity {slug}")]
    NoEntity { brand: String, slug: String },
    #[error("there is no entry {0}")]
    NoEntry(String),
    #[error("brand {brand} has no kind of failure {kind}")]
    NoFailureKind { brand: String, kind: String },
    #[error("brand {brand} has no unfinished job {id}")]
    NoJob { brand: String, id: i64 },
    #[error("brand {brand} has no job {id} that is pending or parked")]
    NoQueuedJob { brand: String, id: String },
    #[error("brand {brand} has no schedule {name}{hint}")]
    NoSchedule { brand: String, name: String, hint: String },
    #[error("brand {brand} has {jobs_max} jobs that are not done, which is the limit (queue_jobs_max)")]
    QueueFull { brand: String, jobs_max: u64 },
    #[error("no page of brand {brand} has the tag {tag}")]
    NoTag { brand: String, tag: String },
    #[error("there is no limit {0}")]
    NoLimit(String),
    #[error("the role of {name} is \"read\", so nothing can be changed with this token")]
    ReadOnly { name: String },
    /// What actix reports about a query, a JSON body or a form.
    #[error("{0}")]
    InvalidRequest(String),
    #[error("`{0}` must be a string")]
    NotAString(&'static str),
    #[error("`value` must be a positive whole number")]
    NotANumber,
    #[error("`{0}` is not a positive whole number")]
    InvalidNumber(String),
    /// What an operator typed as the value of a limit.
    #[error("`{typed}` is not a positive whole number, with or without a unit: {examples}")]
    InvalidAmount { typed: String, examples: &'static str },
    #[error("`{0}` is not the id of an entry")]
    InvalidEntryId(String),
    #[error("{limit} = {value}: this host allows at most {max} ([limits.max] in sluice.toml)")]
    AboveMax { limit: String, value: u64, max: u64 },
    #[error(transparent)]
    BrandFile(#[from] ConfigError),
    /// `brand.toml` is not the one that the operator saw.
    #[error(transparent)]
    Changed(ApplyError),
    #[error(transparent)]
    Apply(ApplyError),
    /// A limit was written. It applies when what the reload rejects has been mended.
    #[error(
        "{limit} = {value} is written in brands/{brand}/brand.toml, but it does not apply yet, because the site \
         could not be reloaded: {problem}. Correct that and reload the site"
    )]
    NotInForce { brand: String, limit: String, value: u64, problem: String },
    /// A limit was removed. Its old value applies until what the reload rejects has been mended.
    #[error(
        "{limit} of the page is removed from brands/{brand}/brand.toml, but its old value still applies, because the \
         site could not be reloaded: {problem}. Correct that and reload the site"
    )]
    StillInForce { brand: String, limit: String, problem: String },
    #[error(transparent)]
    Reload(#[from] ReloadError),
    #[error(transparent)]
    Crm(CrmFault),
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    #[error("{entity} has no stage {stage:?}; write it as pipeline/stage")]
    NoStage { entity: String, stage: String },
    /// A value or a key that cannot be stored, or that its field cannot have.
    #[error("{key}: {why}")]
    Field { key: String, why: String },
    #[error("{key}: the entry {other} has this value already, and the field is unique")]
    NotUnique { key: String, other: EntryId },
    #[error("the entry was changed in the meantime; read it again")]
    EntryChanged,
    #[error("{why} ({limit})")]
    OverQuota { why: String, limit: &'static str },
    /// The database does not answer any more. The entries before were deleted.
    #[error("{deleted} of {all} entries were deleted, and then {error}")]
    DeletedPartly { deleted: usize, all: usize, error: CrmFault },
    /// The task that writes an entry panicked, or the host stops.
    #[error("the change has stopped: {0}")]
    Edit(JoinError),
    /// A file with entries is wrong, or the database refuses one of its records.
    #[error("{0}")]
    CsvFile(String),
    #[error("an import into {0} runs already; see the log for how it ends")]
    ImportRuns(String),
    #[error(transparent)]
    Export(#[from] ExportFault),
    /// A file with entries does not arrive.
    #[error(transparent)]
    Upload(UploadFault),
    /// A file with entries cannot be read again.
    #[error("the file cannot be read: {0}")]
    CsvDisk(std::io::Error),
    /// The task that imports entries panicked, or the host stops. Earlier records are written.
    #[error("the import has stopped: {0}")]
    Import(JoinError),
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A template of the console cannot be rendered. This is a defect of this program.
    #[error(transparent)]
    Render(#[from] handlebars::RenderError),
    /// The system has no random numbers for the id of a session.
    #[error("the session cannot be created: {0}")]
    Session(std::io::Error),
    /// The logout holds until the process stops.
    #[error(
        "you are logged out, but this could not be stored ({0}): after a restart of the host, a copy of your \
         cookie is valid again, for at most twelve hours"
    )]
    Logout(std::io::Error),
    /// The task that reads the execution log panicked or was cancelled.
    #[error(transparent)]
    Interrupted(#[from] BlockingError),
}

impl AdminError {
    /// The error for the log of changes, without values that belong to an entry.
    pub(crate) fn without_values(&self) -> String {
        match self {
            Self::Field { key, .. } => format!("{key}: its value was rejected"),
            Self::CsvFile(_) => "the file was rejected".to_owned(),
            other => other.to_string(),
        }
    }

    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::NoSuchAddress
            | Self::NoConsolePage(_)
            | Self::NoBrand(_)
            | Self::NoPage { .. }
            | Self::NoRun { .. }
            | Self::NoEntity { .. }
            | Self::NoEntry(_)
            | Self::NoFailureKind { .. }
            | Self::NoJob { .. }
            | Self::NoQueuedJob { .. }
            | Self::NoSchedule { .. }
            | Self::NoTag { .. }
            | Self::NoLimit(_)
            | Self::Crm(CrmFault::UnknownSlug(_)) => StatusCode::NOT_FOUND,
            Self::ReadOnly { .. } => StatusCode::FORBIDDEN,
            Self::Crm(CrmFault::Refused(Refusal::Conflict | Refusal::Duplicate)) => StatusCode::CONFLICT,
            Self::InvalidRequest(_)
            | Self::NotAString(_)
            | Self::NotANumber
            | Self::InvalidNumber(_)
            | Self::InvalidAmount { .. }
            | Self::InvalidEntryId(_)
            | Self::Reference(_)
            | Self::NoStage { .. }
            | Self::Field { .. }
            | Self::AboveMax { .. }
            | Self::CsvFile(_)
            | Self::Apply(ApplyError::UnknownLimit(_) | ApplyError::Unreadable(EditFault::Number(_)))
            | Self::Crm(
                CrmFault::Refused(_)
                | CrmFault::Cap(_)
                | CrmFault::NotIndexed { .. }
                | CrmFault::OrderNotDeclared { .. },
            ) => StatusCode::BAD_REQUEST,
            // The request is valid. The site's files must be changed first.
            Self::BrandFile(ConfigError::Unreadable(_))
            | Self::Apply(ApplyError::File(_) | ApplyError::Unwritable { .. })
            | Self::Reload(ReloadError::Task(_))
            | Self::Render(_)
            | Self::Interrupted(_)
            | Self::Session(_)
            | Self::CsvDisk(_)
            | Self::Import(_)
            | Self::Edit(_)
            | Self::Logout(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::BrandFile(_)
            | Self::Changed(_)
            | Self::Apply(_)
            | Self::NotInForce { .. }
            | Self::StillInForce { .. }
            | Self::QueueFull { .. }
            | Self::NotUnique { .. }
            | Self::EntryChanged
            | Self::OverQuota { .. }
            | Self::ImportRuns(_)
            | Self::Export(ExportFault::TooManyColumns | ExportFault::Changed)
            | Self::Reload(_) => StatusCode::CONFLICT,
            Self::Upload(UploadFault::Disk(_) | UploadFault::NoRoom | UploadFault::NoMemory) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::Upload(UploadFault::TooLarge(_)) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Upload(_) => StatusCode::BAD_REQUEST,
            Self::Crm(CrmFault::ResultTooLarge) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Log(_)
            | Self::Store(_)
            | Self::DeletedPartly { .. }
            | Self::Export(ExportFault::Crm(_))
            | Self::Crm(CrmFault::Store(_)) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The heading of the console's page for this error.
    pub(crate) fn title(&self) -> &'static str {
        match self.status() {
            StatusCode::NOT_FOUND => "Not found",
            StatusCode::FORBIDDEN => "Not allowed",
            StatusCode::BAD_REQUEST => "Invalid request",
            StatusCode::CONFLICT if matches!(self, Self::Changed(_) | Self::EntryChanged) => {
                "Changed in the meantime"
            }
            StatusCode::CONFLICT if matches!(self, Self::NotInForce { .. } | Self::StillInForce { .. }) => {
                "Written, but not in force"
            }
            StatusCode::CONFLICT if matches!(self, Self::QueueFull { .. }) => "Too many jobs",
            StatusCode::CONFLICT if matches!(self, Self::NotUnique { .. } | Self::OverQuota { .. }) => {
                "Not stored"
            }
            StatusCode::CONFLICT => "Invalid file",
            StatusCode::PAYLOAD_TOO_LARGE => "Too large",
            StatusCode::SERVICE_UNAVAILABLE => "Not available",
            _ => "Internal error",
        }
    }
}

impl From<CrmFault> for AdminError {
    fn from(fault: CrmFault) -> Self {
        match fault {
            CrmFault::Store(error) => Self::Store(error),
            other => Self::Crm(other),
        }
    }
}

impl From<ApplyError> for AdminError {
    fn from(error: ApplyError) -> Self {
        match error {
            ApplyError::UnknownLimit(name) => Self::NoLimit(name),
            ApplyError::Changed => Self::Changed(ApplyError::Changed),
            other => Self::Apply(other),
        }
    }
}

impl From<QueryPayloadError> for AdminError {
    fn from(error: QueryPayloadError) -> Self {
        match error {
            QueryPayloadError::Deserialize(error) => Self::InvalidRequest(error.to_string()),
            other => Self::InvalidRequest(other.to_string()),
        }
    }
}

impl From<UrlencodedError> for AdminError {
    fn from(error: UrlencodedError) -> Self {
        match error {
            UrlencodedError::Parse(error) => Self::InvalidRequest(error.to_string()),
            other => Self::InvalidRequest(other.to_string()),
        }
    }
}

impl From<JsonPayloadError> for AdminError {
    fn from(error: JsonPayloadError) -> Self {
        Self::InvalidRequest(error.to_string())
    }
}

/// A name or number in the address is invalid.
impl From<PathError> for AdminError {
    fn from(_: PathError) -> Self {
        Self::NoSuchAddress
    }
}

/// The API's response. The console renders a page instead.
impl actix_web::ResponseError for AdminError {
    fn status_code(&self) -> StatusCode {
        self.status()
    }

    fn error_response(&self) -> HttpResponse {
        note_refusal(&self.without_values());
        HttpResponse::build(self.status()).json(serde_json::json!({ "error": self.to_string() }))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, ErrorKind};

    use sluice_kit::NoAnswer;
    use sluice_kit::folder::OpenError;
    use sluice_site::files::FileError;

    use super::*;

    #[test]
    fn status_says_whether_the_request_or_the_host_is_at_fault() {
        let system = |kind: ErrorKind| OpenError::from(io::Error::from(kind));
        let unwritable =
            || ApplyError::Unwritable { error: system(ErrorKind::ReadOnlyFilesystem), lines: String::new() };
        let unreadable =
            || FileError { file: "brand.toml".to_owned(), fault: system(ErrorKind::PermissionDenied).into() };
        for (error, status) in [
            (AdminError::from(CrmFault::UnknownSlug("leads".to_owned())), 404),
            (AdminError::from(ApplyError::UnknownLimit("fuell".to_owned())), 404),
            (AdminError::from(ApplyError::Unreadable(EditFault::PageForm)), 409),
            (AdminError::from(CrmFault::Refused(Refusal::Duplicate)), 409),
            (AdminError::from(CrmFault::ResultTooLarge), 413),
            (AdminError::from(unwritable()), 500),
            (AdminError::from(ApplyError::File(unreadable())), 500),
            (AdminError::from(ApplyError::Changed), 409),
            (AdminError::from(CrmFault::Store(StoreError::Unavailable(NoAnswer::Closed))), 503),
        ] {
            assert_eq!(error.status().as_u16(), status, "{error}");
        }
    }
}
