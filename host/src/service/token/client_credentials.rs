use tokensmith_engine::exchange::{ClientGrantType, ExchangeError, client_claims};

use super::super::Service;
use super::super::caller::Caller;
use super::super::clients::Client;
use super::super::form::Form;
use super::super::oauth_error::OauthError;
use super::{GrantError, Granted};
use crate::audit::AuditEvent;

/// A client's own token (RFC 6749 section 4.4). There is no refresh token: it can ask again.
pub(super) fn grant(
    service: &Service,
    caller: &Caller,
    form: &Form,
    client: Option<Client>,
) -> Result<Granted, GrantError> {
    let client = client.ok_or_else(|| {
        OauthError::invalid_client(
            "this grant is for clients that have shown who they are",
            "client_missing",
        )
    })?;
    client.may_use(ClientGrantType::ClientCredentials)?;
    let targets = form.targets();
    let scopes = form.scopes();
    let registration = &client.registration;
    let grant = registration
        .service_grant(&targets, scopes.as_deref())
        .map_err(|error| OauthError::refused_exchange(&error))?;
    let minted = service.mint(|issuance| {
        Ok::<_, ExchangeError>(client_claims(
            &grant,
            &registration.client_id,
            registration.auth,
            client.confirmation.as_deref(),
            issuance,
        ))
    })?;
    let name = "client_credentials_granted";
    service
        .auditor
        .issued(AuditEvent::Issue, name, caller, &minted)?;
    Ok(Granted::alone(minted))
}
