use serde::{Deserialize, Serialize};

use super::client::{check_name, has_blank};
use super::{CertificateNames, RegistrationError, ServiceGrant};

/// The longest that refresh tokens and sessions may last, in seconds: a year.
const MAX_SECONDS: u32 = 365 * 24 * 60 * 60;

/// A service that gets its tokens for its certificate: a table `[[service_identities]]` of the
/// configuration.
///
/// ```
/// use tokensmith_engine::exchange::ServiceIdentity;
/// let identity: ServiceIdentity = serde_json::from_str(r#"{
///     "name": "smd.site.example", "subject": "smd", "audience": ["bss"], "scopes": ["read"]
/// }"#).unwrap();
/// assert!(identity.check().is_ok());
/// assert_eq!((identity.refresh_ttl, identity.session_ttl), (86_400, 86_400));
/// assert_eq!(identity.grant().roles, ["service"]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceIdentity {
    /// A name of the certificate: its common name, or an alternative name that is a DNS name or a
    /// URI, to the letter.
    pub name: String,
    /// `sub`; `name` without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// `aud`.
    pub audience: Vec<String>,
    /// `scope`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    /// `roles`.
    #[serde(default = "service_role")]
    pub roles: Vec<String>,
    /// How long a refresh token may lie unused, in seconds.
    #[serde(default = "a_day")]
    pub refresh_ttl: u32,
    /// How long tokens are refreshed before the certificate has to be shown again, in seconds.
    #[serde(default = "a_day")]
    pub session_ttl: u32,
    /// Whether its tokens are good only where the certificate is shown too (RFC 8705 section 3).
    /// Programs that show it only to get their tokens need `false`.
    #[serde(default = "bound")]
    pub certificate_bound: bool,
}

impl ServiceIdentity {
    /// Checks what types cannot, of all identities together.
    ///
    /// # Errors
    /// The first [`RegistrationError`] found.
    pub fn check_all(identities: &[Self]) -> Result<(), RegistrationError> {
        for (index, identity) in identities.iter().enumerate() {
            identity.check()?;
            let mut before = identities.iter().take(index);
            if before.any(|other| other.name == identity.name) {
                return Err(RegistrationError::Duplicate(identity.name.clone()));
            }
        }
        Ok(())
    }

    /// Checks what types cannot.
    ///
    /// # Errors
    /// The first [`RegistrationError`] found.
    pub fn check(&self) -> Result<(), RegistrationError> {
        check_name(&self.name)?;
        if let Some(subject) = &self.subject {
            check_name(subject)?;
        }
        let refuse = |message| {
            Err(RegistrationError::Grant {
                client: self.name.clone(),
                message,
            })
        };
        if self.audience.is_empty() || has_blank(&self.audience) {
            return refuse("`audience` needs at least one, none of them blank");
        }
        if has_blank(&self.scopes) || has_blank(&self.roles) {
            return refuse("a scope or role is blank");
        }
        for (field, seconds) in [
            ("refresh_ttl", self.refresh_ttl),
            ("session_ttl", self.session_ttl),
        ] {
            if !(1..=MAX_SECONDS).contains(&seconds) {
                return Err(RegistrationError::Seconds {
                    client: self.name.clone(),
                    field,
                    most: MAX_SECONDS,
                });
            }
        }
        Ok(())
    }

    /// The identity that a certificate, which was verified, shows: of several the first.
    pub fn find<'i>(identities: &'i [Self], certificate: &CertificateNames) -> Option<&'i Self> {
        identities
            .iter()
            .find(|identity| certificate.has(&identity.name))
    }

    /// What its tokens say.
    pub fn grant(&self) -> ServiceGrant {
        ServiceGrant {
            subject: self.subject.as_ref().unwrap_or(&self.name).clone(),
            audience: self.audience.clone(),
            scopes: self.scopes.clone(),
            roles: self.roles.clone(),
        }
    }
}

fn service_role() -> Vec<String> {
    vec!["service".to_owned()]
}

fn bound() -> bool {
    true
}

fn a_day() -> u32 {
    24 * 60 * 60
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn identity(members: &Value) -> ServiceIdentity {
        let mut value = json!({"name": "smd", "audience": ["bss"]});
        for (name, member) in members.as_object().unwrap() {
            value[name] = member.clone();
        }
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn certificates_show_the_first_identity_they_name() {
        let identities = [
            identity(&json!({"name": "spiffe://site.example/smd"})),
            identity(&json!({"name": "smd.site.example"})),
            identity(&json!({"name": "smd"})),
        ];
        for (common_name, dns, uri, found) in [
            (Some("smd"), "other.site.example", "x:y", Some(2)),
            (Some("smd"), "smd.site.example", "x:y", Some(1)),
            (
                None,
                "smd.site.example",
                "spiffe://site.example/smd",
                Some(0),
            ),
            (
                Some("SMD"),
                "a.smd.site.example",
                "spiffe://site.example/smd/",
                None,
            ),
            (None, "", "", None),
        ] {
            let certificate = CertificateNames {
                common_name: common_name.map(str::to_owned),
                dns: vec![dns.to_owned()],
                uris: vec![uri.to_owned()],
                thumbprint: String::new(),
            };
            let expected = found.map(|index: usize| &identities[index]);
            assert_eq!(ServiceIdentity::find(&identities, &certificate), expected);
        }
    }

    #[test]
    fn identities_that_make_no_sense() {
        for (members, expected) in [
            (json!({}), None),
            (json!({"name": ""}), Some("registration_name")),
            (json!({"name": "*"}), Some("registration_name")),
            (json!({"subject": "public"}), Some("registration_name")),
            (json!({"audience": []}), Some("registration_grant")),
            (json!({"audience": [" "]}), Some("registration_grant")),
            (json!({"roles": [""]}), Some("registration_grant")),
            (json!({"roles": []}), None),
            (json!({"refresh_ttl": 0}), Some("registration_seconds")),
            (
                json!({"session_ttl": 31_536_001}),
                Some("registration_seconds"),
            ),
        ] {
            let result = identity(&members).check();
            assert_eq!(
                result.err().map(|error| error.code()),
                expected,
                "{members}"
            );
        }
        let twice = [identity(&json!({})), identity(&json!({"subject": "other"}))];
        let error = ServiceIdentity::check_all(&twice).unwrap_err();
        assert_eq!(error, RegistrationError::Duplicate("smd".to_owned()));
        assert_eq!(twice.map(|own| own.grant().subject), ["smd", "other"]);
    }
}
