//! Bootstrap tokens, refresh families and revoked tokens, in SQLite or PostgreSQL through one set
//! of statements. Only digests of secrets are stored.

mod attempts;
mod batch;
mod bootstrap;
mod check;
mod error;
mod family;
mod import;
mod location;
mod oidc_provider;
mod policy_sequence;
mod purge;
mod refresh;
mod revocation;
mod schema;
mod seen;
mod transaction;

use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AnyConnection, AnyPool, ConnectOptions as _, Connection as _};

use batch::Batch;
use transaction::Transaction;

use crate::private_file;

pub use bootstrap::NewBootstrapToken;
pub use check::StoreCheck;
pub use error::{Refusal, StoreError};
pub use family::{Family, FamilyOrigin, NewRefreshToken};
pub use location::StoreLocation;
pub use oidc_provider::StoredOidcProvider;
pub use revocation::{RefreshRecord, RevokedFamily};

/// Longest time to get a connection: callers hear soon that the database does not answer.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
/// A connection that was not used for longer is tried before it is.
const TRY_AFTER: Duration = Duration::from_secs(1);

/// The SHA-256 digest of an opaque token, the only form in which a store has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpaqueDigest([u8; 32]);

/// An open store.
#[derive(Clone, Debug)]
pub struct Store {
    pool: AnyPool,
    /// Where there is one writer at a time, its turn. PostgreSQL has many.
    batch: Option<Arc<Batch>>,
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

impl From<[u8; 32]> for OpaqueDigest {
    /// A digest that was made elsewhere.
    fn from(digest: [u8; 32]) -> Self {
        Self(digest)
    }
}

impl Store {
    /// Opens a store and makes what is missing: the SQLite file, the tables.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn open(location: &StoreLocation) -> Result<Self, StoreError> {
        sqlx::any::install_default_drivers();
        match location {
            StoreLocation::Sqlite(path) => Self::open_sqlite(path).await,
            StoreLocation::Postgres(url) => Self::open_postgres(url.as_str()).await,
        }
    }

    async fn open_sqlite(path: &Path) -> Result<Self, StoreError> {
        if let Some(folder) = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())
        {
            std::fs::create_dir_all(folder).map_err(unusable(folder))?;
        }
        // SQLite would make it readable by everyone; its other files take this one's mode.
        let file = std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(path)
            .map_err(unusable(path))?;
        if file.metadata().map_err(unusable(path))?.len() == 0 {
            // What root makes beforehand would otherwise keep the service out.
            private_file::give_to_folder_owner(&file, path).map_err(unusable(path))?;
        }
        let path = std::path::absolute(path).map_err(unusable(path))?;
        let url = SqliteConnectOptions::new().filename(path).to_url_lossy();
        let options = AnyConnectOptions::from_url(&url)?;
        let mut writer = AnyConnection::connect_with(&options).await?;
        prepare_sqlite(&mut writer).await?;
        schema::migrate(&mut writer, schema::Dialect::Sqlite).await?;
        let pool = AnyPoolOptions::new()
            .max_connections(4)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .test_before_acquire(false)
            .after_connect(|connection, _| Box::pin(prepare_sqlite(connection)))
            .connect_with(options)
            .await?;
        Ok(Self {
            pool,
            batch: Some(Batch::start(writer)),
        })
    }

    async fn open_postgres(url: &str) -> Result<Self, StoreError> {
        let options = url.parse::<AnyConnectOptions>()?;
        let pool = AnyPoolOptions::new()
            .max_connections(16)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .test_before_acquire(false)
            .before_acquire(|connection, state| {
                Box::pin(async move {
                    Ok(state.idle_for < TRY_AFTER || connection.ping().await.is_ok())
                })
            })
            .after_connect(|connection, _| Box::pin(prepare_postgres(connection)))
            .connect_with(options)
            .await?;
        let mut connection = pool.acquire().await?;
        schema::migrate(&mut connection, schema::Dialect::Postgres).await?;
        drop(connection);
        Ok(Self { pool, batch: None })
    }

    /// Whether other processes issue tokens from it too.
    pub fn is_shared(&self) -> bool {
        self.batch.is_none()
    }

    /// Has `work` done before what was written is kept, once for all that is written at once.
    /// Says whether it will be: a database with many writers keeps what each has written alone.
    pub async fn before_commit(
        &self,
        work: impl Fn() -> Result<(), String> + Send + Sync + 'static,
    ) -> bool {
        match &self.batch {
            Some(batch) => {
                batch.before_commit(Arc::new(work)).await;
                true
            }
            None => false,
        }
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT 1").execute(&self.pool).await?;
        match &self.batch {
            Some(batch) => batch.ping().await,
            None => Ok(()),
        }
    }

    /// Waits for running statements and closes the connections.
    pub async fn close(&self) {
        if let Some(batch) = &self.batch {
            batch.close().await;
        }
        self.pool.close().await;
    }

    /// Begins what is done as a whole or not at all.
    async fn begin(&self) -> Result<Transaction, StoreError> {
        match &self.batch {
            Some(batch) => Ok(Transaction::Turn(batch.turn().await?)),
            None => {
                // A caller that goes away while it begins would leave it begun in the pool.
                let pool = self.pool.clone();
                let begun = tokio::spawn(async move { pool.begin().await }).await;
                let begun = begun.map_err(|error| StoreError::NotWritten(error.to_string()))?;
                Ok(Transaction::Own(begun?))
            }
        }
    }
}

async fn prepare_sqlite(connection: &mut AnyConnection) -> Result<(), sqlx::Error> {
    // An answer may leave only when what it rests on survives a power cut: FULL. Copying the log
    // back holds everybody up, so it is done often, a few pages at a time.
    sqlx::raw_sql(
        "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
         PRAGMA foreign_keys = ON; PRAGMA wal_autocheckpoint = 200;",
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn prepare_postgres(connection: &mut AnyConnection) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(
        "SET statement_timeout = '10s'; SET lock_timeout = '5s'; \
         SET idle_in_transaction_session_timeout = '10s';",
    )
    .execute(connection)
    .await?;
    Ok(())
}

fn unusable(path: &Path) -> impl Fn(std::io::Error) -> StoreError + use<> {
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
