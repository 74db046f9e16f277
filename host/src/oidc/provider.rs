use std::sync::Arc;

use tokensmith_engine::claims::ClaimRules;
use tokensmith_engine::jose::Limits;
use tokensmith_engine::oidc::{IdTokenRules, TokenKind, check_access_token, check_id_token};
use tokensmith_engine::verify::Verifier;

use super::identity_provider::{
    Identity, IdentityProvider, Presented, ProviderMetrics, Verification,
};
use super::introspection::Introspector;
use super::provider_keys::{COOLDOWN_SECONDS, ProviderKeys};
use super::{OidcClient, OidcError, OidcOptions, discovery, http_get};

/// An OpenID provider: ID tokens and access tokens that are JWTs are verified with its keys, about
/// opaque access tokens it is asked.
#[derive(Debug)]
pub struct OidcProvider {
    client: OidcClient,
    keys: Arc<ProviderKeys>,
    id_tokens: Verifier,
    access_tokens: Verifier,
    introspector: Option<Introspector>,
}

impl OidcProvider {
    /// Checks the settings; asks the provider nothing yet.
    ///
    /// # Errors
    /// [`OidcError::Url`], [`OidcError::ClientId`], [`OidcError::Client`].
    pub fn new(client: OidcClient, options: OidcOptions) -> Result<Self, OidcError> {
        discovery::check_url(&client.issuer, options.allow_http)?;
        if client.client_id.trim().is_empty() {
            return Err(OidcError::ClientId);
        }
        let requests = http_get::client(options.timeout, options.authorities.as_deref())?;
        let id_rules = ClaimRules::generic(&client.issuer, [&client.client_id]);
        let mut audiences = vec![client.client_id.clone()];
        audiences.extend(options.access_token_audiences);
        let access_rules = ClaimRules::generic(&client.issuer, audiences);
        let introspector = options.client_secret.map(|secret| {
            Introspector::new(
                requests.clone(),
                &client.client_id,
                secret,
                access_rules.clone(),
            )
        });
        Ok(Self {
            keys: Arc::new(ProviderKeys::new(
                &client.issuer,
                options.allow_http,
                requests,
            )),
            id_tokens: Verifier::new([id_rules], Limits::default()),
            access_tokens: Verifier::new([access_rules], Limits::default()),
            introspector,
            client,
        })
    }

    /// Fetches the provider's metadata and keys: it can be used when they are good.
    ///
    /// # Errors
    /// [`OidcError`].
    pub async fn probe(&self) -> Result<(), OidcError> {
        self.keys.ring().await.map(drop)
    }

    /// Whether it can be asked about opaque access tokens.
    pub fn introspects(&self) -> bool {
        self.introspector.is_some()
    }

    async fn identify(&self, presented: Presented<'_>) -> Result<Identity, OidcError> {
        let token = presented.token;
        let presumed = TokenKind::presumed(token, &Limits::default());
        let kind = presented.expected.resolve(presumed, self.introspects());
        let claims = match kind {
            TokenKind::IdToken => {
                let verified = self.keys.verify(&self.id_tokens, token).await?;
                let rules = IdTokenRules {
                    client_id: &self.client.client_id,
                    nonce: presented.nonce,
                    access_token: presented.access_token,
                };
                check_id_token(&verified, &rules)?;
                verified.claims().clone()
            }
            TokenKind::JwtAccessToken => {
                let verified = self.keys.verify(&self.access_tokens, token).await?;
                check_access_token(&verified)?;
                verified.claims().clone()
            }
            TokenKind::OpaqueAccessToken => {
                let introspector = self
                    .introspector
                    .as_ref()
                    .ok_or(OidcError::NoIntrospection(
                        "the service has no `OIDC_CLIENT_SECRET`",
                    ))?;
                let metadata = self.keys.metadata().await?;
                let endpoint = metadata.introspection_endpoint.as_deref().ok_or(
                    OidcError::NoIntrospection("the provider has no introspection endpoint"),
                )?;
                introspector.introspect(endpoint, token).await?
            }
        };
        Ok(Identity { claims, kind })
    }
}

impl IdentityProvider for OidcProvider {
    fn issuer(&self) -> &str {
        &self.client.issuer
    }

    fn verify<'p>(&'p self, presented: Presented<'p>) -> Verification<'p> {
        Box::pin(self.identify(presented))
    }

    fn metrics(&self) -> ProviderMetrics {
        let (fetches, failed_fetches) = self.keys.counts();
        let (introspections, failed_introspections) = self
            .introspector
            .as_ref()
            .map_or((0, 0), Introspector::counts);
        ProviderMetrics {
            fetches,
            failed_fetches,
            introspections,
            failed_introspections,
        }
    }

    fn retry_after(&self) -> i64 {
        COOLDOWN_SECONDS
    }
}
