use thiserror::Error;

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
    /// It is bound to a client certificate that was not shown (RFC 8705 section 4).
    #[error("refresh token of another client certificate")]
    Bound,
}

/// Why a store did not do what it was asked.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The grant is refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The database failed.
    #[error("store: {0}")]
    Database(sqlx::Error),
    /// The database has no room left.
    #[error("store: no room left: {0}")]
    Full(String),
    /// What was written with others at once was not kept: writing one of them failed.
    #[error("store: not written: {0}")]
    NotWritten(String),
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

impl Refusal {
    /// A stable identifier for logs, metrics and documentation.
    pub fn code(&self) -> &'static str {
        match self {
            Refusal::Unknown => "grant_unknown",
            Refusal::Expired => "grant_expired",
            Refusal::Redeemed => "grant_redeemed",
            Refusal::Replayed => "grant_replayed",
            Refusal::Revoked => "grant_revoked",
            Refusal::Bound => "grant_bound",
        }
    }
}

impl StoreError {
    /// A stable identifier for logs, metrics and documentation.
    pub fn code(&self) -> &'static str {
        match self {
            StoreError::Refused(refusal) => refusal.code(),
            StoreError::Database(_) | StoreError::NotWritten(_) => "store_database",
            StoreError::Full(_) => "store_full",
            StoreError::File { .. } => "store_file",
            StoreError::Column(_) => "store_column",
            StoreError::Newer { .. } => "store_newer",
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        // SQLITE_FULL; PostgreSQL's disk_full.
        let full = error
            .as_database_error()
            .and_then(|error| error.code())
            .is_some_and(|code| code == "13" || code == "53100");
        if full {
            StoreError::Full(error.to_string())
        } else {
            StoreError::Database(error)
        }
    }
}
