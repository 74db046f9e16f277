use std::fmt;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::{Value, json};
use sqlx::sqlite::{SqliteConnectOptions, SqliteSynchronous};
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, QueryBuilder, Sqlite, SqliteConnection,
};
use tokensmith::store::{Family, FamilyOrigin, OpaqueDigest, Store, StoreError, StoreLocation};
use tokensmith_engine::jose::encode_base64url;
use tokensmith_tests::tokens::now;
use tokio::runtime::Runtime;

use crate::bootstrap;

/// Rows in one transaction.
const AT_ONCE: usize = 20_000;
/// Rows in one statement.
const IN_STATEMENT: usize = 1000;
/// Longer ago than the service keeps what has ended.
const ENDED_AGO: i64 = 30 * 24 * 3600;

/// A SQLite store with many rows: copies of what the store itself wrote, so that they are what
/// this version's rows are.
pub(super) struct FilledStore {
    path: PathBuf,
}

/// How large a store is, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    file: u64,
    log: u64,
    free: u64,
}

/// The refresh token of a family by its number.
pub(super) fn refresh_token(number: usize) -> String {
    format!("soak-refresh-token-{number:024}")
}

/// A bootstrap token by its number.
pub(super) fn bootstrap_token(number: usize) -> String {
    format!("soak-bootstrap-token-{number:022}")
}

impl FilledStore {
    /// Makes one with `families` that can be used, `ended` that ended a month ago, and
    /// `bootstrap` bootstrap tokens.
    pub(super) fn make(path: &Path, families: usize, ended: usize, bootstrap: usize) -> Self {
        runtime().block_on(async {
            write_one_of_each(path).await;
            let options = SqliteConnectOptions::new()
                .filename(path)
                .synchronous(SqliteSynchronous::Off)
                .pragma("cache_size", "-400000");
            let mut connection = options.connect().await.unwrap();
            keep_as_models(&mut connection).await;
            let tables = [FAMILIES, REFRESH_TOKENS];
            copy(&mut connection, &tables, (0..families).map(refresh_token)).await;
            let tokens = (0..bootstrap).map(bootstrap_token);
            copy(&mut connection, &[BOOTSTRAP_TOKENS], tokens).await;
            end_models(&mut connection).await;
            let tokens = (0..ended).map(|number| format!("ended-{number}"));
            copy(&mut connection, &tables, tokens).await;
            run(&mut connection, "PRAGMA wal_checkpoint(TRUNCATE)").await;
            connection.close().await.unwrap();
        });
        Self {
            path: path.to_owned(),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn size(&self) -> Size {
        let length = |path: &Path| std::fs::metadata(path).map_or(0, |file| file.len());
        let mut log = self.path.clone().into_os_string();
        log.push("-wal");
        let free = runtime().block_on(async {
            let mut connection = open_to_read(&self.path).await;
            let pages = number(&mut connection, "PRAGMA freelist_count").await;
            let bytes = number(&mut connection, "PRAGMA page_size").await;
            connection.close().await.unwrap();
            pages * bytes
        });
        Size {
            file: length(&self.path),
            log: length(Path::new(&log)),
            free: u64::try_from(free).unwrap(),
        }
    }
}

impl Size {
    pub(super) fn json(&self) -> Value {
        json!({"file_bytes": self.file, "log_bytes": self.log, "free_bytes": self.free})
    }
}

impl fmt::Display for Size {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let megabytes = |bytes: u64| bytes as f64 / 1e6;
        write!(
            formatter,
            "{:.1} MB, of them {:.1} MB free for new rows, and {:.1} MB of write-ahead log",
            megabytes(self.file),
            megabytes(self.free),
            megabytes(self.log)
        )
    }
}

/// A runtime for a few statements.
pub(super) fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

/// A connection that changes nothing.
pub(super) async fn open_to_read(path: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(path).read_only(true);
    options.connect().await.unwrap()
}

/// Whether a family is there that ended a month ago.
pub(super) async fn has_ended(connection: &mut SqliteConnection) -> bool {
    let statement = "SELECT EXISTS (SELECT 1 FROM refresh_families WHERE expires_at < ?)";
    let found: i64 = sqlx::query_scalar(statement)
        .bind(now() - ENDED_AGO / 2)
        .fetch_one(connection)
        .await
        .unwrap();
    found != 0
}

/// A table, and the columns that each copy has of its own.
#[derive(Clone, Copy)]
struct Table {
    name: &'static str,
    own: &'static [(&'static str, &'static str)],
}

const FAMILIES: Table = Table {
    name: "refresh_families",
    own: &[("id", "made.id")],
};
const REFRESH_TOKENS: Table = Table {
    name: "refresh_tokens",
    own: &[("token_hash", "made.digest"), ("family_id", "made.id")],
};
const BOOTSTRAP_TOKENS: Table = Table {
    name: "bootstrap_tokens",
    own: &[("token_hash", "made.digest")],
};

async fn write_one_of_each(path: &Path) {
    let store = Store::open(&StoreLocation::Sqlite(path.to_owned()))
        .await
        .unwrap();
    let bootstrap = bootstrap::stored("model");
    store.create_bootstrap(&bootstrap).await.unwrap();
    let family = Family {
        id: "model".to_owned(),
        origin: FamilyOrigin::Bootstrap,
        grant: bootstrap.grant,
        refresh_ttl: bootstrap.refresh_ttl,
        confirmation: None,
        ends_at: None,
    };
    let record = || Ok::<(), StoreError>(());
    store
        .start_family(&family, &OpaqueDigest::of("model"), now(), record)
        .await
        .unwrap();
    store.close().await;
}

async fn keep_as_models(connection: &mut SqliteConnection) {
    run(connection, "CREATE TEMP TABLE made (id TEXT, digest BLOB)").await;
    for Table { name, .. } in [FAMILIES, REFRESH_TOKENS, BOOTSTRAP_TOKENS] {
        let statement = format!("CREATE TEMP TABLE model_{name} AS SELECT * FROM {name}");
        run(connection, &statement).await;
    }
}

async fn end_models(connection: &mut SqliteConnection) {
    let end = now() - ENDED_AGO;
    for Table { name, .. } in [FAMILIES, REFRESH_TOKENS] {
        let statement = format!("UPDATE model_{name} SET expires_at = {end}");
        run(connection, &statement).await;
    }
}

/// Copies the model of each table for each of `tokens`.
async fn copy(
    connection: &mut SqliteConnection,
    tables: &[Table],
    tokens: impl Iterator<Item = String>,
) {
    let mut statements = Vec::new();
    for table in tables {
        statements.push(table.copy_statement(connection).await);
    }
    let tokens: Vec<String> = tokens.collect();
    for batch in tokens.chunks(AT_ONCE) {
        let mut transaction = connection.begin().await.unwrap();
        run(&mut transaction, "DELETE FROM made").await;
        for some in batch.chunks(IN_STATEMENT) {
            let mut insert = QueryBuilder::<Sqlite>::new("INSERT INTO made (id, digest) ");
            insert.push_values(some, |mut row, token| {
                let digest = digest(&SHA256, token.as_bytes()).as_ref().to_vec();
                let id = encode_base64url(&digest[..16]);
                row.push_bind(id).push_bind(digest);
            });
            insert.build().execute(&mut *transaction).await.unwrap();
        }
        for statement in &statements {
            run(&mut transaction, statement).await;
        }
        transaction.commit().await.unwrap();
    }
}

impl Table {
    /// One that copies the model for each row of `made`, whatever columns there are.
    async fn copy_statement(&self, connection: &mut SqliteConnection) -> String {
        let name = self.name;
        let columns: Vec<String> = sqlx::query_scalar("SELECT name FROM pragma_table_info(?)")
            .bind(name)
            .fetch_all(connection)
            .await
            .unwrap();
        let values: Vec<String> = columns
            .iter()
            .map(|column| {
                let own = self.own.iter().find(|(own, _)| own == column);
                own.map_or_else(
                    || format!("model_{name}.{column}"),
                    |(_, value)| (*value).to_owned(),
                )
            })
            .collect();
        format!(
            "INSERT INTO main.{name} ({}) SELECT {} FROM made, model_{name}",
            columns.join(", "),
            values.join(", ")
        )
    }
}

async fn run(connection: &mut SqliteConnection, statement: &str) {
    // Its parts are constants of this file and names that the schema gave.
    sqlx::raw_sql(AssertSqlSafe(statement.to_owned()))
        .execute(connection)
        .await
        .unwrap();
}

async fn number(connection: &mut SqliteConnection, statement: &'static str) -> i64 {
    sqlx::query_scalar(statement)
        .fetch_one(connection)
        .await
        .unwrap()
}
