use super::super::Service;
use super::super::caller::Caller;
use super::super::oauth_error::OauthError;
use crate::audit::AuditEvent;
use crate::clock::unix_now;
use crate::store::{Refusal, StoreError};

/// Why a grant failed: the store's reason for the log, or an answer that is ready.
pub(super) enum GrantError {
    Store(StoreError),
    Answer(OauthError),
}

impl GrantError {
    /// A stable identifier for metrics.
    pub(super) fn code(&self) -> &'static str {
        match self {
            GrantError::Store(error) => error.code(),
            GrantError::Answer(answer) => answer.code(),
        }
    }

    /// Records the failure and makes its answer.
    pub(super) async fn answer(self, service: &Service, caller: &Caller) -> OauthError {
        let refusal = match self {
            GrantError::Answer(answer) => {
                if answer.wants_record() {
                    let (event, name) = (AuditEvent::Denied, "grant_refused");
                    service.auditor.refused(event, name, caller, answer.code());
                }
                return answer;
            }
            GrantError::Store(StoreError::Refused(refusal)) => refusal,
            GrantError::Store(error) => return error.into(),
        };
        let (event, name) = match refusal {
            Refusal::Redeemed => (AuditEvent::Replay, "bootstrap_token_replayed"),
            Refusal::Replayed => (AuditEvent::Replay, "refresh_family_revoked"),
            Refusal::Unknown | Refusal::Expired | Refusal::Revoked | Refusal::Bound => {
                (AuditEvent::Denied, "authentication_failed")
            }
        };
        service.auditor.refused(event, name, caller, refusal.code());
        // Others behind the same address must not pay for a service that comes with an old token.
        if refusal == Refusal::Unknown {
            service.attempt_failed(caller, unix_now()).await;
        }
        OauthError::invalid_grant()
    }
}

impl From<StoreError> for GrantError {
    fn from(error: StoreError) -> Self {
        GrantError::Store(error)
    }
}

impl From<OauthError> for GrantError {
    fn from(error: OauthError) -> Self {
        GrantError::Answer(error)
    }
}
