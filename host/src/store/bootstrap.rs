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
    /// How long its family lasts from when it is redeemed.
    pub refresh_ttl: i64,
}

type Row = (String, String, String, String, i64, i64, Option<i64>);

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
    /// `mint` makes the answer, before the store is changed and beside other callers; `record`
    /// is told of it when it is certain that the token is this caller's. When either fails the
    /// token is not redeemed. Answers with what `mint` made and the life of a refresh token in
    /// seconds.
    ///
    /// # Errors
    /// [`StoreError`], and what `mint` and `record` return.
    pub async fn redeem_bootstrap<T, E: From<StoreError>>(
        &self,
        digest: &OpaqueDigest,
        refresh: &NewRefreshToken<'_>,
        now: i64,
        mint: impl FnOnce(&Family) -> Result<T, E>,
        record: impl FnOnce(&T) -> Result<(), E>,
    ) -> Result<(T, i64), E> {
        let family = self.bootstrap_family(digest, refresh.family, now).await?;
        let answer = mint(&family)?;
        let mut transaction = self.begin().await?;
        // The condition and the mark are one statement: two redeemers cannot both have the row.
        let marked = sqlx::query(
            "UPDATE bootstrap_tokens SET redeemed_at = $1 \
             WHERE token_hash = $2 AND redeemed_at IS NULL",
        )
        .bind(now)
        .bind(digest.as_bytes())
        .execute(transaction.connection()?)
        .await
        .map_err(StoreError::from)?;
        if marked.rows_affected() != 1 {
            return Err(StoreError::from(Refusal::Redeemed).into());
        }
        family
            .insert(transaction.connection()?, &refresh.digest, now)
            .await?;
        record(&answer)?;
        transaction.commit().await?;
        Ok((answer, family.refresh_ttl))
    }

    /// What the newest bootstrap token of `subject` grants, redeemed or not, and the life of its
    /// refresh tokens in seconds.
    ///
    /// # Errors
    /// [`StoreError::Database`], [`StoreError::Column`].
    pub async fn bootstrap_policy(
        &self,
        subject: &str,
    ) -> Result<Option<(ServiceGrant, i64)>, StoreError> {
        let row: Option<(String, String, String, i64)> = sqlx::query_as(
            "SELECT audience, scopes, roles, refresh_ttl FROM bootstrap_tokens \
             WHERE subject = $1 ORDER BY created_at DESC, token_hash DESC LIMIT 1",
        )
        .bind(subject)
        .fetch_optional(&self.pool)
        .await?;
        let Some((audience, scopes, roles, refresh_ttl)) = row else {
            return Ok(None);
        };
        let grant = ServiceGrant {
            subject: subject.to_owned(),
            audience: decode_list("audience", &audience)?,
            scopes: decode_list("scopes", &scopes)?,
            roles: decode_list("roles", &roles)?,
        };
        Ok(Some((grant, refresh_ttl)))
    }

    /// The family that a bootstrap token starts. All that is read here never changes.
    async fn bootstrap_family(
        &self,
        digest: &OpaqueDigest,
        id: &str,
        now: i64,
    ) -> Result<Family, StoreError> {
        let row: Option<Row> = sqlx::query_as(
            "SELECT subject, audience, scopes, roles, refresh_ttl, expires_at, redeemed_at \
             FROM bootstrap_tokens WHERE token_hash = $1",
        )
        .bind(digest.as_bytes())
        .fetch_optional(&self.pool)
        .await?;
        let (subject, audience, scopes, roles, refresh_ttl, expires_at, redeemed_at) =
            row.ok_or(Refusal::Unknown)?;
        if redeemed_at.is_some() {
            return Err(Refusal::Redeemed.into());
        }
        if expires_at <= now {
            return Err(Refusal::Expired.into());
        }
        Ok(Family {
            id: id.to_owned(),
            origin: FamilyOrigin::Bootstrap,
            grant: ServiceGrant {
                subject,
                audience: decode_list("audience", &audience)?,
                scopes: decode_list("scopes", &scopes)?,
                roles: decode_list("roles", &roles)?,
            },
            refresh_ttl,
            confirmation: None,
            // As long as whoever made the token said, however often it is used.
            ends_at: Some(now.saturating_add(refresh_ttl)),
        })
    }
}
