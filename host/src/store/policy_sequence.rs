use super::{Store, StoreError};

impl Store {
    /// The sequence number of the policy `version`: that of the last time when it is still the
    /// last one that was used, else the next. It never goes back, whoever asks.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn policy_sequence(&self, version: &str, now: i64) -> Result<i64, StoreError> {
        let mut transaction = self.begin().await?;
        let last: Option<(String, i64)> = sqlx::query_as(
            "SELECT version, sequence FROM policy_versions ORDER BY sequence DESC LIMIT 1",
        )
        .fetch_optional(transaction.connection()?)
        .await?;
        let sequence = match last {
            Some((last, sequence)) if last == version => {
                // It may be on its way to the disk.
                transaction.commit().await?;
                return Ok(sequence);
            }
            Some((_, sequence)) => sequence.saturating_add(1),
            None => 1,
        };
        // Two replicas cannot both have a number: its index is unique, and one of them fails.
        sqlx::query(
            "INSERT INTO policy_versions (version, sequence, used_at) VALUES ($1, $2, $3) \
             ON CONFLICT (version) DO UPDATE SET sequence = $2, used_at = $3",
        )
        .bind(version)
        .bind(sequence)
        .bind(now)
        .execute(transaction.connection()?)
        .await?;
        transaction.commit().await?;
        Ok(sequence)
    }
}
