//! Events for the audit log and the process's own log. None of them holds a token, whole or in
//! part.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use serde_json::{Map, Value};

use super::Minted;
use super::oauth_error::OauthError;
use super::observe::RequestId;
use crate::audit::{AuditError, AuditEvent, AuditLog, AuditOutcome, AuditRecord};
use crate::clock::unix_now;

/// Who asked, and in which request.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    /// The socket's peer.
    pub(super) peer: IpAddr,
    /// The request.
    pub(super) request: RequestId,
}

/// Writes audit events; to the process's log alone where no audit log is configured.
#[derive(Debug)]
pub(super) struct Auditor {
    log: Option<AuditLog>,
    denials: Mutex<Denials>,
}

/// Lines about requests that were refused: whoever sends those must not fill the disk.
#[derive(Debug, Default)]
struct Denials {
    second: i64,
    written: u32,
}

/// Most lines about refused requests in a second; the process's log has them all.
const DENIALS: u32 = 20;

impl Auditor {
    /// With an audit log, or without.
    pub(super) fn new(log: Option<AuditLog>) -> Self {
        Self {
            log,
            denials: Mutex::default(),
        }
    }

    /// A token is about to be issued.
    ///
    /// # Errors
    /// 503 `audit_unavailable`: what cannot be audited is not issued.
    pub(super) fn issued(
        &self,
        event: AuditEvent,
        name: &'static str,
        caller: &Caller,
        minted: &Minted,
    ) -> Result<(), OauthError> {
        let claims = &minted.claims;
        let audience = claims.get("aud").unwrap_or(&Value::Null);
        self.write(
            &AuditRecord {
                subject: text(claims, "sub"),
                jti: Some(text(claims, "jti")),
                kid: Some(minted.kid.as_str()),
                about: None,
                ..done(event, caller, &caller.peer.to_string())
            },
            true,
        )?;
        tracing::info!(
            target: "audit",
            event = name,
            peer = %caller.peer,
            request_id = caller.request.0.as_str(),
            sub = text(claims, "sub"),
            jti = text(claims, "jti"),
            session_id = text(claims, "session_id"),
            aud = %audience,
        );
        Ok(())
    }

    /// A token is about to be revoked by who has it; a refresh token with its family.
    ///
    /// # Errors
    /// 503 `audit_unavailable`.
    pub(super) fn revoked(
        &self,
        caller: &Caller,
        subject: &str,
        jti: Option<&str>,
    ) -> Result<(), OauthError> {
        self.write(
            &AuditRecord {
                subject,
                jti,
                ..done(AuditEvent::Revoke, caller, &caller.peer.to_string())
            },
            true,
        )?;
        tracing::info!(
            target: "audit",
            event = "token_revoked",
            peer = %caller.peer,
            request_id = caller.request.0.as_str(),
            sub = subject,
            jti = jti.unwrap_or_default(),
        );
        Ok(())
    }

    /// A request is refused. It stays so where that cannot be written.
    pub(super) fn refused(
        &self,
        event: AuditEvent,
        name: &'static str,
        caller: &Caller,
        code: &'static str,
    ) {
        tracing::warn!(
            target: "audit",
            event = name,
            peer = %caller.peer,
            request_id = caller.request.0.as_str(),
            code,
        );
        if event == AuditEvent::Denied && !self.may_write_denial() {
            return;
        }
        // Anyone can have requests refused: that is not worth waiting for the disk. The next
        // event that is takes these lines with it.
        let written = self.write(
            &AuditRecord {
                outcome: AuditOutcome::Refused,
                code,
                ..done(event, caller, &caller.peer.to_string())
            },
            event != AuditEvent::Denied,
        );
        // The log has it already.
        drop(written);
    }

    fn may_write_denial(&self) -> bool {
        let mut denials = self.denials.lock().unwrap_or_else(PoisonError::into_inner);
        let now = unix_now();
        if denials.second != now {
            *denials = Denials {
                second: now,
                written: 0,
            };
        }
        denials.written = denials.written.saturating_add(1);
        denials.written <= DENIALS
    }

    fn write(&self, record: &AuditRecord<'_>, durable: bool) -> Result<(), OauthError> {
        match &self.log {
            None => Ok(()),
            Some(log) => log.append(record, durable).map_err(unavailable),
        }
    }
}

fn unavailable(error: AuditError) -> OauthError {
    tracing::error!(code = error.code(), %error, "cannot write the audit log");
    OauthError::unavailable("the audit log cannot be written", 5).with_code("audit_unavailable")
}

/// What all records of things done have.
fn done<'r>(event: AuditEvent, caller: &'r Caller, client: &'r str) -> AuditRecord<'r> {
    AuditRecord {
        event,
        outcome: AuditOutcome::Done,
        code: "ok",
        subject: "",
        client,
        request_id: &caller.request.0,
        jti: None,
        kid: None,
        about: None,
    }
}

fn text<'c>(claims: &'c Map<String, Value>, name: &str) -> &'c str {
    claims.get(name).and_then(Value::as_str).unwrap_or_default()
}
