use serde_json::{Map, Value};

use super::ExchangeError;
use crate::claims::Claims;
use crate::principal::{PrincipalType, principal_type};

/// A token of the request, verified.
#[derive(Clone, Copy, Debug)]
pub struct ExchangeToken<'a> {
    /// Its claims.
    pub claims: &'a Claims,
    /// Whether all that its `cnf` names was shown with the request. It does not matter without
    /// `cnf`.
    pub confirmation_shown: bool,
}

/// Who takes part in an exchange (RFC 8693 section 1.1).
#[derive(Clone, Copy, Debug)]
pub struct ExchangeParties<'a> {
    /// The URL of this service, `iss` of its own tokens.
    pub issuer: &'a str,
    /// `subject_token`: whom the issued token is about.
    pub subject: ExchangeToken<'a>,
    /// `actor_token`: who acts.
    pub actor: Option<ExchangeToken<'a>>,
    /// The id of the client that authenticated. Without an actor token it is the one who acts.
    pub client: Option<&'a str>,
}

impl<'a> ExchangeParties<'a> {
    /// Whether the tokens may be used by whoever sent them.
    pub(super) fn check(&self) -> Result<(), ExchangeError> {
        for (name, token) in [("subject", Some(self.subject)), ("actor", self.actor)] {
            if token.is_some_and(|token| !token.is_shown()) {
                return Err(ExchangeError::NotShown(name));
            }
        }
        let delegated = |actor: ExchangeToken<'_>| actor.claims.all().contains_key("act");
        if self.actor.is_some_and(delegated) {
            return Err(ExchangeError::ActorDelegated);
        }
        Ok(())
    }

    /// Who asks: the client that authenticated, else the service whose token of this issuer came
    /// as actor token. A person's token authenticates no client, whatever its `sub`; nor does one
    /// that whoever it was sent to has too (it has to be for this issuer, or shown to be its
    /// sender's), or that another client asked for.
    pub(super) fn asker(&self) -> Option<&'a str> {
        if self.client.is_some() {
            return self.client;
        }
        let claims = self.actor?.claims;
        let own = claims.iss() == Some(self.issuer);
        let service = principal_type(claims) == PrincipalType::Service;
        let for_us = claims.audiences().any(|audience| audience == self.issuer)
            || claims.all().contains_key("cnf");
        let of_itself = claims
            .string("client_id")
            .is_none_or(|client| claims.sub() == Some(client));
        claims
            .sub()
            .filter(|_| own && service && for_us && of_itself)
    }

    /// The one who acts, as the members of `act` say it; `None` when nobody was named.
    pub(super) fn acting(&self) -> Result<Option<Map<String, Value>>, ExchangeError> {
        let mut members = Map::new();
        match (self.actor, self.client) {
            (Some(actor), _) => {
                let claims = actor.claims;
                let sub = claims.sub().filter(|sub| !sub.trim().is_empty());
                members.insert("sub".to_owned(), sub.ok_or(missing("sub"))?.into());
                members.insert("iss".to_owned(), claims.iss().ok_or(missing("iss"))?.into());
                let client = claims.string("client_id").or_else(|| claims.string("azp"));
                if let Some(client) = client {
                    members.insert("client_id".to_owned(), client.into());
                }
            }
            (None, Some(client)) => {
                members.insert("sub".to_owned(), client.into());
                members.insert("iss".to_owned(), self.issuer.into());
                members.insert("client_id".to_owned(), client.into());
            }
            (None, None) => return Ok(None),
        }
        Ok(Some(members))
    }
}

impl ExchangeToken<'_> {
    fn is_shown(&self) -> bool {
        self.confirmation_shown || !self.claims.all().contains_key("cnf")
    }
}

fn missing(claim: &'static str) -> ExchangeError {
    ExchangeError::TokenClaim {
        token: "actor",
        claim,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::jose::Limits;

    fn claims(value: &Value) -> Claims {
        Claims::parse(value.to_string(), &Limits::default()).unwrap()
    }

    fn shown(claims: &Claims) -> ExchangeToken<'_> {
        ExchangeToken {
            claims,
            confirmation_shown: false,
        }
    }

    #[test]
    fn who_asks_and_who_acts() {
        let subject = claims(&json!({"iss": "own", "sub": "ann"}));
        let service = json!({
            "iss": "own", "sub": "smd", "aud": ["own"], "principal_type": "service",
        });
        let elsewhere = json!({
            "iss": "own", "sub": "smd", "aud": ["bss"], "principal_type": "service",
        });
        let of_other = json!({
            "iss": "own", "sub": "smd", "aud": ["own"], "client_id": "gw",
            "principal_type": "service",
        });
        let foreign = json!({"iss": "idp", "sub": "smd", "principal_type": "service"});
        let person = json!({"iss": "own", "sub": "gateway", "principal_type": "user"});
        for (actor, client, asker, acting) in [
            (None, None, None, None),
            (None, Some("gw"), Some("gw"), Some("gw")),
            (Some(&service), None, Some("smd"), Some("smd")),
            (Some(&service), Some("gw"), Some("gw"), Some("smd")),
            (Some(&foreign), None, None, Some("smd")),
            (Some(&elsewhere), None, None, Some("smd")),
            (Some(&of_other), None, None, Some("smd")),
            (Some(&person), None, None, Some("gateway")),
        ] {
            let actor = actor.map(claims);
            let parties = ExchangeParties {
                issuer: "own",
                subject: shown(&subject),
                actor: actor.as_ref().map(shown),
                client,
            };
            assert_eq!(parties.asker(), asker, "{actor:?} {client:?}");
            let found = parties.acting().unwrap();
            let sub = found.as_ref().and_then(|members| members["sub"].as_str());
            assert_eq!(sub, acting, "{actor:?} {client:?}");
        }
    }

    #[test]
    fn bound_tokens_have_to_be_shown() {
        let free = claims(&json!({"iss": "own", "sub": "a"}));
        let bound = claims(&json!({"iss": "own", "sub": "a", "cnf": {"x5t#S256": "AA"}}));
        let acted = claims(&json!({"iss": "own", "sub": "a", "act": {"sub": "b"}}));
        for (subject, actor, confirmation_shown, code) in [
            (&free, None, false, None),
            (&bound, None, false, Some("cnf_not_shown")),
            (&bound, None, true, None),
            (&free, Some(&bound), false, Some("cnf_not_shown")),
            (&free, Some(&bound), true, None),
            (&acted, Some(&free), false, None),
            (&free, Some(&acted), false, Some("actor_delegated")),
        ] {
            let token = |claims| ExchangeToken {
                claims,
                confirmation_shown,
            };
            let parties = ExchangeParties {
                issuer: "own",
                subject: token(subject),
                actor: actor.map(token),
                client: None,
            };
            assert_eq!(parties.check().err().map(|error| error.code()), code);
        }
    }
}
