//! An answer that is none: what is wrong, and what to do.

use crate::companion::remote::Refused;
use crate::exit::UsageError;
use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

pub struct Failure {
    pub status: StatusCode,
    pub why: String,
    /// Of a device's refusal.
    code: Option<String>,
}

impl Failure {
    pub fn new(status: StatusCode, why: impl Into<String>) -> Failure {
        Failure { status, why: why.into(), code: None }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Failure {
        let refused = error.downcast_ref::<Refused>();
        let status = match () {
            () if error.is::<UsageError>() => StatusCode::UNPROCESSABLE_ENTITY,
            () if refused.is_some() => StatusCode::BAD_GATEWAY,
            () => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Failure { status, why: said(&error), code: refused.and_then(|refused| refused.code.clone()) }
    }
}

impl From<UsageError> for Failure {
    fn from(UsageError(why): UsageError) -> Failure {
        Failure::new(StatusCode::UNPROCESSABLE_ENTITY, why)
    }
}

/// The error in the form of a sentence, as on the command line.
pub fn said(error: &anyhow::Error) -> String {
    format!("{error:#}")
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (self.status, Json(json!({ "why": self.why, "code": self.code }))).into_response()
    }
}
