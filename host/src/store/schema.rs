use sqlx::sqlite::SqlitePool;

use super::StoreError;

/// Each entry leads from its index to the next version, and says so. Entries are added, never
/// changed.
const MIGRATIONS: [&str; 2] = [
    "
CREATE TABLE bootstrap_tokens (
    token_hash BLOB PRIMARY KEY,
    subject TEXT NOT NULL,
    audience TEXT NOT NULL,
    scopes TEXT NOT NULL,
    roles TEXT NOT NULL,
    binding_identifier TEXT,
    refresh_ttl INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    redeemed_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX bootstrap_tokens_expiry ON bootstrap_tokens (expires_at);
CREATE TABLE refresh_families (
    id TEXT PRIMARY KEY,
    subject TEXT NOT NULL,
    audience TEXT NOT NULL,
    scopes TEXT NOT NULL,
    roles TEXT NOT NULL,
    refresh_ttl INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    revoked_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX refresh_families_expiry ON refresh_families (expires_at);
CREATE TABLE refresh_tokens (
    token_hash BLOB PRIMARY KEY,
    family_id TEXT NOT NULL REFERENCES refresh_families (id) ON DELETE CASCADE,
    issued_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    used_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX refresh_tokens_family ON refresh_tokens (family_id);
CREATE INDEX refresh_tokens_expiry ON refresh_tokens (expires_at);
PRAGMA user_version = 1;
",
    "
CREATE TABLE revoked_tokens (
    jti TEXT PRIMARY KEY,
    revoked_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX revoked_tokens_expiry ON revoked_tokens (expires_at);
PRAGMA user_version = 2;
",
];

/// Brings the database to this program's schema; processes that start at once take turns.
pub(super) async fn migrate(pool: &SqlitePool) -> Result<(), StoreError> {
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
    let found: i64 = sqlx::query_scalar("PRAGMA user_version")
        .fetch_one(&mut *transaction)
        .await?;
    if found > known {
        return Err(StoreError::Newer { found, known });
    }
    for migration in MIGRATIONS.iter().skip(usize::try_from(found).unwrap_or(0)) {
        sqlx::raw_sql(*migration).execute(&mut *transaction).await?;
    }
    transaction.commit().await?;
    Ok(())
}
