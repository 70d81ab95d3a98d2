//! What the admin side answers: JSON, text, and errors as one sentence.

use std::{fmt::Display, time::Duration};

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use crate::actors::messages::{ConsoleGone, DeskError};

/// When to try again after there were too many requests.
const RETRY: Duration = Duration::from_secs(1);

/// Why a request was not carried out.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) status: StatusCode,
    why: String,
    retry: Option<Duration>,
    /// Whether the rest of the request is not read.
    close: bool,
}

impl Failure {
    pub(super) fn new(status: StatusCode, why: impl Display) -> Self {
        Self { status, why: why.to_string(), retry: None, close: false }
    }

    pub(super) fn retry_after(mut self, time: Duration) -> Self {
        self.retry = Some(time);
        self
    }

    /// The connection is closed after it.
    pub(super) fn closing(mut self) -> Self {
        self.close = true;
        self
    }

    pub(super) fn too_many() -> Self {
        let why = "too many requests are under way: try again later";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, why).retry_after(RETRY)
    }

    pub(super) fn stopping() -> Self {
        let why = "the hub is stopping";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, why).retry_after(RETRY)
    }

    /// The Hub or another actor is gone.
    pub(super) fn gone() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "the hub does not answer").retry_after(RETRY)
    }

    pub(super) fn no_session() -> Self {
        Self::new(StatusCode::NOT_FOUND, "there is no such session")
    }
}

impl From<DeskError> for Failure {
    fn from(error: DeskError) -> Self {
        match error {
            DeskError::Unknown(_) | DeskError::Several { .. } => Self::no_session(),
            DeskError::ConsoleGone(gone) => gone.into(),
        }
    }
}

impl From<ConsoleGone> for Failure {
    fn from(_: ConsoleGone) -> Self {
        Self::stopping()
    }
}

impl From<actix::MailboxError> for Failure {
    fn from(_: actix::MailboxError) -> Self {
        Self::gone()
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        #[derive(Serialize)]
        struct Error<'a> {
            error: &'a str,
        }
        let mut response = json(&Error { error: &self.why });
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(time) = self.retry {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(time.as_secs().max(1)));
        }
        if self.close {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// A value as JSON, with status 200.
pub(super) fn json(value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(text) => with_type("application/json", text),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// Lines as plain text, with status 200.
pub(super) fn text(text: impl Into<Body>) -> Response {
    with_type("text/plain; charset=utf-8", text)
}

/// Something of this type, with status 200.
pub(super) fn with_type(content_type: &'static str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// Adds the headers that every response has.
pub(super) fn secure(response: &mut Response) {
    let headers = response.headers_mut();
    for (name, value) in [
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
             connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
    headers.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
}
