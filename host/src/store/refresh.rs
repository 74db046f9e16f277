use tokensmith_engine::exchange::ServiceGrant;

use super::family::{Family, FamilyOrigin, insert_refresh};
use super::{OpaqueDigest, Refusal, Store, StoreError, decode_list};

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    subject: String,
    audience: String,
    scopes: String,
    roles: String,
    refresh_ttl: i64,
    revoked_at: Option<i64>,
    origin: String,
    confirmation: Option<String>,
    ends_at: Option<i64>,
    expires_at: i64,
    used_at: Option<i64>,
}

impl Store {
    /// Uses a refresh token, once, and puts the next one of its family in its place. A token used
    /// a second time revokes the family: one of the two who had it is not its owner.
    ///
    /// A family that is bound to a client certificate wants its thumbprint in `confirmation`;
    /// without it nothing changes. `mint` and `record` are as for [`Store::redeem_bootstrap`].
    /// Answers with what `mint` made and the life of the new refresh token in seconds.
    ///
    /// # Errors
    /// [`StoreError`], and what `mint` and `record` return.
    pub async fn rotate_refresh<T, E: From<StoreError>>(
        &self,
        digest: &OpaqueDigest,
        next: &OpaqueDigest,
        confirmation: Option<&str>,
        now: i64,
        mint: impl FnOnce(&Family) -> Result<T, E>,
        record: impl FnOnce(&T) -> Result<(), E>,
    ) -> Result<(T, i64), E> {
        let row = self.refresh_row(digest).await?;
        let refused = |refusal: Refusal| E::from(StoreError::from(refusal));
        if row.revoked_at.is_some() {
            return Err(refused(Refusal::Revoked));
        }
        if row.confirmation.is_some() && row.confirmation.as_deref() != confirmation {
            return Err(refused(Refusal::Bound));
        }
        if row.used_at.is_some() {
            self.revoke_replayed(&row.id, now).await?;
            return Err(refused(Refusal::Replayed));
        }
        if row.expires_at <= now {
            return Err(refused(Refusal::Expired));
        }
        let family = row.family()?;
        let answer = mint(&family)?;
        let mut transaction = self.begin().await?;
        // Whoever comes second, on another replica too, changes no row here.
        let marked = sqlx::query(
            "UPDATE refresh_tokens SET used_at = $1 WHERE token_hash = $2 AND used_at IS NULL",
        )
        .bind(now)
        .bind(digest.as_bytes())
        .execute(transaction.connection()?)
        .await
        .map_err(StoreError::from)?;
        if marked.rows_affected() != 1 {
            drop(transaction);
            self.revoke_replayed(&family.id, now).await?;
            return Err(refused(Refusal::Replayed));
        }
        let expires_at = family.next_end(now);
        let kept = sqlx::query(
            "UPDATE refresh_families SET expires_at = $1 WHERE id = $2 AND revoked_at IS NULL",
        )
        .bind(expires_at)
        .bind(&family.id)
        .execute(transaction.connection()?)
        .await
        .map_err(StoreError::from)?;
        if kept.rows_affected() != 1 {
            // It was revoked since it was read.
            return Err(refused(Refusal::Revoked));
        }
        insert_refresh(transaction.connection()?, next, &family.id, now, expires_at).await?;
        record(&answer)?;
        transaction.commit().await?;
        Ok((answer, expires_at.saturating_sub(now)))
    }

    async fn refresh_row(&self, digest: &OpaqueDigest) -> Result<Row, StoreError> {
        let row: Option<Row> = sqlx::query_as(
            "SELECT f.id, f.subject, f.audience, f.scopes, f.roles, f.refresh_ttl, f.revoked_at, \
             f.origin, f.confirmation, f.ends_at, t.expires_at, t.used_at \
             FROM refresh_tokens t JOIN refresh_families f ON f.id = t.family_id \
             WHERE t.token_hash = $1",
        )
        .bind(digest.as_bytes())
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.ok_or(Refusal::Unknown)?)
    }

    async fn revoke_replayed(&self, family: &str, now: i64) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        sqlx::query(
            "UPDATE refresh_families SET revoked_at = $1 WHERE id = $2 AND revoked_at IS NULL",
        )
        .bind(now)
        .bind(family)
        .execute(transaction.connection()?)
        .await?;
        transaction.commit().await
    }
}

impl Row {
    fn family(self) -> Result<Family, StoreError> {
        Ok(Family {
            id: self.id,
            origin: FamilyOrigin::of(&self.origin)?,
            grant: ServiceGrant {
                subject: self.subject,
                audience: decode_list("audience", &self.audience)?,
                scopes: decode_list("scopes", &self.scopes)?,
                roles: decode_list("roles", &self.roles)?,
            },
            refresh_ttl: self.refresh_ttl,
            confirmation: self.confirmation,
            ends_at: self.ends_at,
        })
    }
}
