use tokensmith_engine::exchange::ServiceGrant;

use super::family::{Family, FamilyOrigin, NewRefreshToken};
use super::{OpaqueDigest, Refusal, Store, StoreError, decode_list, encode_list};

/// A bootstrap token to store. All times are Unix seconds, all lengths of time seconds.
#[derive(Clone, Debug)]
pub struct NewBootstrapToken {
    /// The token's digest.
    pub digest: OpaqueDigest,
    /// What redeeming it grants.
    pub grant: ServiceGrant,
    /// A name for the machine or service it was made for.
    pub binding_identifier: Option<String>,
    /// When it was made.
    pub created_at: i64,
    /// When it can no longer be redeemed.
    pub expires_at: i64,
    /// How long each refresh token of its family lasts.
    pub refresh_ttl: i64,
}

type Row = (String, String, String, String, i64);

impl Store {
    /// Stores a bootstrap token.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn create_bootstrap(&self, token: &NewBootstrapToken) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        sqlx::query(
            "INSERT INTO bootstrap_tokens (token_hash, subject, audience, scopes, roles, \
             binding_identifier, refresh_ttl, created_at, expires_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(token.digest.as_bytes())
        .bind(&token.grant.subject)
        .bind(encode_list(&token.grant.audience))
        .bind(encode_list(&token.grant.scopes))
        .bind(encode_list(&token.grant.roles))
        .bind(&token.binding_identifier)
        .bind(token.refresh_ttl)
        .bind(token.created_at)
        .bind(token.expires_at)
        .execute(transaction.connection()?)
        .await?;
        transaction.commit().await
    }

    /// Redeems a bootstrap token, once among all that try, and starts a refresh family.
    ///
    /// `mint` makes the answer; when it fails the token is not redeemed. Answers with what it
    /// made and the life of a refresh token in seconds.
    ///
    /// # Errors
    /// [`StoreError`], and what `mint` returns.
    pub async fn redeem_bootstrap<T, E: From<StoreError>>(
        &self,
        digest: &OpaqueDigest,
        refresh: &NewRefreshToken<'_>,
        now: i64,
        mint: impl FnOnce(&Family) -> Result<T, E>,
    ) -> Result<(T, i64), E> {
        let mut transaction = self.begin().await?;
        // The condition and the mark are one statement: two redeemers cannot both have the row.
        let row: Option<Row> = sqlx::query_as(
            "UPDATE bootstrap_tokens SET redeemed_at = $1 \
             WHERE token_hash = $2 AND redeemed_at IS NULL AND expires_at > $3 \
             RETURNING subject, audience, scopes, roles, refresh_ttl",
        )
        .bind(now)
        .bind(digest.as_bytes())
        .bind(now)
        .fetch_optional(transaction.connection()?)
        .await
        .map_err(StoreError::from)?;
        let Some((subject, audience, scopes, roles, refresh_ttl)) = row else {
            let known: Option<Option<i64>> = sqlx::query_scalar(
                "SELECT redeemed_at FROM bootstrap_tokens WHERE token_hash = $1",
            )
            .bind(digest.as_bytes())
            .fetch_optional(transaction.connection()?)
            .await
            .map_err(StoreError::from)?;
            return Err(StoreError::from(match known {
                None => Refusal::Unknown,
                Some(Some(_)) => Refusal::Redeemed,
                Some(None) => Refusal::Expired,
            })
            .into());
        };
        let family = Family {
            id: refresh.family.to_owned(),
            origin: FamilyOrigin::Bootstrap,
            grant: ServiceGrant {
                subject,
                audience: decode_list("audience", &audience)?,
                scopes: decode_list("scopes", &scopes)?,
                roles: decode_list("roles", &roles)?,
            },
            refresh_ttl,
            confirmation: None,
        };
        family
            .insert(transaction.connection()?, &refresh.digest, now)
            .await?;
        let answer = mint(&family)?;
        transaction.commit().await?;
        Ok((answer, refresh_ttl))
    }
}
