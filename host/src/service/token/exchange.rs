use serde_json::{Value, json};
use tokensmith_engine::claims::Claims;
use tokensmith_engine::exchange::{
    ClientGrantType, ExchangeError, ExchangeParties, ExchangeRequest, ExchangeToken, MappedUser,
    TokenType, UserTokenRequest, exchanged_claims,
};
use tokensmith_engine::jose::{Jws, Limits};

use super::super::caller::Caller;
use super::super::clients::Client;
use super::super::form::Form;
use super::super::identity_exchange;
use super::super::oauth_error::OauthError;
use super::super::{Minted, Narrowing, Service};
use super::{GrantError, Granted};
use crate::audit::AuditEvent;
use crate::clock::unix_now;
use crate::oidc::{ExpectedToken, Presented};
use crate::random;

/// A token of this service, or of the OpenID provider, for another one (RFC 8693).
pub(super) async fn exchange(
    service: &Service,
    caller: &Caller,
    form: &Form,
    client: Option<&Client>,
    kind: TokenType,
    token: &str,
) -> Result<Granted, GrantError> {
    if let Some(client) = client {
        client.may_use(ClientGrantType::TokenExchange)?;
    }
    check_requested_type(form)?;
    let expected = match kind {
        TokenType::IdToken => ExpectedToken::IdToken,
        TokenType::AccessToken => ExpectedToken::AccessToken,
        TokenType::Jwt => ExpectedToken::Jwt,
        TokenType::RefreshToken | TokenType::BootstrapToken => {
            return Err(OauthError::invalid_request(
                "`subject_token_type` has to be that of an access token, an ID token or a JWT",
            )
            .into());
        }
    };
    if expected != ExpectedToken::IdToken && service.issued(token) {
        let subject = own_token(service, "subject_token", token).await?;
        let actor = actor(service, form).await?;
        let asked = form.narrowing();
        let minted = by_policy(service, caller, client, actor.as_ref(), &subject, &asked)?;
        return Ok(Granted::alone(minted));
    }
    let presented = Presented::new(token, expected);
    let identity = identity_exchange::identity(service, caller, presented)
        .await
        .map_err(OauthError::about_subject_token)?;
    let actor = actor(service, form).await?;
    let asked = form.narrowing();
    let minted = of_identity(service, caller, client, actor.as_ref(), &identity, asked)
        .map_err(OauthError::about_subject_token)?;
    Ok(Granted::alone(minted))
}

/// A token of a user whom the OpenID provider names: by the rules if any are for other issuers'
/// tokens, else the user's own, of whatever the groups grant.
pub(in super::super) fn of_identity(
    service: &Service,
    caller: &Caller,
    client: Option<&Client>,
    actor: Option<&Claims>,
    identity: &MappedUser,
    asked: Narrowing,
) -> Result<Minted, OauthError> {
    if service.exchange_policy.is_for_other_issuers() {
        let subject = user(service, identity)?;
        return by_policy(service, caller, client, actor, &subject, &asked);
    }
    if actor.is_some() {
        return Err(OauthError::invalid_request(
            "no exchange rule is for subject tokens of the OpenID provider: exchange it alone \
             first, then send that token as `subject_token`",
        ));
    }
    // Nobody is named here who may act, and who acts already would be forgotten.
    if ["may_act", "act"]
        .iter()
        .any(|name| identity.claims.all().contains_key(*name))
    {
        return Err(OauthError::refused_exchange(&ExchangeError::MayAct));
    }
    let request = UserTokenRequest {
        scopes: asked.scopes,
        targets: asked.targets,
    };
    let minted = service.mint(|issuance| {
        let mut claims = identity.token_claims(&service.rules, &request, issuance)?;
        if let Some(client) = client {
            let id = client.registration.client_id.as_str();
            claims.insert("client_id".to_owned(), id.into());
            if let Some(thumbprint) = &client.confirmation {
                claims.insert("cnf".to_owned(), json!({"x5t#S256": thumbprint}));
            }
        }
        service.limited(caller, claims)
    })?;
    let event = AuditEvent::Exchange;
    service
        .auditor
        .issued(event, "identity_exchanged", caller, &minted)?;
    Ok(minted)
}

/// The claims that a user's token has here, as those of the provider: rules tell them apart.
fn user(service: &Service, identity: &MappedUser) -> Result<Claims, OauthError> {
    let session = random::identifier().map_err(OauthError::internal)?;
    let everything = UserTokenRequest::default();
    let issuance = service.issuance(&session, &session);
    let mut claims = identity.token_claims(&service.rules, &everything, &issuance)?;
    for name in ["iss", "act", "may_act"] {
        if let Some(value) = identity.claims.all().get(name) {
            claims.insert(name.to_owned(), value.clone());
        }
    }
    let text = Value::Object(claims).to_string();
    Claims::parse(text, &Limits::default()).map_err(OauthError::internal)
}

/// The claims of the token of whoever acts.
async fn actor(service: &Service, form: &Form) -> Result<Option<Claims>, OauthError> {
    let Some(token) = form.optional("actor_token") else {
        return Ok(None);
    };
    let kind = form.required("actor_token_type")?;
    match TokenType::parse(kind) {
        Some(TokenType::AccessToken | TokenType::Jwt) => {
            own_token(service, "actor_token", token).await.map(Some)
        }
        _ => Err(OauthError::invalid_request(
            "`actor_token_type` has to be that of an access token or a JWT",
        )),
    }
}

/// What the rules let the caller have of a subject's claims.
fn by_policy(
    service: &Service,
    caller: &Caller,
    client: Option<&Client>,
    actor: Option<&Claims>,
    subject: &Claims,
    asked: &Narrowing,
) -> Result<Minted, OauthError> {
    let shown = |claims| ExchangeToken {
        claims,
        confirmation_shown: caller.shows(claims),
    };
    let parties = ExchangeParties {
        issuer: &service.settings.issuer,
        subject: shown(subject),
        actor: actor.map(shown),
        client: client.map(|client| client.registration.client_id.as_str()),
    };
    let grant = service
        .exchange_policy
        .decide(&ExchangeRequest {
            parties,
            targets: &asked.targets,
            scopes: asked.scopes.as_deref(),
        })
        .map_err(|error| OauthError::refused_exchange(&error))?;
    // What was good only with a certificate does not become good without.
    let was_bound = [Some(subject), actor]
        .iter()
        .flatten()
        .any(|claims| claims.all().contains_key("cnf"));
    let confirmation = match client.and_then(|client| client.confirmation.as_deref()) {
        None if was_bound => caller.confirmation(),
        own => own,
    };
    let mut minted = service.mint(|issuance| {
        exchanged_claims(&parties, &grant, confirmation, issuance)
            .map_err(|error| OauthError::refused_exchange(&error))
            .and_then(|claims| service.limited(caller, claims))
    })?;
    minted.rules = grant.rules;
    let event = AuditEvent::Exchange;
    service
        .auditor
        .issued(event, "token_exchanged", caller, &minted)?;
    Ok(minted)
}

/// The claims of a token of this service that is still good.
async fn own_token(
    service: &Service,
    parameter: &'static str,
    token: &str,
) -> Result<Claims, OauthError> {
    let now = unix_now();
    let refused = |code: &'static str| {
        OauthError::invalid_request(format!("`{parameter}` is not a good token of this service"))
            .with_code(code)
    };
    let claims = service
        .own_tokens
        .verify(token, now)
        .map_err(|error| refused(error.code()))?;
    if !service.is_active(&claims, now).await? {
        return Err(refused("token_inactive"));
    }
    Ok(claims)
}

fn check_requested_type(form: &Form) -> Result<(), OauthError> {
    let Some(kind) = form.optional("requested_token_type") else {
        return Ok(());
    };
    match TokenType::parse(kind) {
        Some(TokenType::AccessToken | TokenType::Jwt) => Ok(()),
        _ => Err(OauthError::invalid_request(
            "`requested_token_type` has to be that of an access token or a JWT",
        )),
    }
}

impl Service {
    /// Whether a token says that it is one of this service.
    fn issued(&self, token: &str) -> bool {
        let limits = Limits::default();
        Jws::parse(token, &limits)
            .ok()
            .and_then(|jws| Claims::parse(jws.payload, &limits).ok())
            .is_some_and(|claims| claims.iss() == Some(self.settings.issuer.as_str()))
    }
}
