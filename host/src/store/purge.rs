use super::{Store, StoreError};

/// Rows removed at once: others get their turn between.
const AT_ONCE: i64 = 500;

/// Table, key, and the column that says when a row has ended.
const TABLES: [(&str, &str, &str); 6] = [
    ("bootstrap_tokens", "token_hash", "expires_at"),
    ("refresh_tokens", "token_hash", "expires_at"),
    ("refresh_families", "id", "expires_at"),
    ("revoked_tokens", "jti", "expires_at"),
    ("seen_tokens", "token_hash", "expires_at"),
    ("failed_attempts", "bucket", "since"),
];

impl Store {
    /// Removes what ended before `before` (Unix seconds): it could only be refused.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn purge(&self, before: i64) -> Result<u64, StoreError> {
        let mut removed = 0;
        for (table, key, end) in TABLES {
            loop {
                let done = self.purge_some(table, key, end, before).await?;
                removed += done;
                if done < AT_ONCE.unsigned_abs() {
                    break;
                }
            }
        }
        Ok(removed)
    }

    async fn purge_some(
        &self,
        table: &'static str,
        key: &'static str,
        end: &'static str,
        before: i64,
    ) -> Result<u64, StoreError> {
        let statement = format!(
            "DELETE FROM {table} WHERE {key} IN \
             (SELECT {key} FROM {table} WHERE {end} < $1 LIMIT {AT_ONCE})"
        );
        let mut transaction = self.begin().await?;
        // Its parts are constants of this file.
        let done = sqlx::query(sqlx::AssertSqlSafe(statement))
            .bind(before)
            .execute(transaction.connection()?)
            .await?;
        transaction.commit().await?;
        Ok(done.rows_affected())
    }
}
