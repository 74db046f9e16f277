use serde::Serialize;

use super::outcome::{Denial, WantedKey};
use super::{DecisionRecord, Identity, PathError};
use crate::authz::Decision;
use crate::jose::Algorithm;
use crate::verify::VerifyError;

/// Why a request is not handed on.
pub(super) enum Refusal<'e> {
    NoToken,
    BadToken(&'e VerifyError),
    BadPath(PathError),
    BadOverride,
    Unmapped,
    /// There is no policy to decide by.
    NoPolicy,
    Policy(Decision),
}

impl Refusal<'_> {
    fn status(&self) -> u16 {
        match self {
            Refusal::BadToken(VerifyError::KeysUnavailable(_)) | Refusal::NoPolicy => 503,
            Refusal::NoToken | Refusal::BadToken(_) => 401,
            Refusal::BadPath(_) => 400,
            Refusal::BadOverride | Refusal::Policy(Decision::Error) => 500,
            Refusal::Unmapped | Refusal::Policy(_) => 403,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Refusal::NoToken => "AUTHN_REQUIRED",
            Refusal::BadToken(VerifyError::KeysUnavailable(_)) => "AUTHN_UNAVAILABLE",
            Refusal::BadToken(_) => "AUTHN_INVALID",
            Refusal::BadPath(_) => "BAD_REQUEST",
            Refusal::BadOverride => "AUTHZ_MISCONFIGURED",
            Refusal::Unmapped => "AUTHZ_UNMAPPED",
            Refusal::NoPolicy => "AUTHZ_UNAVAILABLE",
            Refusal::Policy(Decision::Error) => "AUTHZ_ENGINE_ERROR",
            Refusal::Policy(_) => "AUTHZ_DENIED",
        }
    }

    fn message(&self) -> String {
        match self {
            Refusal::NoToken => "authentication required".to_owned(),
            Refusal::BadToken(VerifyError::KeysUnavailable(_)) => {
                "verification keys are not available".to_owned()
            }
            Refusal::BadToken(error) => error.to_string(),
            Refusal::BadPath(error) => error.to_string(),
            Refusal::BadOverride => "the proxy's route has a bad override".to_owned(),
            Refusal::Unmapped => "unmapped route".to_owned(),
            Refusal::NoPolicy => "the policy is not available".to_owned(),
            Refusal::Policy(Decision::Error) => "authorization engine error".to_owned(),
            Refusal::Policy(_) => "access denied".to_owned(),
        }
    }

    pub(super) fn reason(&self) -> &'static str {
        match self {
            Refusal::NoToken => "no_principal",
            Refusal::BadToken(VerifyError::KeysUnavailable(_)) => "keys_unavailable",
            Refusal::BadToken(_) => "invalid_token",
            Refusal::BadPath(_) => "bad_request",
            Refusal::BadOverride => "bad_override",
            Refusal::Unmapped => "unmapped_route",
            Refusal::NoPolicy => "policy_unavailable",
            Refusal::Policy(Decision::Error) => "engine_error",
            Refusal::Policy(_) => "policy_denied",
        }
    }

    pub(super) fn decision(&self) -> Decision {
        match self {
            Refusal::Policy(decision) => *decision,
            Refusal::BadPath(_)
            | Refusal::BadOverride
            | Refusal::NoPolicy
            | Refusal::BadToken(VerifyError::KeysUnavailable(_)) => Decision::Error,
            Refusal::NoToken | Refusal::BadToken(_) | Refusal::Unmapped => Decision::Deny,
        }
    }

    pub(super) fn error_code(&self) -> Option<&'static str> {
        match self {
            Refusal::BadToken(error) => Some(error.code()),
            _ => None,
        }
    }

    /// The answer; with the roles of `shown`.
    pub(super) fn denial(&self, record: &DecisionRecord<'_>, shown: Option<&Identity>) -> Denial {
        let body = Body {
            schema_version: SCHEMA,
            schema: SCHEMA,
            code: self.code(),
            message: self.message(),
            decision: record.decision,
            reason: record.reason,
            mode: record.mode,
            principal: BodyPrincipal {
                id: &record.principal_id,
                principal_type: record.principal_type.unwrap_or_default(),
                roles: shown
                    .map(|own| own.principal().roles().collect())
                    .unwrap_or_default(),
            },
            input: BodyInput {
                object: &record.object,
                action: &record.action,
            },
            policy_version: &record.policy_version,
            request: BodyRequest {
                method: &record.method,
                path: &record.path,
            },
            request_id: record.request_id.as_deref(),
            details: record.error.map(|error| BodyDetails { error }),
        };
        let mut headers = vec![
            ("content-type", "application/json; charset=utf-8".to_owned()),
            ("cache-control", "no-store".to_owned()),
        ];
        match self.status() {
            401 => headers.push(("www-authenticate", self.challenge())),
            503 => headers.push(("retry-after", "1".to_owned())),
            _ => {}
        }
        Denial {
            status: self.status(),
            headers,
            body: if record.method == "HEAD" {
                Vec::new()
            } else {
                body.to_bytes()
            },
        }
    }

    /// RFC 6750 section 3, RFC 9449 section 7.1: a request without a token gets a challenge
    /// without an error code.
    fn challenge(&self) -> String {
        let Refusal::BadToken(own) = self else {
            return r#"Bearer realm="tokensmith""#.to_owned();
        };
        let (error, code) = (own.bearer_error(), own.code());
        let said = format!(r#"realm="tokensmith", error="{error}", error_description="{code}""#);
        match own {
            VerifyError::Binding(binding) if binding.asks_for_proof() => {
                let algorithms = Algorithm::ALL.map(Algorithm::name).join(" ");
                format!(r#"DPoP {said}, algs="{algorithms}""#)
            }
            _ => format!("Bearer {said}"),
        }
    }
}

/// The key that may be fetched, where a token was refused for want of it.
pub(super) fn wanted_key(error: &VerifyError) -> Option<WantedKey> {
    let (issuer, kid) = match error {
        VerifyError::UnknownKid { issuer, kid } => (issuer, Some(kid.clone())),
        VerifyError::KeysUnavailable(issuer) => (issuer, None),
        _ => return None,
    };
    Some(WantedKey {
        issuer: issuer.clone(),
        kid,
    })
}

const SCHEMA: &str = "authz.deny.v1";

/// Member order is part of the contract.
#[derive(Serialize)]
struct Body<'r> {
    schema_version: &'static str,
    schema: &'static str,
    code: &'static str,
    message: String,
    decision: &'static str,
    reason: &'static str,
    mode: &'static str,
    principal: BodyPrincipal<'r>,
    input: BodyInput<'r>,
    policy_version: &'r str,
    request: BodyRequest<'r>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<BodyDetails>,
}

impl Body<'_> {
    /// One line. The two line separators that JSON allows and JavaScript once did not are escaped,
    /// as Go does, so that the bytes are the same as upstream's.
    fn to_bytes(&self) -> Vec<u8> {
        let mut text = serde_json::to_string(self).unwrap_or_default();
        if text.contains(['\u{2028}', '\u{2029}']) {
            text = text
                .replace('\u{2028}', "\\u2028")
                .replace('\u{2029}', "\\u2029");
        }
        text.push('\n');
        text.into_bytes()
    }
}

#[derive(Serialize)]
struct BodyPrincipal<'r> {
    id: &'r str,
    #[serde(rename = "type")]
    principal_type: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    roles: Vec<&'r str>,
}

#[derive(Serialize)]
struct BodyInput<'r> {
    object: &'r str,
    action: &'r str,
}

#[derive(Serialize)]
struct BodyRequest<'r> {
    method: &'r str,
    path: &'r str,
}

#[derive(Serialize)]
struct BodyDetails {
    error: &'static str,
}
