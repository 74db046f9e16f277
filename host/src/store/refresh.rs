use sqlx::SqliteConnection;
use tokensmith_engine::exchange::ServiceGrant;

use super::{OpaqueDigest, Refusal, Store, StoreError, decode_list};

/// The refresh token that a grant hands out.
#[derive(Clone, Copy, Debug)]
pub struct NewRefreshToken<'a> {
    /// The token's digest.
    pub digest: OpaqueDigest,
    /// The family's identifier where the grant starts one.
    pub family: &'a str,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    subject: String,
    audience: String,
    scopes: String,
    roles: String,
    refresh_ttl: i64,
    revoked_at: Option<i64>,
    expires_at: i64,
    used_at: Option<i64>,
}

impl Store {
    /// Uses a refresh token, once, and puts the next one of its family in its place. A token used
    /// a second time revokes the family: one of the two who had it is not its owner.
    ///
    /// `mint` makes the answer from the grant and the family's identifier; when it fails nothing
    /// changes. Answers with what it made and the life of the new refresh token in seconds.
    ///
    /// # Errors
    /// [`StoreError`], and what `mint` returns.
    pub async fn rotate_refresh<T, E: From<StoreError>>(
        &self,
        digest: &OpaqueDigest,
        next: &OpaqueDigest,
        now: i64,
        mint: impl FnOnce(&ServiceGrant, &str) -> Result<T, E>,
    ) -> Result<(T, i64), E> {
        let database = |error: sqlx::Error| E::from(StoreError::from(error));
        let mut transaction = self
            .pool
            .begin_with("BEGIN IMMEDIATE")
            .await
            .map_err(database)?;
        let row: Option<Row> = sqlx::query_as(
            "SELECT f.id, f.subject, f.audience, f.scopes, f.roles, f.refresh_ttl, f.revoked_at, \
             t.expires_at, t.used_at \
             FROM refresh_tokens t JOIN refresh_families f ON f.id = t.family_id \
             WHERE t.token_hash = ?",
        )
        .bind(digest.as_bytes())
        .fetch_optional(&mut *transaction)
        .await
        .map_err(database)?;
        let Some(row) = row else {
            return Err(StoreError::from(Refusal::Unknown).into());
        };
        if row.revoked_at.is_some() {
            return Err(StoreError::from(Refusal::Revoked).into());
        }
        let marked = sqlx::query(
            "UPDATE refresh_tokens SET used_at = ? WHERE token_hash = ? AND used_at IS NULL",
        )
        .bind(now)
        .bind(digest.as_bytes())
        .execute(&mut *transaction)
        .await
        .map_err(database)?;
        if row.used_at.is_some() || marked.rows_affected() != 1 {
            sqlx::query("UPDATE refresh_families SET revoked_at = ? WHERE id = ?")
                .bind(now)
                .bind(&row.id)
                .execute(&mut *transaction)
                .await
                .map_err(database)?;
            transaction.commit().await.map_err(database)?;
            return Err(StoreError::from(Refusal::Replayed).into());
        }
        if row.expires_at <= now {
            return Err(StoreError::from(Refusal::Expired).into());
        }
        let expires_at = now.saturating_add(row.refresh_ttl);
        sqlx::query("UPDATE refresh_families SET expires_at = ? WHERE id = ?")
            .bind(expires_at)
            .bind(&row.id)
            .execute(&mut *transaction)
            .await
            .map_err(database)?;
        NewRefreshToken {
            digest: *next,
            family: &row.id,
        }
        .insert(&mut transaction, now, expires_at)
        .await?;
        let grant = ServiceGrant {
            subject: row.subject,
            audience: decode_list("audience", &row.audience)?,
            scopes: decode_list("scopes", &row.scopes)?,
            roles: decode_list("roles", &row.roles)?,
        };
        let answer = mint(&grant, &row.id)?;
        transaction.commit().await.map_err(database)?;
        Ok((answer, row.refresh_ttl))
    }
}

impl NewRefreshToken<'_> {
    pub(super) async fn insert(
        &self,
        connection: &mut SqliteConnection,
        now: i64,
        expires_at: i64,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO refresh_tokens (token_hash, family_id, issued_at, expires_at) \
             VALUES (?, ?, ?, ?)",
        )
        .bind(self.digest.as_bytes())
        .bind(self.family)
        .bind(now)
        .bind(expires_at)
        .execute(connection)
        .await?;
        Ok(())
    }
}
