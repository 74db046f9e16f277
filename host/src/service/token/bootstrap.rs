use super::super::caller::Caller;
use super::super::oauth_error::OauthError;
use super::super::{Minted, Narrowing, Service};
use super::{GrantError, Granted};
use crate::audit::AuditEvent;
use crate::clock::unix_now;
use crate::random;
use crate::store::{NewRefreshToken, OpaqueDigest};

/// Redeems a bootstrap token.
pub(super) async fn redeem(
    service: &Service,
    caller: &Caller,
    bootstrap_token: &str,
    narrowing: &Narrowing,
) -> Result<Granted, GrantError> {
    let refresh_token = random::opaque_token().map_err(OauthError::internal)?;
    let family = random::identifier().map_err(OauthError::internal)?;
    let _timer = service.metrics.store_timer("redeem_bootstrap");
    let (minted, ttl) = service
        .store
        .redeem_bootstrap(
            &OpaqueDigest::of(bootstrap_token),
            &NewRefreshToken {
                digest: OpaqueDigest::of(&refresh_token),
                family: &family,
            },
            unix_now(),
            |family| Ok::<_, GrantError>(service.mint_for_family(family, narrowing)?),
            |minted: &Minted| {
                // Before the token counts as redeemed: what cannot be audited changes nothing.
                let event = AuditEvent::Issue;
                let name = "bootstrap_token_exchanged";
                Ok(service
                    .auditor
                    .issued_in_store(event, name, caller, minted)?)
            },
        )
        .await?;
    Ok(Granted {
        minted,
        refresh: Some((refresh_token, ttl)),
    })
}
