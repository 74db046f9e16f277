use std::time::Duration;

use super::{Store, StoreError};

/// Rows removed at once: others get their turn between.
const AT_ONCE: u64 = 100;
/// Pause between them: tidying up never is in a hurry.
const PAUSE: Duration = Duration::from_millis(5);

/// Each statement removes rows that ended before $1, at most [`AT_ONCE`].
const STATEMENTS: [&str; 6] = [
    // The newest of each subject stays: it says what a service is granted for its certificate.
    "DELETE FROM bootstrap_tokens WHERE token_hash IN \
     (SELECT token_hash FROM bootstrap_tokens AS old WHERE expires_at < $1 AND EXISTS \
     (SELECT 1 FROM bootstrap_tokens AS newer WHERE newer.subject = old.subject \
     AND (newer.created_at > old.created_at OR \
     (newer.created_at = old.created_at AND newer.token_hash > old.token_hash))) LIMIT 100)",
    "DELETE FROM refresh_tokens WHERE token_hash IN \
     (SELECT token_hash FROM refresh_tokens WHERE expires_at < $1 LIMIT 100)",
    "DELETE FROM refresh_families WHERE id IN \
     (SELECT id FROM refresh_families WHERE expires_at < $1 LIMIT 100)",
    "DELETE FROM revoked_tokens WHERE jti IN \
     (SELECT jti FROM revoked_tokens WHERE expires_at < $1 LIMIT 100)",
    "DELETE FROM seen_tokens WHERE token_hash IN \
     (SELECT token_hash FROM seen_tokens WHERE expires_at < $1 LIMIT 100)",
    "DELETE FROM failed_attempts WHERE bucket IN \
     (SELECT bucket FROM failed_attempts WHERE since < $1 LIMIT 100)",
];

impl Store {
    /// Removes what ended before `before` (Unix seconds): it could only be refused.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn purge(&self, before: i64) -> Result<u64, StoreError> {
        let mut removed = 0;
        for statement in STATEMENTS {
            loop {
                let done = self.purge_some(statement, before).await?;
                removed += done;
                if done < AT_ONCE {
                    break;
                }
                tokio::time::sleep(PAUSE).await;
            }
        }
        Ok(removed)
    }

    async fn purge_some(&self, statement: &'static str, before: i64) -> Result<u64, StoreError> {
        let mut transaction = self.begin().await?;
        let done = sqlx::query(statement)
            .bind(before)
            .execute(transaction.connection()?)
            .await?;
        transaction.commit().await?;
        Ok(done.rows_affected())
    }
}
