use std::fmt;

use thiserror::Error;

/// Why nothing can be read.
#[derive(Debug, Error)]
pub enum StoreImportError {
    /// The store's folder or file cannot be read.
    #[error("cannot read token store `{path}`: {error}")]
    Read {
        /// The folder or file.
        path: String,
        /// Why.
        error: std::io::Error,
    },
    /// There are too many files.
    #[error("token store `{path}` has more than 100,000 records: move the oldest files away")]
    TooMany {
        /// The folder.
        path: String,
    },
}

/// What is wrong with a file. No message has a value of it, which may be secret.
#[derive(Debug, Error)]
pub enum RecordFault {
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    Read(std::io::Error),
    /// A pipe, a device or a socket.
    #[error("is not a file")]
    NotAFile,
    /// It is too large for a record.
    #[error("is larger than 256 KiB")]
    TooLarge,
    /// It is cut, or not JSON.
    #[error("is not JSON at line {line}, column {column}")]
    Json {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
    },
    /// It is JSON, but not an object.
    #[error("is not a JSON object")]
    NotAnObject,
    /// A member is missing.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// A member is not what it should be.
    #[error("`{member}` is not {expected}")]
    Member {
        /// Its name.
        member: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// A member is there as it is written now and as it was before.
    #[error("`{0}` is there in two spellings")]
    Spelled(&'static str),
    /// A member that no known release wrote: what it means for the record cannot be told.
    #[error("`{0}` is not a member of such a record")]
    Unknown(String),
    /// The file has another name than the Go release gives it, as a copy has.
    #[error("its record belongs into a file of another name: an old copy, perhaps")]
    Name,
    /// Another file has the same token.
    #[error("its token is in `{0}` too")]
    Twice(String),
}

/// Why a record contradicts the store. Each names the family.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ImportConflict {
    /// The family is there, without the token that the record says can be used.
    #[error(
        "refresh family `{0}` is in the store with other tokens: after an earlier import it was used in the old place; import into a new store"
    )]
    MovedOn(String),
    /// The token is there, in another family.
    #[error(
        "the token of refresh family `{0}` is in the store in another family: leave its file out"
    )]
    OtherFamily(String),
}

/// A file that is not imported.
#[derive(Debug)]
pub struct RefusedRecord {
    /// The file.
    pub file: String,
    /// The record's identifier, where it can be told.
    pub id: Option<String>,
    /// Why.
    pub fault: RecordFault,
}

impl StoreImportError {
    /// A stable identifier for logs, metrics and documentation.
    pub fn code(&self) -> &'static str {
        match self {
            StoreImportError::Read { .. } => "store_import_read",
            StoreImportError::TooMany { .. } => "store_import_count",
        }
    }
}

impl RecordFault {
    /// A stable identifier for logs, metrics and documentation.
    pub fn code(&self) -> &'static str {
        match self {
            RecordFault::Read(_) | RecordFault::NotAFile => "store_record_read",
            RecordFault::TooLarge => "store_record_size",
            RecordFault::Json { .. } | RecordFault::NotAnObject => "store_record_json",
            RecordFault::Missing(_)
            | RecordFault::Member { .. }
            | RecordFault::Spelled(_)
            | RecordFault::Unknown(_) => "store_record_member",
            RecordFault::Name => "store_record_name",
            RecordFault::Twice(_) => "store_record_twice",
        }
    }
}

impl ImportConflict {
    /// A stable identifier for logs, metrics and documentation.
    pub fn code(&self) -> &'static str {
        match self {
            ImportConflict::MovedOn(_) => "store_record_moved_on",
            ImportConflict::OtherFamily(_) => "store_record_other_family",
        }
    }
}

impl fmt::Display for RefusedRecord {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "`{}`", self.file)?;
        if let Some(id) = &self.id {
            write!(formatter, ", record `{id}`")?;
        }
        write!(formatter, ": {}", self.fault)
    }
}
