use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

/// No line is longer, its end included.
pub(super) const MAX_LINE: u64 = 16 * 1024;
/// Longer texts are cut: they come from outside.
const MAX_TEXT: usize = 256;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuditEvent {
    /// A bootstrap token was redeemed.
    Issue,
    /// An identity token was exchanged.
    Exchange,
    /// A refresh token was rotated.
    Refresh,
    /// A token that is good once was used again.
    Replay,
    /// The OpenID provider was configured at run time.
    OidcConfigure,
    /// A token was revoked by who had it.
    Revoke,
    /// A bootstrap token was made.
    BootstrapCreate,
    /// Tokens and families of another store were taken over.
    StoreImport,
    /// A user's token was made without service and provider.
    LocalUserToken,
    /// A request was refused.
    Denied,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuditOutcome {
    /// It was done.
    Done,
    /// It was refused.
    Refused,
}

/// What a line tells, but for its place in the chain.
#[derive(Clone, Copy, Debug)]
pub struct AuditRecord<'r> {
    /// What happened.
    pub event: AuditEvent,
    /// How it ended.
    pub outcome: AuditOutcome,
    /// The reason for a refusal, else `ok`.
    pub code: &'r str,
    /// `sub` of the token; empty where it is not known.
    pub subject: &'r str,
    /// The peer's address, `local` for the command line.
    pub client: &'r str,
    /// Which request it was.
    pub request_id: &'r str,
    /// `jti` of the access token.
    pub jti: Option<&'r str>,
    /// The key that signed it.
    pub kid: Option<&'r str>,
    /// What else there is to tell of this event.
    pub about: Option<&'r Map<String, Value>>,
}

/// A line as it is written, members in this order.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Line {
    pub(super) seq: u64,
    time: String,
    event: AuditEvent,
    subject: String,
    client: String,
    outcome: AuditOutcome,
    code: String,
    request_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    jti: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kid: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    about: Option<Map<String, Value>>,
    pub(super) prev: String,
}

/// Where a chain ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// `seq` of the last line; 0 when there is none.
    pub(super) seq: u64,
    /// Digest of the last line without its end, as 64 hexadecimal digits.
    pub(super) digest: String,
}

impl Head {
    /// Of a chain without lines.
    pub(super) fn start() -> Self {
        Self {
            seq: 0,
            digest: "0".repeat(64),
        }
    }

    /// Behind a line with `seq` and this text.
    pub(super) fn behind(seq: u64, text: &[u8]) -> Self {
        Self {
            seq,
            digest: hexadecimal(Sha256::digest(text).into()),
        }
    }
}

impl Line {
    /// The line that comes behind `head`.
    pub(super) fn behind(head: &Head, record: &AuditRecord<'_>) -> Self {
        Self {
            seq: head.seq.saturating_add(1),
            time: humantime::format_rfc3339_millis(SystemTime::now()).to_string(),
            event: record.event,
            subject: bounded(record.subject),
            client: bounded(record.client),
            outcome: record.outcome,
            code: bounded(record.code),
            request_id: bounded(record.request_id),
            jti: record.jti.map(bounded),
            kid: record.kid.map(bounded),
            about: record.about.cloned(),
            prev: head.digest.clone(),
        }
    }
}

fn bounded(text: &str) -> String {
    text.chars().take(MAX_TEXT).collect()
}

fn hexadecimal(bytes: [u8; 32]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
