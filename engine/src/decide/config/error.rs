use thiserror::Error;

/// Why a configuration was refused.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ConfigError {
    /// Not JSON of the documented shape.
    #[error("configuration is not valid: {0}")]
    Json(String),
    /// A value breaks a rule.
    #[error("configuration field `{field}`: {message}")]
    Field {
        /// Path of the field, such as `issuers[0].audiences`.
        field: String,
        /// What is wrong with it.
        message: String,
    },
}

impl ConfigError {
    /// A stable identifier for logs, metrics and documentation.
    pub fn code(&self) -> &'static str {
        match self {
            ConfigError::Json(_) => "config_malformed",
            ConfigError::Field { .. } => "config_field",
        }
    }

    pub(in crate::decide) fn field(field: impl Into<String>, message: impl Into<String>) -> Self {
        ConfigError::Field {
            field: field.into(),
            message: message.into(),
        }
    }
}
