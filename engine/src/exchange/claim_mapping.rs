use serde::{Deserialize, Serialize};

use super::claim_presets::{self, Output};
use super::claim_source::ClaimSource;
use crate::claims::Claims;

/// How claims of an identity provider's tokens become those of TokenSmith: section `[oidc]` of the
/// configuration.
///
/// Each list of sources is tried in order until one gives a value; an empty list is the preset's.
/// With preset `none` the claims are expected under TokenSmith's own names.
///
/// ```
/// use tokensmith_engine::exchange::ClaimMapping;
/// let mapping: ClaimMapping = serde_json::from_str(r#"{
///     "preset": "keycloak",
///     "groups": [{"claim": ["resource_access", "tokensmith", "roles"]}],
///     "auth_level": [{"claim": "acr", "map": {"2": "AAL2"}}],
///     "auth_factors": [{"count_of": "amr"}, {"claim": "acr", "map": {"2": 2}}],
///     "session_exp": [{"seconds": 28800, "from": "auth_time"}]
/// }"#).unwrap();
/// assert!(mapping.check().is_ok());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClaimMapping {
    /// The provider whose claims the empty lists expect.
    pub preset: ClaimPreset,
    /// `sub`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub subject: Vec<ClaimSource>,
    /// `groups`, which become scopes and roles.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<ClaimSource>,
    /// `auth_level`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub auth_level: Vec<ClaimSource>,
    /// `auth_factors`, a number.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub auth_factors: Vec<ClaimSource>,
    /// `auth_methods`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub auth_methods: Vec<ClaimSource>,
    /// `auth_events`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub auth_events: Vec<ClaimSource>,
    /// `session_id`; the token's own `jti` when no source has one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub session_id: Vec<ClaimSource>,
    /// `session_exp`, Unix time in seconds.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub session_exp: Vec<ClaimSource>,
    /// `name`; may be missing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub name: Vec<ClaimSource>,
    /// `email`; may be missing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub email: Vec<ClaimSource>,
    /// Audiences of access tokens that are exchanged, beside the client's id.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub access_token_audiences: Vec<String>,
}

/// A provider, by the claims that it sends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClaimPreset {
    /// One that sends TokenSmith's own claims.
    #[default]
    None,
    /// Keycloak.
    Keycloak,
    /// Ory Hydra; claims of the consent's session, in access tokens below `ext`.
    Hydra,
    /// Authelia.
    Authelia,
    /// Microsoft Entra ID.
    Entra,
    /// Dex.
    Dex,
    /// The npm package `oidc-provider`.
    OidcProvider,
}

impl ClaimMapping {
    /// Checks what types cannot.
    ///
    /// # Errors
    /// The field within the section and a sentence.
    pub fn check(&self) -> Result<(), (String, String)> {
        for output in Output::ALL {
            for (index, source) in self.own(output).iter().enumerate() {
                source
                    .check(output)
                    .map_err(|message| (format!("{}[{index}]", output.name()), message))?;
            }
        }
        if self
            .access_token_audiences
            .iter()
            .any(|audience| audience.trim().is_empty())
        {
            return Err((
                "access_token_audiences".to_owned(),
                "an audience is empty".to_owned(),
            ));
        }
        Ok(())
    }

    /// The first text that is not blank.
    pub(super) fn text(&self, output: Output, claims: &Claims) -> Option<String> {
        self.texts(output, claims).into_iter().next()
    }

    /// The texts of the first source that has any which is not blank.
    pub(super) fn texts(&self, output: Output, claims: &Claims) -> Vec<String> {
        self.first(output, |source| {
            let mut texts = source.texts(claims);
            texts.retain(|text| !text.trim().is_empty());
            (!texts.is_empty()).then_some(texts)
        })
        .unwrap_or_default()
    }

    /// The first number.
    pub(super) fn number(&self, output: Output, claims: &Claims) -> Option<u64> {
        self.first(output, |source| source.number(claims))
    }

    /// The first time, for a token that is made at `now`.
    pub(super) fn time(&self, output: Output, claims: &Claims, now: i64) -> Option<i64> {
        self.first(output, |source| source.time(claims, now))
    }

    /// Whether nothing but the claims of TokenSmith's own names is looked at.
    pub(super) fn is_plain(&self, output: Output) -> bool {
        self.preset == ClaimPreset::None && self.own(output).is_empty()
    }

    fn first<T>(&self, output: Output, value: impl Fn(&ClaimSource) -> Option<T>) -> Option<T> {
        let own = self.own(output);
        if own.is_empty() {
            claim_presets::sources(self.preset, output)
                .iter()
                .find_map(value)
        } else {
            own.iter().find_map(value)
        }
    }

    fn own(&self, output: Output) -> &[ClaimSource] {
        match output {
            Output::Subject => &self.subject,
            Output::Groups => &self.groups,
            Output::AuthLevel => &self.auth_level,
            Output::AuthFactors => &self.auth_factors,
            Output::AuthMethods => &self.auth_methods,
            Output::AuthEvents => &self.auth_events,
            Output::SessionId => &self.session_id,
            Output::SessionExp => &self.session_exp,
            Output::Name => &self.name,
            Output::Email => &self.email,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::jose::Limits;

    fn claims(value: &Value) -> Claims {
        Claims::parse(value.to_string(), &Limits::default()).unwrap()
    }

    fn mapping(value: Value) -> ClaimMapping {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn sources_are_tried_in_order() {
        let token = claims(&json!({
            "acr": "urn:site:gold", "amr": ["pwd", "otp", "hwk"], "auth_time": 900,
            "realm": {"roles": ["/hpc", "plain"], "level": 3}, "empty": ["", " "],
            "https://site.example/team": "blue",
        }));
        for (source, texts, number) in [
            (
                json!([{"claim": "empty"}, {"claim": "acr"}]),
                vec!["urn:site:gold"],
                None,
            ),
            (
                json!([{"claim": "https://site.example/team"}]),
                vec!["blue"],
                None,
            ),
            (
                json!([{"claim": ["realm", "roles"], "prefix": "/"}]),
                vec!["hpc"],
                None,
            ),
            (
                json!([{"claim": ["realm", "roles", "x"]}, {"claim": ["acr", "x"]}]),
                vec![],
                None,
            ),
            (json!([{"value": "fixed"}]), vec!["fixed"], None),
            (json!([{"value": ["a", "b"]}]), vec!["a", "b"], None),
            (json!([{"value": 3}]), vec![], Some(3)),
            (json!([{"claim": ["realm", "level"]}]), vec![], Some(3)),
            (
                json!([{"claim": "acr", "map": {"urn:site:gold": "AAL2"}}]),
                vec!["AAL2"],
                None,
            ),
            (
                json!([{"claim": "acr", "map": {"urn:site:gold": 2}}]),
                vec![],
                Some(2),
            ),
            (
                json!([{"claim": ["realm", "level"], "map": {"3": "AAL3"}}]),
                vec!["AAL3"],
                None,
            ),
            (
                json!([{"claim": "acr", "map": {"other": "AAL2"}}]),
                vec![],
                None,
            ),
            (json!([{"count_of": "amr"}]), vec![], Some(2)),
            (json!([{"count_of": "acr"}, {"value": 1}]), vec![], Some(1)),
        ] {
            let texts_of = mapping(json!({"groups": source}));
            assert_eq!(texts_of.texts(Output::Groups, &token), texts, "{source}");
            let number_of = mapping(json!({"auth_factors": source}));
            assert_eq!(
                number_of.number(Output::AuthFactors, &token),
                number,
                "{source}"
            );
        }
        for (source, time) in [
            (json!([{"seconds": 60}]), Some(1060)),
            (json!([{"seconds": 60, "from": "auth_time"}]), Some(960)),
            (json!([{"claim": "auth_time"}]), Some(900)),
            (json!([{"claim": "acr"}]), None),
        ] {
            let mapping = mapping(json!({"session_exp": source}));
            assert_eq!(
                mapping.time(Output::SessionExp, &token, 1000),
                time,
                "{source}"
            );
        }
        // An authentication in the future gives no longer session.
        let ahead = claims(&json!({"auth_time": 5000}));
        let from = mapping(json!({"session_exp": [{"seconds": 60, "from": "auth_time"}]}));
        assert_eq!(from.time(Output::SessionExp, &ahead, 1000), Some(1060));
    }

    #[test]
    fn mistakes_have_a_place() {
        for wrong in [
            json!({"preset": "okta"}),
            json!({"subjects": []}),
            json!({"subject": [{}]}),
            json!({"subject": [{"claim": "sub", "value": "x"}]}),
            json!({"subject": [{"map": {"a": "b"}}]}),
            json!({"subject": [{"claim": "sub", "clam": "x"}]}),
            json!({"session_exp": [{"seconds": 60, "from": "iat"}]}),
            json!({"session_exp": [{"from": "now"}]}),
        ] {
            assert!(
                serde_json::from_value::<ClaimMapping>(wrong.clone()).is_err(),
                "{wrong}"
            );
        }
        for (wrong, place) in [
            (json!({"subject": [{"claim": []}]}), "subject[0]"),
            (
                json!({"groups": [{"claim": "a"}, {"claim": ["a", ""]}]}),
                "groups[1]",
            ),
            (
                json!({"auth_level": [{"count_of": "amr"}]}),
                "auth_level[0]",
            ),
            (json!({"auth_level": [{"value": 2}]}), "auth_level[0]"),
            (json!({"auth_factors": [{"value": "2"}]}), "auth_factors[0]"),
            (
                json!({"auth_factors": [{"claim": "acr", "map": {"a": "x"}}]}),
                "auth_factors[0]",
            ),
            (json!({"name": [{"seconds": 60}]}), "name[0]"),
            (json!({"session_exp": [{"seconds": 0}]}), "session_exp[0]"),
            (
                json!({"session_exp": [{"seconds": 86401}]}),
                "session_exp[0]",
            ),
            (json!({"session_exp": [{"value": 60}]}), "session_exp[0]"),
            (
                json!({"access_token_audiences": [""]}),
                "access_token_audiences",
            ),
        ] {
            assert_eq!(
                mapping(wrong.clone()).check().unwrap_err().0,
                place,
                "{wrong}"
            );
        }
    }

    #[test]
    fn what_was_read_is_written_alike() {
        let text = json!({
            "preset": "entra",
            "subject": [{"claim": ["a", "b"]}, {"claim": "c", "prefix": "d"}, {"value": "e"}],
            "auth_factors": [{"count_of": "amr"}, {"claim": "acr", "map": {"x": 2}}],
            "session_exp": [{"seconds": 60, "from": "auth_time"}, {"seconds": 60, "from": "now"}],
        });
        assert_eq!(serde_json::to_value(mapping(text.clone())).unwrap(), text);
    }
}
