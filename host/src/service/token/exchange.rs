use serde_json::Value;
use tokensmith_engine::claims::Claims;
use tokensmith_engine::exchange::{
    ClientGrantType, ExchangeError, ExchangeParties, ExchangeRequest, ExchangeToken, TokenType,
    UserTokenRequest, exchanged_claims, user_claims,
};
use tokensmith_engine::jose::{Jws, Limits};

use super::super::Service;
use super::super::caller::Caller;
use super::super::clients::Client;
use super::super::form::Form;
use super::super::identity_exchange;
use super::super::oauth_error::OauthError;
use super::{GrantError, Granted};
use crate::audit::AuditEvent;
use crate::clock::unix_now;
use crate::oidc::{ExpectedToken, Identity, Presented};
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
        return of_own_token(service, caller, form, client, token).await;
    }
    let presented = Presented::new(token, expected);
    let identity = identity_exchange::identity(service, caller, presented)
        .await
        .map_err(OauthError::about_subject_token)?;
    let issuer = identity.claims.iss().unwrap_or_default().to_owned();
    if service.exchange_policy.has_rules_for(&issuer) {
        let subject = user(service, &identity, issuer)?;
        return by_policy(service, caller, form, client, &subject).await;
    }
    if form.optional("actor_token").is_some() {
        return Err(OauthError::invalid_request(
            "no exchange rule is for subject tokens of the OpenID provider: exchange it alone \
             first, then send that token as `subject_token`",
        )
        .into());
    }
    let request = UserTokenRequest {
        scopes: form.scopes(),
        targets: form.targets(),
    };
    let minted = identity_exchange::issue(service, caller, &identity, &request)
        .map_err(OauthError::about_subject_token)?;
    Ok(Granted {
        minted,
        refresh: None,
    })
}

/// The claims that a user's token has here, as those of the provider: rules tell them apart.
fn user(service: &Service, identity: &Identity, issuer: String) -> Result<Claims, OauthError> {
    let session = random::identifier().map_err(OauthError::internal)?;
    let everything = UserTokenRequest::default();
    let issuance = service.issuance(&session, &session);
    let mut claims = user_claims(&identity.claims, &service.rules, &everything, &issuance)
        .map_err(|error| OauthError::refused_exchange(&error))?;
    claims.insert("iss".to_owned(), issuer.into());
    let text = Value::Object(claims).to_string();
    Claims::parse(text, &Limits::default()).map_err(OauthError::internal)
}

async fn of_own_token(
    service: &Service,
    caller: &Caller,
    form: &Form,
    client: Option<&Client>,
    token: &str,
) -> Result<Granted, GrantError> {
    let subject = own_token(service, caller, "subject_token", token).await?;
    by_policy(service, caller, form, client, &subject).await
}

/// What the rules let the caller have of a subject's claims.
async fn by_policy(
    service: &Service,
    caller: &Caller,
    form: &Form,
    client: Option<&Client>,
    subject: &Claims,
) -> Result<Granted, GrantError> {
    let actor = match form.optional("actor_token") {
        None => None,
        Some(token) => {
            let kind = form.required("actor_token_type")?;
            if !matches!(
                TokenType::parse(kind),
                Some(TokenType::AccessToken | TokenType::Jwt)
            ) {
                return Err(OauthError::invalid_request(
                    "`actor_token_type` has to be that of an access token or a JWT",
                )
                .into());
            }
            Some(own_token(service, caller, "actor_token", token).await?)
        }
    };
    let shown = |claims| ExchangeToken {
        claims,
        confirmation_shown: caller.shows(claims),
    };
    let parties = ExchangeParties {
        issuer: &service.settings.issuer,
        subject: shown(subject),
        actor: actor.as_ref().map(shown),
        client: client.map(|client| client.registration.client_id.as_str()),
    };
    let (targets, scopes) = (form.targets(), form.scopes());
    let refused = |error: &ExchangeError| {
        let event = AuditEvent::Denied;
        service
            .auditor
            .refused(event, "exchange_refused", caller, error.code());
        OauthError::refused_exchange(error)
    };
    let grant = service
        .exchange_policy
        .decide(&ExchangeRequest {
            parties,
            targets: &targets,
            scopes: scopes.as_deref(),
        })
        .map_err(|error| refused(&error))?;
    let confirmation = client.and_then(|client| client.confirmation.as_deref());
    let minted = service.mint(|issuance| {
        exchanged_claims(&parties, &grant, confirmation, issuance).map_err(|error| refused(&error))
    })?;
    let event = AuditEvent::Exchange;
    service
        .auditor
        .issued(event, "token_exchanged", caller, &minted)?;
    Ok(Granted {
        minted,
        refresh: None,
    })
}

/// The claims of a token of this service that is still good.
async fn own_token(
    service: &Service,
    caller: &Caller,
    parameter: &'static str,
    token: &str,
) -> Result<Claims, OauthError> {
    let now = unix_now();
    let refused = |code: &'static str| {
        let event = AuditEvent::Denied;
        service
            .auditor
            .refused(event, "authentication_failed", caller, code);
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
