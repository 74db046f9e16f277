use super::{OpaqueDigest, Store, StoreError};

impl Store {
    /// Notes a token that is good once, until `expires_at` (Unix seconds). Says whether it was
    /// not seen before, to exactly one of all that ask.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn first_seen(
        &self,
        digest: &OpaqueDigest,
        expires_at: i64,
    ) -> Result<bool, StoreError> {
        let mut transaction = self.begin().await?;
        let done = sqlx::query(
            "INSERT INTO seen_tokens (token_hash, expires_at) VALUES ($1, $2) \
             ON CONFLICT (token_hash) DO NOTHING",
        )
        .bind(digest.as_bytes())
        .bind(expires_at)
        .execute(transaction.connection()?)
        .await?;
        let first = done.rows_affected() == 1;
        transaction.commit().await?;
        Ok(first)
    }
}
