//! Bootstrap tokens, refresh families and revoked tokens in SQLite. Only digests of secrets are
//! stored.

mod bootstrap;
mod refresh;
mod revocation;
mod schema;

use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use thiserror::Error;

pub use bootstrap::NewBootstrapToken;
pub use refresh::NewRefreshToken;
pub use revocation::{RefreshRecord, RevokedFamily};

/// Where a store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreLocation {
    /// A SQLite file.
    Sqlite(PathBuf),
}

/// The SHA-256 digest of an opaque token, the only form in which a store has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpaqueDigest([u8; 32]);

/// Why a grant was refused. A caller is told only that it was.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Refusal {
    /// No such token.
    #[error("unknown token")]
    Unknown,
    /// Its time is over.
    #[error("expired token")]
    Expired,
    /// A bootstrap token was redeemed before.
    #[error("redeemed token")]
    Redeemed,
    /// A refresh token was used before; its family is revoked now.
    #[error("replayed refresh token, family revoked")]
    Replayed,
    /// Its family was revoked.
    #[error("revoked refresh family")]
    Revoked,
}

/// Why a store did not do what it was asked.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The grant is refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The database failed.
    #[error("store: {0}")]
    Database(#[from] sqlx::Error),
    /// The database's folder or file cannot be made or opened.
    #[error("cannot open store `{path}`: {error}")]
    File {
        /// The folder or file.
        path: String,
        /// Why.
        error: std::io::Error,
    },
    /// A row does not read back.
    #[error("store: column `{0}` does not read back")]
    Column(&'static str),
    /// The database was made by a newer version.
    #[error("the store has schema version {found}, this program knows {known}: upgrade it")]
    Newer {
        /// In the database.
        found: i64,
        /// Of this program.
        known: i64,
    },
}

/// An open store.
#[derive(Clone, Debug)]
pub struct Store {
    pool: SqlitePool,
}

impl Refusal {
    /// A stable identifier for logs, metrics and documentation.
    pub fn code(&self) -> &'static str {
        match self {
            Refusal::Unknown => "grant_unknown",
            Refusal::Expired => "grant_expired",
            Refusal::Redeemed => "grant_redeemed",
            Refusal::Replayed => "grant_replayed",
            Refusal::Revoked => "grant_revoked",
        }
    }
}

impl StoreError {
    /// A stable identifier for logs, metrics and documentation.
    pub fn code(&self) -> &'static str {
        match self {
            StoreError::Refused(refusal) => refusal.code(),
            StoreError::Database(_) => "store_database",
            StoreError::File { .. } => "store_file",
            StoreError::Column(_) => "store_column",
            StoreError::Newer { .. } => "store_newer",
        }
    }
}

impl OpaqueDigest {
    /// Digests `token`.
    pub fn of(token: &str) -> Self {
        Self(Sha256::digest(token.as_bytes()).into())
    }

    fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl StoreLocation {
    /// The SQLite file in a folder.
    pub fn in_folder(folder: &Path) -> Self {
        StoreLocation::Sqlite(folder.join("tokensmith.db"))
    }
}

impl FromStr for StoreLocation {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("sqlite", path)) if !path.is_empty() => Ok(StoreLocation::Sqlite(path.into())),
            _ => Err(format!("`{text}` is not a store: expected `sqlite:PATH`")),
        }
    }
}

impl Store {
    /// Opens a store and makes what is missing.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn open(location: &StoreLocation) -> Result<Self, StoreError> {
        let StoreLocation::Sqlite(path) = location;
        if let Some(folder) = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())
        {
            std::fs::create_dir_all(folder).map_err(unusable(folder))?;
        }
        // SQLite would make it readable by everyone; its other files take this one's mode.
        std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(path)
            .map_err(unusable(path))?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            // An answer may leave only when what it rests on survives a power cut.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(5))
            .foreign_keys(true);
        let pool = SqlitePoolOptions::new()
            .max_connections(4)
            .acquire_timeout(Duration::from_secs(5))
            .connect_with(options)
            .await?;
        schema::migrate(&pool).await?;
        Ok(Self { pool })
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT 1").execute(&self.pool).await?;
        Ok(())
    }

    /// Removes what ended before `before` (Unix seconds): it could only be refused.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn purge(&self, before: i64) -> Result<u64, StoreError> {
        let mut removed = 0;
        for statement in [
            "DELETE FROM bootstrap_tokens WHERE expires_at < ?",
            "DELETE FROM refresh_tokens WHERE expires_at < ?",
            "DELETE FROM refresh_families WHERE expires_at < ?",
            "DELETE FROM revoked_tokens WHERE expires_at < ?",
        ] {
            let done = sqlx::query(statement)
                .bind(before)
                .execute(&self.pool)
                .await?;
            removed += done.rows_affected();
        }
        Ok(removed)
    }

    /// Waits for running statements and closes the files.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

fn unusable(path: &Path) -> impl Fn(std::io::Error) -> StoreError {
    let path = path.display().to_string();
    move |error| StoreError::File {
        path: path.clone(),
        error,
    }
}

/// A list as it is stored, a JSON array.
fn encode_list(list: &[String]) -> String {
    serde_json::Value::from(list.to_vec()).to_string()
}

fn decode_list(column: &'static str, text: &str) -> Result<Vec<String>, StoreError> {
    serde_json::from_str(text).map_err(|_| StoreError::Column(column))
}
