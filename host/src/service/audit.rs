//! Events for the audit log. None of them holds a token, whole or in part.

use std::net::IpAddr;

use serde_json::{Map, Value};

/// A token was issued.
pub(super) fn issued(event: &'static str, peer: IpAddr, claims: &Map<String, Value>) {
    let audience = claims.get("aud").unwrap_or(&Value::Null);
    let text = |name: &str| claims.get(name).and_then(Value::as_str).unwrap_or_default();
    tracing::info!(
        target: "audit",
        event,
        %peer,
        sub = text("sub"),
        jti = text("jti"),
        session_id = text("session_id"),
        aud = %audience,
    );
}

/// A token was refused.
pub(super) fn refused(event: &'static str, peer: IpAddr, reason: &str) {
    tracing::warn!(target: "audit", event, %peer, reason);
}
