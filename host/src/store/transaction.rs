use sqlx::{Any, AnyConnection};

use super::StoreError;
use super::batch::Turn;

/// What is done as a whole, or not at all when it is dropped.
pub(super) enum Transaction {
    /// Alone on a connection.
    Own(sqlx::Transaction<'static, Any>),
    /// With others, one after the other.
    Turn(Turn),
}

impl Transaction {
    /// Where its statements go.
    pub(super) fn connection(&mut self) -> Result<&mut AnyConnection, StoreError> {
        match self {
            Transaction::Own(transaction) => Ok(transaction),
            Transaction::Turn(turn) => turn.connection(),
        }
    }

    /// Ends when it is kept for good.
    pub(super) async fn commit(self) -> Result<(), StoreError> {
        match self {
            Transaction::Own(transaction) => Ok(transaction.commit().await?),
            Transaction::Turn(turn) => turn.commit().await,
        }
    }
}
