use std::fmt::Display;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tokensmith_engine::exchange::ExchangeError;

use crate::store::StoreError;

/// An error answer of an OAuth endpoint (RFC 6749 section 5.2, RFC 6750 section 3).
#[derive(Debug)]
pub(super) struct OauthError {
    status: StatusCode,
    error: &'static str,
    description: String,
    code: Option<&'static str>,
    retry_after: Option<i64>,
    challenge: bool,
    recorded: bool,
}

impl OauthError {
    pub(super) fn new(
        status: StatusCode,
        error: &'static str,
        description: impl Into<String>,
    ) -> Self {
        Self {
            status,
            error,
            description: description.into(),
            code: None,
            retry_after: None,
            challenge: false,
            recorded: false,
        }
    }

    /// 400 `invalid_request`.
    pub(super) fn invalid_request(description: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request", description)
    }

    /// 400 `invalid_grant`, the same for every reason: a caller learns nothing about tokens that
    /// are not its own.
    pub(super) fn invalid_grant() -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "invalid_grant",
            "the token is unknown, used, expired or revoked",
        )
    }

    /// 401 with a challenge.
    pub(super) fn unauthorized(error: &'static str, description: impl Into<String>) -> Self {
        Self {
            challenge: true,
            ..Self::new(StatusCode::UNAUTHORIZED, error, description)
        }
    }

    /// 401 `invalid_client` (RFC 6749 section 5.2).
    pub(super) fn invalid_client(description: impl Into<String>, code: &'static str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "invalid_client", description).with_code(code)
    }

    /// What the token endpoint answers to an exchange that is refused (RFC 8693 section 2.2.2).
    pub(super) fn refused_exchange(error: &ExchangeError) -> Self {
        let name = error.oauth_error();
        let status = match name {
            "invalid_client" => StatusCode::UNAUTHORIZED,
            _ => StatusCode::BAD_REQUEST,
        };
        Self::new(status, name, error.to_string()).with_code(error.code())
    }

    /// The same error as the token endpoint answers it: there a bad token is a parameter of the
    /// request, not what authenticates the caller (RFC 8693 section 2.2.2).
    pub(super) fn about_subject_token(self) -> Self {
        if self.status != StatusCode::UNAUTHORIZED || self.error == "invalid_client" {
            return self;
        }
        Self {
            status: StatusCode::BAD_REQUEST,
            error: "invalid_request",
            challenge: false,
            ..self
        }
    }

    /// It is in the audit log already.
    pub(super) fn recorded(self) -> Self {
        Self {
            recorded: true,
            ..self
        }
    }

    /// Whether it is in the audit log already.
    pub(super) fn is_recorded(&self) -> bool {
        self.recorded
    }

    /// Whether it refuses somebody, and no log says so yet.
    pub(super) fn wants_record(&self) -> bool {
        !self.recorded && self.status.is_client_error()
    }

    /// With a challenge, for who sent an `Authorization` header (RFC 6749 section 5.2).
    pub(super) fn challenged(self) -> Self {
        Self {
            challenge: true,
            ..self
        }
    }

    /// 403 with a challenge (RFC 6750 section 3.1).
    pub(super) fn insufficient_scope(description: impl Into<String>) -> Self {
        Self {
            challenge: true,
            ..Self::new(StatusCode::FORBIDDEN, "insufficient_scope", description)
        }
    }

    /// 429 with the time to wait.
    pub(super) fn too_many_requests(seconds: i64) -> Self {
        Self {
            retry_after: Some(seconds),
            ..Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                "too_many_requests",
                "too many failed attempts from this address",
            )
        }
    }

    /// 503 with the time to wait.
    pub(super) fn unavailable(description: impl Into<String>, seconds: i64) -> Self {
        Self {
            retry_after: Some(seconds),
            ..Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "temporarily_unavailable",
                description,
            )
        }
    }

    /// 500 that tells the log what happened and the caller nothing.
    pub(super) fn internal(cause: impl Display) -> Self {
        tracing::error!(%cause, "internal error");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "server_error",
            "the service cannot answer; its log says why",
        )
    }

    /// The stable code, or the error where there is no finer one.
    pub(super) fn code(&self) -> &'static str {
        self.code.unwrap_or(self.error)
    }

    /// Adds a stable code for the detail.
    pub(super) fn with_code(mut self, code: &'static str) -> Self {
        self.code = Some(code);
        self
    }
}

impl From<StoreError> for OauthError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Refused(_) => Self::invalid_grant(),
            other => {
                tracing::error!(code = other.code(), error = %other, "store failed");
                let description = match other {
                    StoreError::Full(_) => "the store has no room left",
                    _ => "the store does not answer",
                };
                Self::unavailable(description, 1).with_code(other.code())
            }
        }
    }
}

impl From<ExchangeError> for OauthError {
    fn from(error: ExchangeError) -> Self {
        let (code, description) = (error.code(), error.to_string());
        match error {
            ExchangeError::Scope(_) => {
                Self::new(StatusCode::BAD_REQUEST, "invalid_scope", description)
            }
            ExchangeError::Target(_) => {
                Self::new(StatusCode::BAD_REQUEST, "invalid_target", description)
            }
            ExchangeError::Claim(_)
            | ExchangeError::TokenClaim { .. }
            | ExchangeError::SessionEnded => Self::unauthorized("invalid_token", description),
            // RFC 9470 section 3.
            ExchangeError::Factors(_) => {
                Self::unauthorized("insufficient_user_authentication", description)
            }
            other => return Self::refused_exchange(&other),
        }
        .with_code(code)
    }
}

impl IntoResponse for OauthError {
    fn into_response(self) -> Response {
        let mut body = json!({"error": self.error, "error_description": self.description});
        if let (Some(code), Some(members)) = (self.code, body.as_object_mut()) {
            members.insert("code".to_owned(), code.into());
        }
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.challenge {
            let challenge = match self.error {
                // Without credentials a challenge names no error (RFC 6750 section 3.1).
                "missing_token" => "Bearer".to_owned(),
                error => format!("Bearer error=\"{error}\""),
            };
            if let Ok(value) = HeaderValue::from_str(&challenge) {
                headers.insert(header::WWW_AUTHENTICATE, value);
            }
        }
        response
    }
}
