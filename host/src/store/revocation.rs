use super::{OpaqueDigest, Store, StoreError, decode_list};

/// A refresh family that is revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevokedFamily {
    /// Its identifier, `session_id` of its access tokens.
    pub id: String,
    /// `sub` of its access tokens.
    pub subject: String,
    /// Whether it was revoked before.
    pub already: bool,
}

/// What a refresh token stands for. All times are Unix seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefreshRecord {
    /// Its family's identifier, `session_id` of the access tokens.
    pub family: String,
    /// `sub` of the access tokens.
    pub subject: String,
    /// `aud` of the access tokens.
    pub audience: Vec<String>,
    /// `scope` of the access tokens.
    pub scopes: Vec<String>,
    /// When the family began.
    pub family_created_at: i64,
    /// When the token was made.
    pub issued_at: i64,
    /// When it can no longer be used.
    pub expires_at: i64,
    /// Whether it is neither used nor of a revoked family, and its time is not over.
    pub active: bool,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    subject: String,
    audience: String,
    scopes: String,
    created_at: i64,
    revoked_at: Option<i64>,
    issued_at: i64,
    expires_at: i64,
    used_at: Option<i64>,
}

impl Store {
    /// Revokes the family of a refresh token, whichever of its tokens that is (RFC 7009 section
    /// 2.1). Nothing for a token that is not known.
    ///
    /// `record` is told the family's subject, once for each family; when it fails nothing changes.
    ///
    /// # Errors
    /// [`StoreError::Database`], and what `record` returns.
    pub async fn revoke_family<E: From<StoreError>>(
        &self,
        digest: &OpaqueDigest,
        now: i64,
        record: impl FnOnce(&str) -> Result<(), E>,
    ) -> Result<Option<RevokedFamily>, E> {
        let mut transaction = self.begin().await?;
        let revoked: Option<(String, String)> = sqlx::query_as(
            "UPDATE refresh_families SET revoked_at = $1 \
             WHERE id = (SELECT family_id FROM refresh_tokens WHERE token_hash = $2) \
             AND revoked_at IS NULL \
             RETURNING id, subject",
        )
        .bind(now)
        .bind(digest.as_bytes())
        .fetch_optional(transaction.connection()?)
        .await
        .map_err(StoreError::from)?;
        if let Some((id, subject)) = revoked {
            record(&subject)?;
            transaction.commit().await?;
            return Ok(Some(RevokedFamily {
                id,
                subject,
                already: false,
            }));
        }
        let known: Option<(String, String)> = sqlx::query_as(
            "SELECT f.id, f.subject \
             FROM refresh_tokens t JOIN refresh_families f ON f.id = t.family_id \
             WHERE t.token_hash = $1",
        )
        .bind(digest.as_bytes())
        .fetch_optional(transaction.connection()?)
        .await
        .map_err(StoreError::from)?;
        // Another's revocation may be on its way to the disk: no answer comes before it is there.
        transaction.commit().await?;
        Ok(known.map(|(id, subject)| RevokedFamily {
            id,
            subject,
            already: true,
        }))
    }

    /// Remembers an access token as revoked until `expires_at`, its `exp`. Says whether it was
    /// not revoked before.
    ///
    /// `record` is called then; when it fails nothing changes.
    ///
    /// # Errors
    /// [`StoreError::Database`], and what `record` returns.
    pub async fn revoke_access<E: From<StoreError>>(
        &self,
        jti: &str,
        now: i64,
        expires_at: i64,
        record: impl FnOnce() -> Result<(), E>,
    ) -> Result<bool, E> {
        let mut transaction = self.begin().await?;
        let done = sqlx::query(
            "INSERT INTO revoked_tokens (jti, revoked_at, expires_at) VALUES ($1, $2, $3) \
             ON CONFLICT (jti) DO NOTHING",
        )
        .bind(jti)
        .bind(now)
        .bind(expires_at)
        .execute(transaction.connection()?)
        .await
        .map_err(StoreError::from)?;
        let first = done.rows_affected() == 1;
        if first {
            record()?;
        }
        // Where another was first, no answer comes before its revocation is on the disk.
        transaction.commit().await?;
        Ok(first)
    }

    /// Whether an access token is revoked, by itself or with the refresh family that
    /// `session_id` names.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn is_revoked(&self, jti: &str, session_id: &str) -> Result<bool, StoreError> {
        let revoked: i64 = sqlx::query_scalar(
            "SELECT CASE WHEN EXISTS (SELECT 1 FROM revoked_tokens WHERE jti = $1) \
             OR EXISTS (SELECT 1 FROM refresh_families WHERE id = $2 AND revoked_at IS NOT NULL) \
             THEN 1 ELSE 0 END",
        )
        .bind(jti)
        .bind(session_id)
        .fetch_one(&self.pool)
        .await?;
        Ok(revoked != 0)
    }

    /// What a refresh token stands for, without using it.
    ///
    /// # Errors
    /// [`StoreError::Database`], [`StoreError::Column`].
    pub async fn refresh_record(
        &self,
        digest: &OpaqueDigest,
        now: i64,
    ) -> Result<Option<RefreshRecord>, StoreError> {
        let row: Option<Row> = sqlx::query_as(
            "SELECT f.id, f.subject, f.audience, f.scopes, f.created_at, f.revoked_at, \
             t.issued_at, t.expires_at, t.used_at \
             FROM refresh_tokens t JOIN refresh_families f ON f.id = t.family_id \
             WHERE t.token_hash = $1",
        )
        .bind(digest.as_bytes())
        .fetch_optional(&self.pool)
        .await?;
        let Some(row) = row else {
            return Ok(None);
        };
        Ok(Some(RefreshRecord {
            active: row.revoked_at.is_none() && row.used_at.is_none() && row.expires_at > now,
            family: row.id,
            subject: row.subject,
            audience: decode_list("audience", &row.audience)?,
            scopes: decode_list("scopes", &row.scopes)?,
            family_created_at: row.created_at,
            issued_at: row.issued_at,
            expires_at: row.expires_at,
        }))
    }
}
