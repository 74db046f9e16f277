use super::{Store, StoreError};

/// The provider that was configured while the service ran.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredOidcProvider {
    /// Its issuer.
    pub issuer: String,
    /// The client its tokens are issued to.
    pub client_id: String,
    /// Grows with each change.
    pub generation: i64,
}

impl Store {
    /// The provider configured last; nothing where none ever was.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn oidc_provider(&self) -> Result<Option<StoredOidcProvider>, StoreError> {
        let row: Option<(String, String, i64)> =
            sqlx::query_as("SELECT issuer, client_id, generation FROM oidc_provider WHERE id = 1")
                .fetch_optional(&self.pool)
                .await?;
        Ok(
            row.map(|(issuer, client_id, generation)| StoredOidcProvider {
                issuer,
                client_id,
                generation,
            }),
        )
    }

    /// Stores a provider in place of the one of `expected_generation`, 0 for none. Answers with
    /// the new generation; nothing when another change came first. `record` is told when none
    /// did; when it fails nothing changes.
    ///
    /// # Errors
    /// [`StoreError::Database`], and what `record` returns.
    pub async fn set_oidc_provider<E: From<StoreError>>(
        &self,
        issuer: &str,
        client_id: &str,
        expected_generation: i64,
        now: i64,
        record: impl FnOnce() -> Result<(), E>,
    ) -> Result<Option<i64>, E> {
        let mut transaction = self.begin().await?;
        let next = expected_generation.saturating_add(1);
        let done = sqlx::query(
            "INSERT INTO oidc_provider (id, issuer, client_id, generation, updated_at) \
             VALUES (1, $1, $2, $3, $4) \
             ON CONFLICT (id) DO UPDATE SET issuer = $1, client_id = $2, generation = $3, \
             updated_at = $4 WHERE oidc_provider.generation = $5",
        )
        .bind(issuer)
        .bind(client_id)
        .bind(next)
        .bind(now)
        .bind(expected_generation)
        .execute(transaction.connection()?)
        .await
        .map_err(StoreError::from)?;
        let changed = done.rows_affected() == 1;
        if changed {
            record()?;
        }
        transaction.commit().await?;
        Ok(changed.then_some(next))
    }
}
