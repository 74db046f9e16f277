//! Which claims of a provider's tokens become which of TokenSmith's. Every table begins with
//! TokenSmith's own names: a provider that was taught to send them knows best.

use serde_json::Value;

use super::claim_mapping::ClaimPreset;
use super::claim_source::{ClaimSource, SessionStart};
use crate::principal::ClaimPath;

/// A claim that a mapping makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Output {
    Subject,
    Groups,
    AuthLevel,
    AuthFactors,
    AuthMethods,
    AuthEvents,
    SessionId,
    SessionExp,
    Name,
    Email,
}

/// A source, as tables have it.
#[derive(Clone, Copy)]
enum Row {
    Claim(&'static [&'static str]),
    /// The texts with a prefix, without it.
    Prefixed(&'static [&'static str], &'static str),
    Value(&'static str),
    /// What one value of a claim becomes.
    Map(&'static [&'static str], &'static str, &'static str),
    CountOf(&'static [&'static str]),
    Seconds(u32, SessionStart),
}

type Table = &'static [(Output, &'static [Row])];

/// A working day: how long a session lasts where the provider says nothing of its end.
const SESSION: &[Row] = &[
    Row::Claim(&["session_exp"]),
    Row::Seconds(8 * 3600, SessionStart::AuthTime),
    Row::Seconds(8 * 3600, SessionStart::Now),
];
/// No provider tells what happened before it made a token, but for that the user signed in.
const EVENTS: &[Row] = &[Row::Claim(&["auth_events"]), Row::Value("oidc_login")];
/// `mfa` of RFC 8176 is what NIST calls an authenticator assurance of level 2.
const MFA_LEVEL: Row = Row::Map(&["amr"], "mfa", "AAL2");

/// TokenSmith's own claims, and OpenID Connect's where they are the same.
const NONE: Table = &[
    (
        Output::Subject,
        &[Row::Claim(&["preferred_username"]), Row::Claim(&["sub"])],
    ),
    (Output::Groups, &[Row::Claim(&["groups"])]),
    (Output::AuthLevel, &[Row::Claim(&["auth_level"])]),
    (Output::AuthFactors, &[Row::Claim(&["auth_factors"])]),
    (Output::AuthMethods, &[Row::Claim(&["auth_methods"])]),
    (Output::AuthEvents, &[Row::Claim(&["auth_events"])]),
    (
        Output::SessionId,
        &[Row::Claim(&["session_id"]), Row::Claim(&["sid"])],
    ),
    (Output::SessionExp, &[Row::Claim(&["session_exp"])]),
    (Output::Name, &[Row::Claim(&["name"])]),
    (Output::Email, &[Row::Claim(&["email"])]),
];

/// `acr`, `amr`, `sid` and `auth_time` as OpenID Connect has them: what the npm package
/// `oidc-provider` sends, and what the other tables begin with.
const STANDARD: Table = &[
    (
        Output::AuthLevel,
        &[Row::Claim(&["auth_level"]), Row::Claim(&["acr"]), MFA_LEVEL],
    ),
    (
        Output::AuthFactors,
        &[Row::Claim(&["auth_factors"]), Row::CountOf(&["amr"])],
    ),
    (
        Output::AuthMethods,
        &[Row::Claim(&["auth_methods"]), Row::Claim(&["amr"])],
    ),
    (Output::AuthEvents, EVENTS),
    (Output::SessionExp, SESSION),
];

/// Groups come from the group membership mapper, with or without its full paths, else the realm's
/// roles are taken. `acr` is the level of authentication, by number or as the realm names it;
/// `amr` is there with the mapper "Authentication Method Reference" and a reference value at each
/// execution of the flow. Before version 19 the session is `session_state`.
const KEYCLOAK: Table = &[
    (
        Output::Groups,
        &[
            Row::Prefixed(&["groups"], "/"),
            Row::Claim(&["groups"]),
            Row::Claim(&["realm_access", "roles"]),
        ],
    ),
    (
        Output::SessionId,
        &[
            Row::Claim(&["session_id"]),
            Row::Claim(&["sid"]),
            Row::Claim(&["session_state"]),
        ],
    ),
];

/// What the consent application puts into `session.id_token` is a claim of its own, what it puts
/// into `session.access_token` is below `ext`, in tokens and in introspection alike. `acr` and
/// `amr` are the login application's.
const HYDRA: Table = &[
    (
        Output::Subject,
        &[
            Row::Claim(&["preferred_username"]),
            Row::Claim(&["ext", "preferred_username"]),
            Row::Claim(&["sub"]),
        ],
    ),
    (
        Output::Groups,
        &[Row::Claim(&["groups"]), Row::Claim(&["ext", "groups"])],
    ),
    (
        Output::AuthLevel,
        &[
            Row::Claim(&["auth_level"]),
            Row::Claim(&["ext", "auth_level"]),
            Row::Claim(&["acr"]),
            Row::Claim(&["ext", "acr"]),
            MFA_LEVEL,
        ],
    ),
    (
        Output::AuthFactors,
        &[
            Row::Claim(&["auth_factors"]),
            Row::Claim(&["ext", "auth_factors"]),
            Row::CountOf(&["amr"]),
            Row::CountOf(&["ext", "amr"]),
        ],
    ),
    (
        Output::AuthMethods,
        &[
            Row::Claim(&["auth_methods"]),
            Row::Claim(&["ext", "auth_methods"]),
            Row::Claim(&["amr"]),
            Row::Claim(&["ext", "amr"]),
        ],
    ),
    (
        Output::AuthEvents,
        &[
            Row::Claim(&["auth_events"]),
            Row::Claim(&["ext", "auth_events"]),
            Row::Value("oidc_login"),
        ],
    ),
    (
        Output::SessionId,
        &[
            Row::Claim(&["session_id"]),
            Row::Claim(&["ext", "session_id"]),
            Row::Claim(&["sid"]),
        ],
    ),
    (
        Output::SessionExp,
        &[
            Row::Claim(&["session_exp"]),
            Row::Claim(&["ext", "session_exp"]),
            Row::Seconds(8 * 3600, SessionStart::AuthTime),
            Row::Seconds(8 * 3600, SessionStart::Now),
        ],
    ),
    (
        Output::Name,
        &[Row::Claim(&["name"]), Row::Claim(&["ext", "name"])],
    ),
    (
        Output::Email,
        &[Row::Claim(&["email"]), Row::Claim(&["ext", "email"])],
    ),
];

/// `groups`, `preferred_username` and the like are in ID tokens only by a claims policy. There is
/// no `acr` to rely on: `amr` says what was used, with `mfa` where it was more than one factor.
const AUTHELIA: Table = &[(
    Output::AuthLevel,
    &[Row::Claim(&["auth_level"]), MFA_LEVEL, Row::Claim(&["acr"])],
)];

/// `oid` is the user for ever, `preferred_username` may be given to another. App roles come
/// before groups, which are object ids, and missing altogether from the tokens of users with more
/// than 200. `acr` of version 1 is `0` or `1`: `amr` says more, where it is sent.
const ENTRA: Table = &[
    (
        Output::Subject,
        &[Row::Claim(&["oid"]), Row::Claim(&["sub"])],
    ),
    (
        Output::Groups,
        &[Row::Claim(&["roles"]), Row::Claim(&["groups"])],
    ),
    (
        Output::AuthLevel,
        &[Row::Claim(&["auth_level"]), MFA_LEVEL, Row::Claim(&["acr"])],
    ),
    (
        Output::Email,
        &[Row::Claim(&["email"]), Row::Claim(&["preferred_username"])],
    ),
];

/// `sub` is the one name that users of different connectors cannot share. There are no `acr`,
/// `amr`, `sid` and `auth_time`: the level and the factors are those of what is behind Dex, which
/// only the configuration can know. The scope `federated:id` says which connector it was.
const DEX: Table = &[
    (Output::Subject, &[Row::Claim(&["sub"])]),
    (
        Output::AuthMethods,
        &[
            Row::Claim(&["auth_methods"]),
            Row::Claim(&["federated_claims", "connector_id"]),
        ],
    ),
];

impl Output {
    pub(super) const ALL: [Output; 10] = [
        Output::Subject,
        Output::Groups,
        Output::AuthLevel,
        Output::AuthFactors,
        Output::AuthMethods,
        Output::AuthEvents,
        Output::SessionId,
        Output::SessionExp,
        Output::Name,
        Output::Email,
    ];

    /// Its field in the configuration.
    pub(super) fn name(self) -> &'static str {
        match self {
            Output::Subject => "subject",
            Output::Groups => "groups",
            Output::AuthLevel => "auth_level",
            Output::AuthFactors => "auth_factors",
            Output::AuthMethods => "auth_methods",
            Output::AuthEvents => "auth_events",
            Output::SessionId => "session_id",
            Output::SessionExp => "session_exp",
            Output::Name => "name",
            Output::Email => "email",
        }
    }
}

/// The sources that a preset has for a claim.
pub(super) fn sources(preset: ClaimPreset, output: Output) -> Vec<ClaimSource> {
    let tables: &[Table] = match preset {
        ClaimPreset::None => &[NONE],
        ClaimPreset::Keycloak => &[KEYCLOAK, STANDARD, NONE],
        ClaimPreset::Hydra => &[HYDRA],
        ClaimPreset::Authelia => &[AUTHELIA, STANDARD, NONE],
        ClaimPreset::Entra => &[ENTRA, STANDARD, NONE],
        ClaimPreset::Dex => &[DEX, STANDARD, NONE],
        ClaimPreset::OidcProvider => &[STANDARD, NONE],
    };
    let rows = tables
        .iter()
        .flat_map(|table| table.iter())
        .find(|(own, _)| *own == output)
        .map(|(_, rows)| *rows)
        .unwrap_or_default();
    rows.iter().copied().map(ClaimSource::from).collect()
}

impl From<Row> for ClaimSource {
    fn from(row: Row) -> Self {
        match row {
            Row::Claim(names) => ClaimSource::Claim {
                claim: path(names),
                prefix: None,
            },
            Row::Prefixed(names, prefix) => ClaimSource::Claim {
                claim: path(names),
                prefix: Some(prefix.to_owned()),
            },
            Row::Value(text) => ClaimSource::Value(Value::from(text)),
            Row::Map(names, from, to) => ClaimSource::Map {
                claim: path(names),
                map: [(from.to_owned(), Value::from(to))].into(),
            },
            Row::CountOf(names) => ClaimSource::CountOf(path(names)),
            Row::Seconds(seconds, from) => ClaimSource::Seconds { seconds, from },
        }
    }
}

fn path(names: &[&str]) -> ClaimPath {
    ClaimPath::Nested(names.iter().map(|name| (*name).to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_says_where_every_claim_comes_from() {
        for preset in [
            ClaimPreset::None,
            ClaimPreset::Keycloak,
            ClaimPreset::Hydra,
            ClaimPreset::Authelia,
            ClaimPreset::Entra,
            ClaimPreset::Dex,
            ClaimPreset::OidcProvider,
        ] {
            for output in Output::ALL {
                let sources = sources(preset, output);
                assert!(!sources.is_empty(), "{preset:?} {output:?}");
                for source in sources {
                    assert_eq!(source.check(output), Ok(()), "{preset:?} {source:?}");
                }
            }
        }
    }

    /// Two factors are what a token says, never what a table says.
    #[test]
    fn no_preset_makes_up_factors() {
        for preset in [ClaimPreset::Keycloak, ClaimPreset::Dex, ClaimPreset::Entra] {
            for source in sources(preset, Output::AuthFactors) {
                assert!(
                    matches!(source, ClaimSource::Claim { .. } | ClaimSource::CountOf(_)),
                    "{source:?}"
                );
            }
        }
    }
}
