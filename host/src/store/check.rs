use sqlx::any::AnyConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AnyConnection, ConnectOptions as _, Connection as _};

use super::schema::{self, Dialect};
use super::{Store, StoreError, StoreLocation, unusable};

/// What a store is, without changing it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreCheck {
    /// The schema's version; 0 where there is none yet.
    pub version: i64,
    /// This program's.
    pub known: i64,
    /// Tables and how many rows they have.
    pub rows: Vec<(&'static str, i64)>,
    /// What is wrong with it.
    pub faults: Vec<String>,
}

/// Each table, the version that brought it, and how its rows are counted.
const TABLES: [(&str, i64, &str); 4] = [
    (
        "bootstrap_tokens",
        1,
        "SELECT COUNT(*) FROM bootstrap_tokens",
    ),
    (
        "refresh_families",
        1,
        "SELECT COUNT(*) FROM refresh_families",
    ),
    ("refresh_tokens", 1, "SELECT COUNT(*) FROM refresh_tokens"),
    ("revoked_tokens", 2, "SELECT COUNT(*) FROM revoked_tokens"),
];

impl Store {
    /// Looks whether a store is whole and of this version. Makes and changes nothing.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn check(location: &StoreLocation) -> Result<StoreCheck, StoreError> {
        sqlx::any::install_default_drivers();
        let (mut connection, dialect) = match location {
            StoreLocation::Sqlite(path) => {
                std::fs::metadata(path).map_err(unusable(path))?;
                let absolute = std::path::absolute(path).map_err(unusable(path))?;
                let url = SqliteConnectOptions::new()
                    .filename(absolute)
                    .to_url_lossy();
                let options = AnyConnectOptions::from_url(&url)?;
                let mut connection = AnyConnection::connect_with(&options).await?;
                sqlx::raw_sql("PRAGMA busy_timeout = 5000; PRAGMA query_only = ON;")
                    .execute(&mut connection)
                    .await?;
                (connection, Dialect::Sqlite)
            }
            StoreLocation::Postgres(url) => (
                AnyConnection::connect(url.as_str()).await?,
                Dialect::Postgres,
            ),
        };
        let found = look(&mut connection, dialect).await;
        connection.close().await?;
        found
    }
}

async fn look(connection: &mut AnyConnection, dialect: Dialect) -> Result<StoreCheck, StoreError> {
    let known = schema::known_version();
    let version = schema::version(connection, dialect).await?;
    if version > known {
        return Err(StoreError::Newer {
            found: version,
            known,
        });
    }
    let mut rows = Vec::new();
    for (table, since, statement) in TABLES {
        if since <= version {
            let count: i64 = sqlx::query_scalar(statement)
                .fetch_one(&mut *connection)
                .await?;
            rows.push((table, count));
        }
    }
    let mut faults = Vec::new();
    if dialect == Dialect::Sqlite {
        let told: Vec<String> = sqlx::query_scalar("PRAGMA integrity_check")
            .fetch_all(&mut *connection)
            .await?;
        faults.extend(told.into_iter().filter(|line| line != "ok"));
        let orphans: Vec<(String, String)> =
            sqlx::query_as("SELECT \"table\", \"parent\" FROM pragma_foreign_key_check")
                .fetch_all(&mut *connection)
                .await?;
        faults.extend(
            orphans
                .into_iter()
                .map(|(table, parent)| format!("a row of {table} has no {parent}")),
        );
    }
    Ok(StoreCheck {
        version,
        known,
        rows,
        faults,
    })
}
