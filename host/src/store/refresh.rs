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
    expires_at: i64,
    used_at: Option<i64>,
}

impl Store {
    /// Uses a refresh token, once, and puts the next one of its family in its place. A token used
    /// a second time revokes the family: one of the two who had it is not its owner.
    ///
    /// A family that is bound to a client certificate wants its thumbprint in `confirmation`;
    /// without it nothing changes. `mint` makes the answer from the family; when it fails nothing
    /// changes. Answers with what it made and the life of the new refresh token in seconds.
    ///
    /// # Errors
    /// [`StoreError`], and what `mint` returns.
    pub async fn rotate_refresh<T, E: From<StoreError>>(
        &self,
        digest: &OpaqueDigest,
        next: &OpaqueDigest,
        confirmation: Option<&str>,
        now: i64,
        mint: impl FnOnce(&Family) -> Result<T, E>,
    ) -> Result<(T, i64), E> {
        let refused = |refusal: Refusal| E::from(StoreError::from(refusal));
        let mut transaction = self.begin().await?;
        let row: Option<Row> = sqlx::query_as(
            "SELECT f.id, f.subject, f.audience, f.scopes, f.roles, f.refresh_ttl, f.revoked_at, \
             f.origin, f.confirmation, t.expires_at, t.used_at \
             FROM refresh_tokens t JOIN refresh_families f ON f.id = t.family_id \
             WHERE t.token_hash = $1",
        )
        .bind(digest.as_bytes())
        .fetch_optional(transaction.connection()?)
        .await
        .map_err(StoreError::from)?;
        let row = row.ok_or_else(|| refused(Refusal::Unknown))?;
        if row.revoked_at.is_some() {
            return Err(refused(Refusal::Revoked));
        }
        if row.confirmation.is_some() && row.confirmation.as_deref() != confirmation {
            return Err(refused(Refusal::Bound));
        }
        let used = row.used_at.is_some() || {
            // Whoever comes second, on another replica too, changes no row here.
            let marked = sqlx::query(
                "UPDATE refresh_tokens SET used_at = $1 \
                 WHERE token_hash = $2 AND used_at IS NULL",
            )
            .bind(now)
            .bind(digest.as_bytes())
            .execute(transaction.connection()?)
            .await
            .map_err(StoreError::from)?;
            marked.rows_affected() != 1
        };
        if used {
            sqlx::query("UPDATE refresh_families SET revoked_at = $1 WHERE id = $2")
                .bind(now)
                .bind(&row.id)
                .execute(transaction.connection()?)
                .await
                .map_err(StoreError::from)?;
            transaction.commit().await?;
            return Err(refused(Refusal::Replayed));
        }
        if row.expires_at <= now {
            return Err(refused(Refusal::Expired));
        }
        let expires_at = now.saturating_add(row.refresh_ttl);
        let kept = sqlx::query(
            "UPDATE refresh_families SET expires_at = $1 WHERE id = $2 AND revoked_at IS NULL",
        )
        .bind(expires_at)
        .bind(&row.id)
        .execute(transaction.connection()?)
        .await
        .map_err(StoreError::from)?;
        if kept.rows_affected() != 1 {
            // Another replica revoked it since it was read.
            return Err(refused(Refusal::Revoked));
        }
        insert_refresh(transaction.connection()?, next, &row.id, now, expires_at).await?;
        let family = Family {
            origin: FamilyOrigin::of(&row.origin)?,
            grant: ServiceGrant {
                subject: row.subject,
                audience: decode_list("audience", &row.audience)?,
                scopes: decode_list("scopes", &row.scopes)?,
                roles: decode_list("roles", &row.roles)?,
            },
            id: row.id,
            refresh_ttl: row.refresh_ttl,
            confirmation: row.confirmation,
        };
        let answer = mint(&family)?;
        transaction.commit().await?;
        Ok((answer, family.refresh_ttl))
    }
}
