use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use tokensmith_engine::exchange::{CertificateNames, ServiceGrant, ServiceIdentity};

use super::super::caller::Caller;
use super::super::oauth_error::OauthError;
use super::super::to_the_end;
use super::super::{Narrowing, Service};
use super::{GrantError, Granted};
use crate::audit::AuditEvent;
use crate::clock::unix_now;
use crate::random;
use crate::store::{Family, FamilyOrigin, OpaqueDigest};

/// `POST /service-identity/session`: a service's tokens for its certificate.
pub(in super::super) async fn session(
    State(service): State<Arc<Service>>,
    caller: Caller,
) -> Result<Response, OauthError> {
    // A certificate is nothing that is guessed: no limit of failed attempts stands before it.
    to_the_end(async move {
        let granted = begin(&service, &caller).await;
        let outcome = granted.as_ref().map_or_else(GrantError::code, |_| "issued");
        service.metrics.issuance("service_identity", outcome);
        match granted {
            Ok(granted) => Ok(granted.answer(&service)),
            Err(error) => Err(error.answer(&service, &caller).await),
        }
    })
    .await
}

async fn begin(service: &Service, caller: &Caller) -> Result<Granted, GrantError> {
    if !service.settings.takes_client_certificates() {
        return Err(OauthError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "server_error",
            "no authority for services' certificates is configured: `--service-identity-ca`",
        )
        .with_code("service_identity_unconfigured")
        .into());
    }
    let certificate = caller.certificate.as_ref().ok_or_else(|| {
        let code = "client_certificate_missing";
        OauthError::invalid_client("a client certificate is required", code)
    })?;
    let names = &certificate.names;
    let now = unix_now();
    let refresh_token = random::opaque_token().map_err(OauthError::internal)?;
    let id = random::identifier().map_err(OauthError::internal)?;
    let family = match ServiceIdentity::find(&service.service_identities, names) {
        Some(identity) => Family {
            id,
            origin: FamilyOrigin::Session,
            grant: identity.grant(),
            refresh_ttl: identity.refresh_ttl.into(),
            confirmation: identity.certificate_bound.then(|| names.thumbprint.clone()),
            ends_at: Some(now.saturating_add(identity.session_ttl.into())),
        },
        None => {
            let (grant, refresh_ttl) = bootstrap_policy(service, names).await?;
            Family {
                id,
                origin: FamilyOrigin::Session,
                grant,
                refresh_ttl,
                // Clients of the Go release refresh without their certificate.
                confirmation: None,
                ends_at: Some(now.saturating_add(refresh_ttl)),
            }
        }
    };
    let minted = service.mint_for_family(&family, &Narrowing::default())?;
    let _timer = service.metrics.store_timer("start_family");
    service
        .store
        .start_family(&family, &OpaqueDigest::of(&refresh_token), now, || {
            let name = "service_identity_session";
            let event = AuditEvent::Issue;
            service
                .auditor
                .issued_in_store(event, name, caller, &minted)
                .map_err(GrantError::from)
        })
        .await?;
    let seconds = family.next_end(now).saturating_sub(now);
    Ok(Granted {
        minted,
        refresh: Some((refresh_token, seconds)),
    })
}

/// What the newest bootstrap token of the certificate's common name grants.
async fn bootstrap_policy(
    service: &Service,
    names: &CertificateNames,
) -> Result<(ServiceGrant, i64), GrantError> {
    let policy = match &names.common_name {
        Some(name) => service.store.bootstrap_policy(name).await?,
        None => None,
    };
    Ok(policy.ok_or_else(|| {
        OauthError::new(
            StatusCode::FORBIDDEN,
            "invalid_client",
            "no policy is configured for the names of this certificate",
        )
        .with_code("service_identity_unknown")
    })?)
}
