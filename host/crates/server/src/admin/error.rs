//! Why the admin plane does not do what it was asked.

use actix_web::error::PathError;
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};

use sluice_kit::StoreError;
use sluice_runs::execution_log::query::LogError;

#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    #[error("there is no {0}")]
    NotFound(String),
    #[error("{0}")]
    Invalid(String),
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{0:#}")]
    Failed(#[from] anyhow::Error),
}

impl AdminError {
    pub fn status(&self) -> StatusCode {
        match self {
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::Invalid(_) => StatusCode::BAD_REQUEST,
            Self::Log(_) | Self::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// For a part of a request that is not what it should be.
pub fn unreadable(error: impl std::fmt::Display, _: &HttpRequest) -> actix_web::Error {
    AdminError::Invalid(error.to_string()).into()
}

/// For an address in which a name or number is none that there can be.
pub fn no_such_address(_: PathError, _: &HttpRequest) -> actix_web::Error {
    AdminError::NotFound("such address".to_owned()).into()
}

/// What the API answers; the console has pages of its own.
impl actix_web::ResponseError for AdminError {
    fn status_code(&self) -> StatusCode {
        self.status()
    }

    fn error_response(&self) -> HttpResponse {
        HttpResponse::build(self.status()).json(serde_json::json!({ "error": self.to_string() }))
    }
}
