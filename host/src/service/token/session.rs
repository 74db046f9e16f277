use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use tokensmith_engine::exchange::ServiceIdentity;

use super::super::Service;
use super::super::caller::Caller;
use super::super::oauth_error::OauthError;
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
    service.admit(&caller, unix_now()).await?;
    // A caller that goes away leaves nothing half done for the others who write at once.
    tokio::spawn(async move {
        let granted = begin(&service, &caller).await;
        let outcome = granted.as_ref().map_or_else(GrantError::code, |_| "issued");
        service.metrics.issuance("service_identity", outcome);
        match granted {
            Ok(granted) => Ok(granted.answer(&service)),
            Err(error) => Err(error.answer(&service, &caller).await),
        }
    })
    .await
    .map_err(OauthError::internal)?
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
    let mut family = Family {
        id: random::identifier().map_err(OauthError::internal)?,
        origin: FamilyOrigin::Session,
        confirmation: Some(names.thumbprint.clone()),
        ..match ServiceIdentity::find(&service.service_identities, names) {
            Some(identity) => configured(identity, now),
            None => from_bootstrap(service, caller, names.common_name.as_deref()).await?,
        }
    };
    if let Some(identity) = ServiceIdentity::find(&service.service_identities, names)
        && !identity.certificate_bound
    {
        family.confirmation = None;
    }
    let minted = service.mint_for_family(&family)?;
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

/// A family as the configuration has it.
fn configured(identity: &ServiceIdentity, now: i64) -> Family {
    Family {
        id: String::new(),
        origin: FamilyOrigin::Session,
        grant: identity.grant(),
        refresh_ttl: identity.refresh_ttl.into(),
        confirmation: None,
        ends_at: Some(now.saturating_add(identity.session_ttl.into())),
    }
}

/// A family with what the newest bootstrap token of the certificate's common name grants.
async fn from_bootstrap(
    service: &Service,
    caller: &Caller,
    common_name: Option<&str>,
) -> Result<Family, GrantError> {
    let policy = match common_name {
        Some(name) => service.store.bootstrap_policy(name).await?,
        None => None,
    };
    let (grant, refresh_ttl) = policy.ok_or_else(|| {
        let code = "service_identity_unknown";
        service
            .auditor
            .refused(AuditEvent::Denied, "service_identity_refused", caller, code);
        OauthError::new(
            StatusCode::FORBIDDEN,
            "invalid_client",
            "no policy is configured for the names of this certificate",
        )
        .with_code(code)
    })?;
    Ok(Family {
        id: String::new(),
        origin: FamilyOrigin::Session,
        grant,
        refresh_ttl,
        confirmation: None,
        ends_at: None,
    })
}
