use thiserror::Error;
use tokensmith_engine::exchange::MappingError;

/// Why a plugin is not used, or a call of it brought nothing.
#[derive(Debug, Error)]
pub enum PluginError {
    /// This binary cannot run any.
    #[error("this binary was built without plugins: build it with `--features plugins`")]
    NotBuilt,
    /// Its file cannot be read.
    #[error("cannot read plugin `{path}`: {error}")]
    File {
        /// The file.
        path: String,
        /// What the system said.
        error: std::io::Error,
    },
    /// It is not a component that can be run here.
    #[error(
        "plugin `{path}` is not a WebAssembly component that needs nothing of its host: {message}"
    )]
    Component {
        /// The file.
        path: String,
        /// What is wrong.
        message: String,
    },
    /// It lacks the function it is used for, or has it with other types.
    #[error("plugin `{path}` does not export `{export}` as the WIT has it: {message}")]
    Export {
        /// The file.
        path: String,
        /// The function.
        export: &'static str,
        /// What is wrong.
        message: String,
    },
    /// A setting is out of its bounds.
    #[error("`plugins.{field}` has to be {least} to {most}")]
    Setting {
        /// The setting.
        field: &'static str,
        /// The least it may be.
        least: u64,
        /// The most it may be.
        most: u64,
    },
    /// The sandbox cannot be made.
    #[error("cannot make the sandbox of plugins: {0}")]
    Sandbox(String),
    /// It trapped, or broke a limit.
    #[error("plugin `{path}` failed in `{export}`: {message}")]
    Failed {
        /// The file.
        path: String,
        /// The function.
        export: &'static str,
        /// How.
        message: String,
    },
    /// Its answer cannot be used.
    #[error("plugin `{path}` failed in `map-claims`: {error}")]
    Answer {
        /// The file.
        path: String,
        /// Why.
        error: MappingError,
    },
    /// It said no.
    #[error("refused by the {by}: {message}")]
    Refused {
        /// `claim mapper` or `scope policy`.
        by: &'static str,
        /// Its reason, without control characters, of at most 200 characters.
        message: String,
    },
}

impl PluginError {
    /// A stable identifier for logs, metrics and documentation.
    pub fn code(&self) -> &'static str {
        match self {
            PluginError::NotBuilt => "plugin_not_built",
            PluginError::File { .. } => "plugin_file",
            PluginError::Component { .. } => "plugin_component",
            PluginError::Export { .. } => "plugin_export",
            PluginError::Setting { .. } => "plugin_setting",
            PluginError::Sandbox(_) => "plugin_sandbox",
            PluginError::Failed { .. } | PluginError::Answer { .. } => "plugin_failed",
            PluginError::Refused { .. } => "plugin_refused",
        }
    }
}
