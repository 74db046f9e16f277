use thiserror::Error;

/// Why a line was not written.
#[derive(Debug, Error)]
pub enum AuditError {
    /// The file cannot be opened, read or written.
    #[error("cannot read or write audit log `{path}`: {error}")]
    Io {
        /// The file.
        path: String,
        /// What the system said.
        error: std::io::Error,
    },
    /// The last line has no end: the system stopped while it was written.
    #[error(
        "audit log `{path}` ends within a line: keep a copy, then run `truncate -s {at} {path}`"
    )]
    Cut {
        /// The file.
        path: String,
        /// Where the last whole line ends, in bytes.
        at: u64,
    },
    /// The last line is none that this program wrote.
    #[error(
        "the last line of audit log `{path}` is not a line of an audit log ({reason}): move the file away, a new one is begun"
    )]
    LastLine {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// What is wrong with the lines of an audit log. Lines count from 1.
#[derive(Debug, Error)]
pub enum ChainFault {
    /// The lines cannot be read.
    #[error("line {line}: cannot read: {error}")]
    Read {
        /// The line.
        line: u64,
        /// What the system said.
        error: std::io::Error,
    },
    /// Not an object with the members of a line.
    #[error("line {line}: not a line of an audit log: {reason}")]
    Malformed {
        /// The line.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// The last line has no end.
    #[error("line {line}: cut: the last whole line ends at byte {at}")]
    Cut {
        /// The line.
        line: u64,
        /// Where the last whole line ends, in bytes.
        at: u64,
    },
    /// `seq` does not count on.
    #[error("line {line}: `seq` is {found}, expected {expected}: lines were taken out or put in")]
    Sequence {
        /// The line.
        line: u64,
        /// In the line.
        found: u64,
        /// One more than in the line before.
        expected: u64,
    },
    /// `prev` is not the digest of the line before.
    #[error(
        "line {line}: `prev` is not the digest of the line before: that line was altered, or lines were taken out or put in"
    )]
    Previous {
        /// The line.
        line: u64,
    },
    /// No line has the digest that was asked for.
    #[error(
        "line {line}: the end, and no line has digest `{head}`: lines at the end were altered or taken out"
    )]
    Head {
        /// The last line.
        line: u64,
        /// As given.
        head: String,
    },
}

impl AuditError {
    /// A stable identifier for logs, metrics and documentation.
    pub fn code(&self) -> &'static str {
        match self {
            AuditError::Io { .. } => "audit_unavailable",
            AuditError::Cut { .. } => "audit_cut",
            AuditError::LastLine { .. } => "audit_last_line",
        }
    }
}

impl ChainFault {
    /// A stable identifier for logs, metrics and documentation.
    pub fn code(&self) -> &'static str {
        match self {
            ChainFault::Read { .. } => "audit_unavailable",
            ChainFault::Malformed { .. } => "audit_line_malformed",
            ChainFault::Cut { .. } => "audit_cut",
            ChainFault::Sequence { .. } => "audit_sequence",
            ChainFault::Previous { .. } => "audit_prev_mismatch",
            ChainFault::Head { .. } => "audit_head_missing",
        }
    }

    /// The line that is wrong.
    pub fn line(&self) -> u64 {
        match self {
            ChainFault::Read { line, .. }
            | ChainFault::Malformed { line, .. }
            | ChainFault::Cut { line, .. }
            | ChainFault::Sequence { line, .. }
            | ChainFault::Previous { line }
            | ChainFault::Head { line, .. } => *line,
        }
    }
}
