use super::super::caller::Caller;
use super::super::oauth_error::OauthError;
use super::super::{Minted, Narrowing, Service};
use super::{GrantError, Granted};
use crate::audit::AuditEvent;
use crate::clock::unix_now;
use crate::random;
use crate::store::OpaqueDigest;

/// Uses a refresh token and hands out the next one of its family.
pub(super) async fn rotate(
    service: &Service,
    caller: &Caller,
    refresh_token: &str,
    narrowing: &Narrowing,
) -> Result<Granted, GrantError> {
    let next = random::opaque_token().map_err(OauthError::internal)?;
    let _timer = service.metrics.store_timer("rotate_refresh");
    let (minted, ttl) = service
        .store
        .rotate_refresh(
            &OpaqueDigest::of(refresh_token),
            &OpaqueDigest::of(&next),
            caller.confirmation(),
            unix_now(),
            |family| Ok::<_, GrantError>(service.mint_for_family(family, narrowing)?),
            |minted: &Minted| {
                let event = AuditEvent::Refresh;
                let name = "refresh_token_rotated";
                Ok(service
                    .auditor
                    .issued_in_store(event, name, caller, minted)?)
            },
        )
        .await?;
    Ok(Granted {
        minted,
        refresh: Some((next, ttl)),
    })
}
