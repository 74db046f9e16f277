//! One writer for a database that allows one: what waits while the disk is written is written with
//! the next turn of the disk, all of it at once. Callers hear of success only after that.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use sqlx::AnyConnection;
use sqlx::Connection as _;
use tokio::sync::{Mutex, Notify, OwnedMutexGuard, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::StoreError;

/// The longest wait for a turn.
const PATIENCE: Duration = Duration::from_secs(3);

/// The writing connection and what it has not committed yet.
pub(super) struct Batch {
    writer: Arc<Mutex<Writer>>,
    changed: Arc<Notify>,
    committing: std::sync::Mutex<Option<JoinHandle<()>>>,
}

/// What has to be on the disk before a commit, such as the lines of a log about it.
pub(super) type BeforeCommit = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

struct Writer {
    connection: Option<AnyConnection>,
    /// A transaction was begun.
    open: bool,
    /// A turn has begun and not ended; when nobody has it any more, it was given up.
    in_turn: bool,
    /// Who waits for the commit.
    waiting: Vec<oneshot::Sender<Result<(), Lost>>>,
    before_commit: Option<BeforeCommit>,
}

/// Why nothing of a batch was kept.
#[derive(Clone, Debug)]
struct Lost {
    full: bool,
    reason: String,
}

/// One caller's turn, a savepoint of its own: others' failures are not its failures.
pub(super) struct Turn {
    writer: OwnedMutexGuard<Writer>,
    changed: Arc<Notify>,
}

impl fmt::Debug for Batch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Batch").finish_non_exhaustive()
    }
}

impl Batch {
    /// Takes over a connection.
    pub(super) fn start(connection: AnyConnection) -> Arc<Self> {
        let writer = Arc::new(Mutex::new(Writer {
            connection: Some(connection),
            open: false,
            in_turn: false,
            waiting: Vec::new(),
            before_commit: None,
        }));
        let changed = Arc::new(Notify::new());
        let task = tokio::spawn(commit_what_comes(Arc::clone(&writer), Arc::clone(&changed)));
        Arc::new(Self {
            writer,
            changed,
            committing: std::sync::Mutex::new(Some(task)),
        })
    }

    /// Waits for the caller's turn. First come, first served.
    ///
    /// # Errors
    /// [`StoreError::NotWritten`] when it does not come soon: what has not begun is not begun
    /// late, when its caller may have gone and come again.
    pub(super) async fn turn(&self) -> Result<Turn, StoreError> {
        let mut turn = Turn {
            writer: self.writer().await?,
            changed: Arc::clone(&self.changed),
        };
        to_the_end(async move {
            turn.writer.begin_turn().await?;
            Ok(turn)
        })
        .await
    }

    /// Whether the writing connection answers.
    pub(super) async fn ping(&self) -> Result<(), StoreError> {
        let mut writer = self.writer().await?;
        to_the_end(async move { writer.run("SELECT 1").await }).await
    }

    /// Has `work` done before each commit, by a thread that may wait for a disk.
    pub(super) async fn before_commit(&self, work: BeforeCommit) {
        self.writer.lock().await.before_commit = Some(work);
    }

    /// Commits what is open and closes the connection.
    pub(super) async fn close(&self) {
        let mut writer = self.writer.lock().await;
        writer.commit().await;
        let connection = writer.connection.take();
        let task = {
            let mut committing = self
                .committing
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            committing.take()
        };
        if let Some(task) = task {
            task.abort();
        }
        if let Some(connection) = connection
            && let Err(error) = connection.close().await
        {
            tracing::warn!(%error, "cannot close the store");
        }
    }
}

impl Batch {
    async fn writer(&self) -> Result<OwnedMutexGuard<Writer>, StoreError> {
        timeout(PATIENCE, Arc::clone(&self.writer).lock_owned())
            .await
            .map_err(|_| StoreError::NotWritten("others have been writing too long".to_owned()))
    }
}

impl Turn {
    /// Where its statements go.
    pub(super) fn connection(&mut self) -> Result<&mut AnyConnection, StoreError> {
        self.writer.connection.as_mut().ok_or_else(closed)
    }

    /// Ends when the disk has it.
    pub(super) async fn commit(mut self) -> Result<(), StoreError> {
        let committed = to_the_end(async move {
            self.writer.run("RELEASE turn").await?;
            self.writer.in_turn = false;
            let (sender, committed) = oneshot::channel();
            self.writer.waiting.push(sender);
            // The next one's turn, and the committer's after all who wait already.
            drop(self);
            Ok(committed)
        })
        .await?;
        match committed.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(Lost { full: true, reason })) => Err(StoreError::Full(reason)),
            Ok(Err(Lost { reason, .. })) => Err(StoreError::NotWritten(reason)),
            Err(_) => Err(closed()),
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.changed.notify_one();
    }
}

impl Writer {
    async fn begin_turn(&mut self) -> Result<(), StoreError> {
        self.give_up_turn().await;
        if !self.open {
            self.open = true;
            if let Err(error) = self.run("BEGIN IMMEDIATE").await {
                self.abandon(&error).await;
                return Err(error);
            }
        }
        self.in_turn = true;
        if let Err(error) = self.run("SAVEPOINT turn").await {
            self.abandon(&error).await;
            return Err(error);
        }
        Ok(())
    }

    /// Undoes a turn that was not committed.
    async fn give_up_turn(&mut self) {
        if !std::mem::take(&mut self.in_turn) || !self.open {
            return;
        }
        let undone = match self.run("ROLLBACK TO turn").await {
            Ok(()) => self.run("RELEASE turn").await,
            Err(error) => Err(error),
        };
        if let Err(error) = undone {
            // The database gave up the whole transaction, as it does when the disk is full.
            self.abandon(&error).await;
        }
    }

    /// Gives up all that is not committed.
    async fn abandon(&mut self, error: &StoreError) {
        // It fails where the database has done it already.
        drop(self.run("ROLLBACK").await);
        self.open = false;
        self.in_turn = false;
        self.answer(&Err(Lost {
            full: matches!(error, StoreError::Full(_)),
            reason: match error {
                StoreError::Full(reason) | StoreError::NotWritten(reason) => reason.clone(),
                other => other.to_string(),
            },
        }));
    }

    async fn commit(&mut self) {
        self.give_up_turn().await;
        if !self.open {
            return;
        }
        let committed = match self.prepare().await {
            Ok(()) => self.run("COMMIT").await,
            Err(reason) => Err(StoreError::NotWritten(reason)),
        };
        match committed {
            Ok(()) => {
                self.open = false;
                self.answer(&Ok(()));
            }
            Err(error) => self.abandon(&error).await,
        }
    }

    async fn prepare(&mut self) -> Result<(), String> {
        match &self.before_commit {
            Some(work) if !self.waiting.is_empty() => {
                let work = Arc::clone(work);
                let done = tokio::task::spawn_blocking(move || work()).await;
                done.unwrap_or_else(|error| Err(error.to_string()))
            }
            _ => Ok(()),
        }
    }

    fn answer(&mut self, outcome: &Result<(), Lost>) {
        for waiting in self.waiting.drain(..) {
            // Who went away does not want to know.
            drop(waiting.send(outcome.clone()));
        }
    }

    async fn run(&mut self, statement: &'static str) -> Result<(), StoreError> {
        let connection = self.connection.as_mut().ok_or_else(closed)?;
        sqlx::query(statement).execute(connection).await?;
        Ok(())
    }
}

/// Several statements that belong together: a caller that goes away between two of them must not
/// leave the connection between them.
async fn to_the_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
) -> Result<T, StoreError> {
    match tokio::spawn(work).await {
        Ok(done) => done,
        Err(error) => Err(StoreError::NotWritten(error.to_string())),
    }
}

async fn commit_what_comes(writer: Arc<Mutex<Writer>>, changed: Arc<Notify>) {
    loop {
        changed.notified().await;
        // Those who wait for their turn already have it before: their work is in this commit.
        writer.lock().await.commit().await;
    }
}

fn closed() -> StoreError {
    StoreError::NotWritten("the store is closed".to_owned())
}
