//! Events for the audit log and the process's own log. None of them holds a token, whole or in
//! part.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Map, Value};

use super::Minted;
use super::caller::Caller;
use super::oauth_error::OauthError;
use crate::audit::{AuditError, AuditEvent, AuditLog, AuditOutcome, AuditRecord};
use crate::clock::unix_now;
use crate::store::Store;

/// Writes audit events; to the process's log alone where no audit log is configured.
#[derive(Debug)]
pub(super) struct Auditor {
    log: Option<Arc<AuditLog>>,
    /// Whether the store waits for the log before it keeps anything.
    with_store: bool,
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
    /// With an audit log, or without. `store` keeps nothing that the log does not have.
    pub(super) async fn new(log: Option<AuditLog>, store: &Store) -> Self {
        let log = log.map(Arc::new);
        let with_store = match &log {
            None => false,
            Some(log) => {
                let log = Arc::clone(log);
                let work = move || log.sync().map_err(|error| error.to_string());
                store.before_commit(work).await
            }
        };
        Self {
            log,
            with_store,
            denials: Mutex::default(),
        }
    }

    /// As [`Auditor::issued`], within what the store keeps only when the log has this.
    ///
    /// # Errors
    /// 503 `audit_unavailable`.
    pub(super) fn issued_in_store(
        &self,
        event: AuditEvent,
        name: &'static str,
        caller: &Caller,
        minted: &Minted,
    ) -> Result<(), OauthError> {
        self.write_issued(event, name, caller, minted, !self.with_store)
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
        self.write_issued(event, name, caller, minted, true)
    }

    fn write_issued(
        &self,
        event: AuditEvent,
        name: &'static str,
        caller: &Caller,
        minted: &Minted,
        durable: bool,
    ) -> Result<(), OauthError> {
        let claims = &minted.claims;
        let audience = claims.get("aud").unwrap_or(&Value::Null);
        self.write(
            &AuditRecord {
                subject: text(claims, "sub"),
                jti: Some(text(claims, "jti")),
                kid: Some(minted.kid.as_str()),
                about: Some(&about(minted)),
                ..done(event, caller, &caller.name())
            },
            durable,
        )?;
        tracing::info!(
            target: "audit",
            event = name,
            peer = caller.name(),
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
                ..done(AuditEvent::Revoke, caller, &caller.name())
            },
            !self.with_store,
        )?;
        tracing::info!(
            target: "audit",
            event = "token_revoked",
            peer = caller.name(),
            request_id = caller.request.0.as_str(),
            sub = subject,
            jti = jti.unwrap_or_default(),
        );
        Ok(())
    }

    /// The OpenID provider is about to be changed.
    ///
    /// # Errors
    /// 503 `audit_unavailable`.
    pub(super) fn reconfigured(
        &self,
        caller: &Caller,
        about: &Map<String, Value>,
    ) -> Result<(), OauthError> {
        self.write(
            &AuditRecord {
                about: Some(about),
                ..done(AuditEvent::OidcConfigure, caller, &caller.name())
            },
            true,
        )?;
        tracing::info!(
            target: "audit",
            event = "oidc_configured",
            peer = caller.name(),
            request_id = caller.request.0.as_str(),
            issuer = text(about, "issuer"),
            client_id = text(about, "client_id"),
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
            peer = caller.name(),
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
                ..done(event, caller, &caller.name())
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

/// What else a line about an issued token tells: for whom and what for, who asked and acts.
fn about(minted: &Minted) -> Map<String, Value> {
    let mut about = Map::new();
    for name in ["aud", "scope", "client_id", "act"] {
        if let Some(value) = minted.claims.get(name) {
            about.insert(name.to_owned(), value.clone());
        }
    }
    if !minted.rules.is_empty() {
        about.insert("rules".to_owned(), minted.rules.clone().into());
    }
    about
}

fn text<'c>(claims: &'c Map<String, Value>, name: &str) -> &'c str {
    claims.get(name).and_then(Value::as_str).unwrap_or_default()
}
