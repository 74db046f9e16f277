use super::{Store, StoreError};

impl Store {
    /// Counts a failed attempt in `bucket`. The count starts anew when the first of it is
    /// `window` seconds old.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn attempt_failed(
        &self,
        bucket: &str,
        now: i64,
        window: i64,
    ) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        sqlx::query(
            "INSERT INTO failed_attempts (bucket, since, failures) VALUES ($1, $2, 1) \
             ON CONFLICT (bucket) DO UPDATE SET \
             failures = CASE WHEN failed_attempts.since <= $3 THEN 1 \
                        ELSE failed_attempts.failures + 1 END, \
             since = CASE WHEN failed_attempts.since <= $3 THEN $2 \
                     ELSE failed_attempts.since END",
        )
        .bind(bucket)
        .bind(now)
        .bind(now.saturating_sub(window))
        .execute(transaction.connection()?)
        .await?;
        transaction.commit().await
    }

    /// Seconds until another attempt may be made in `bucket`, where `allowed` failed in the last
    /// `window` seconds.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn attempt_wait(
        &self,
        bucket: &str,
        now: i64,
        window: i64,
        allowed: i64,
    ) -> Result<Option<i64>, StoreError> {
        let since: Option<i64> = sqlx::query_scalar(
            "SELECT since FROM failed_attempts \
             WHERE bucket = $1 AND failures >= $2 AND since > $3",
        )
        .bind(bucket)
        .bind(allowed)
        .bind(now.saturating_sub(window))
        .fetch_optional(&self.pool)
        .await?;
        Ok(since.map(|since| since.saturating_add(window).saturating_sub(now).max(1)))
    }
}
