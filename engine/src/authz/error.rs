use thiserror::Error;

use super::functions::FunctionError;

/// Why a request could not be evaluated. Never an allow.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum AuthzError {
    /// Not as many values as the request definition has fields.
    #[error("request has {found} values, the model needs {expected}")]
    RequestSize {
        /// Fields of the request definition.
        expected: usize,
        /// Values given.
        found: usize,
    },
    /// A request value has no such attribute, or is not an object.
    #[error("request value `{0}` is missing")]
    Attribute(String),
    /// A value has another type than an operator or function takes.
    #[error("`{operator}` does not take {found}")]
    Type {
        /// The operator or function.
        operator: &'static str,
        /// The type found.
        found: &'static str,
    },
    /// The matcher's value is neither true or false nor a number.
    #[error("matcher is {0}, neither true or false nor a number")]
    Result(&'static str),
    /// A function refuses its arguments.
    #[error(transparent)]
    Function(#[from] FunctionError),
    /// `eval()` needs a policy row, and there is none.
    #[error("`eval` needs a policy row, and there is none")]
    NoRows,
    /// The model has no such context.
    #[error("the model has no matcher `{0}`")]
    Context(String),
}

impl AuthzError {
    /// A stable identifier for logs, metrics and documentation.
    pub fn code(&self) -> &'static str {
        match self {
            AuthzError::RequestSize { .. } => "request_size",
            AuthzError::Attribute(_) => "request_attribute",
            AuthzError::Type { .. } | AuthzError::Result(_) => "request_type",
            AuthzError::Function(_) => "request_argument",
            AuthzError::NoRows => "policy_no_rows",
            AuthzError::Context(_) => "request_context",
        }
    }
}
