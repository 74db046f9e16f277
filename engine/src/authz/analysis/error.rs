use thiserror::Error;

use crate::authz::AuthzError;

/// Why a policy cannot be looked at in the way that was asked for.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum AnalysisError {
    /// No request is one of both policies.
    #[error("the policies answer different requests: `{old}` and `{new}`")]
    Requests {
        /// The request definitions of the old policy.
        old: String,
        /// Those of the new one.
        new: String,
    },
    /// Nobody could read the picture.
    #[error(
        "a picture of {nodes} members, roles and grants is too large, at most {limit} are drawn: \
         narrow it to one subject"
    )]
    PictureTooLarge {
        /// How many there are.
        nodes: usize,
        /// How many may be.
        limit: usize,
    },
    /// The policy does not have the subject.
    #[error("no rule and no grouping names `{0}`")]
    UnknownSubject(String),
    /// Nobody could read the table.
    #[error(
        "a table of {objects} objects and {actions} actions is too large, at most {limit} cells \
         are filled: ask for single requests"
    )]
    TableTooLarge {
        /// How many objects the policy names.
        objects: usize,
        /// How many actions.
        actions: usize,
        /// How many cells there may be.
        limit: usize,
    },
    /// The policy's requests are of another form.
    #[error(transparent)]
    Request(#[from] AuthzError),
}

impl AnalysisError {
    /// A stable identifier for logs, metrics and documentation.
    pub fn code(&self) -> &'static str {
        match self {
            AnalysisError::Requests { .. } => "diff_requests",
            AnalysisError::PictureTooLarge { .. } => "picture_too_large",
            AnalysisError::UnknownSubject(_) => "subject_unknown",
            AnalysisError::TableTooLarge { .. } => "table_too_large",
            AnalysisError::Request(error) => error.code(),
        }
    }
}
