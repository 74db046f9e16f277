use sqlx::AnyConnection;
use sqlx::Connection as _;

use super::StoreError;

/// Each entry leads from its index to the next version. Entries are added, never changed. They
/// are written for SQLite; [`Dialect::translate`] says what PostgreSQL calls the same.
const MIGRATIONS: [&str; 3] = [
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
",
    "
CREATE TABLE revoked_tokens (
    jti TEXT PRIMARY KEY,
    revoked_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX revoked_tokens_expiry ON revoked_tokens (expires_at);
",
    "
ALTER TABLE refresh_families ADD COLUMN origin TEXT NOT NULL DEFAULT 'bootstrap';
ALTER TABLE refresh_families ADD COLUMN confirmation TEXT;
ALTER TABLE refresh_families ADD COLUMN ends_at INTEGER;
CREATE INDEX bootstrap_tokens_subject ON bootstrap_tokens (subject, created_at);
CREATE TABLE seen_tokens (
    token_hash BLOB PRIMARY KEY,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX seen_tokens_expiry ON seen_tokens (expires_at);
CREATE TABLE failed_attempts (
    bucket TEXT PRIMARY KEY,
    since INTEGER NOT NULL,
    failures INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX failed_attempts_since ON failed_attempts (since);
CREATE TABLE oidc_provider (
    id INTEGER PRIMARY KEY,
    issuer TEXT NOT NULL,
    client_id TEXT NOT NULL,
    generation INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE policy_versions (
    version TEXT PRIMARY KEY,
    sequence INTEGER NOT NULL,
    used_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX policy_versions_sequence ON policy_versions (sequence);
",
];

/// What a database calls things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// SQLite.
    Sqlite,
    /// PostgreSQL, and what speaks its protocol.
    Postgres,
}

/// The version of this program's schema.
pub(super) fn known_version() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

/// The version of the database's schema; 0 where it has none yet.
pub(super) async fn version(
    connection: &mut AnyConnection,
    dialect: Dialect,
) -> Result<i64, StoreError> {
    if dialect == Dialect::Postgres {
        let there: Option<String> =
            sqlx::query_scalar("SELECT CAST(to_regclass('tokensmith_schema') AS TEXT)")
                .fetch_one(&mut *connection)
                .await?;
        if there.is_none() {
            return Ok(0);
        }
    }
    let found: Option<i64> = sqlx::query_scalar(match dialect {
        Dialect::Sqlite => "PRAGMA user_version",
        Dialect::Postgres => "SELECT MAX(version) FROM tokensmith_schema",
    })
    .fetch_one(connection)
    .await?;
    Ok(found.unwrap_or(0))
}

/// Brings the database to this program's schema; processes that start at once take turns.
pub(super) async fn migrate(
    connection: &mut AnyConnection,
    dialect: Dialect,
) -> Result<(), StoreError> {
    let known = known_version();
    let mut transaction = match dialect {
        Dialect::Sqlite => connection.begin_with("BEGIN IMMEDIATE").await?,
        Dialect::Postgres => {
            let mut transaction = connection.begin().await?;
            // The number is this program's own among those who share the database.
            sqlx::raw_sql(
                "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '60s';
                 SELECT pg_advisory_xact_lock(6074013948);
                 CREATE TABLE IF NOT EXISTS tokensmith_schema (version BIGINT NOT NULL);",
            )
            .execute(&mut *transaction)
            .await?;
            transaction
        }
    };
    let found = version(&mut transaction, dialect).await?;
    if found > known {
        return Err(StoreError::Newer { found, known });
    }
    for (migration, version) in MIGRATIONS.iter().zip(1i64..) {
        if version <= found {
            continue;
        }
        let statements = dialect.translate(migration);
        let noted = match dialect {
            Dialect::Sqlite => format!("PRAGMA user_version = {version};"),
            Dialect::Postgres => format!("INSERT INTO tokensmith_schema VALUES ({version});"),
        };
        sqlx::raw_sql(sqlx::AssertSqlSafe(statements + &noted))
            .execute(&mut *transaction)
            .await?;
    }
    transaction.commit().await?;
    Ok(())
}

impl Dialect {
    fn translate(self, migration: &str) -> String {
        match self {
            Dialect::Sqlite => migration.to_owned(),
            Dialect::Postgres => migration
                .replace(" BLOB", " BYTEA")
                .replace(" INTEGER", " BIGINT")
                .replace(") STRICT, WITHOUT ROWID;", ");"),
        }
    }
}
