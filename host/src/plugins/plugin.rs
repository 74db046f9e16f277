use std::fmt;
use std::path::Path;
use std::sync::Arc;

use tokensmith_engine::claims::Claims;
use tokensmith_engine::exchange::{MappedClaims, MappedUser};
use tokensmith_engine::jose::Limits;
use wasmtime::component::{
    Component, ComponentExportIndex, ComponentNamedList, InstancePre, Lift, Linker, Lower,
};
use wasmtime::{StoreLimits, Trap};

use super::file::PluginFile;
use super::sandbox::Sandbox;
use super::{Export, PluginError, PluginLimits, ScopeQuestion};

/// The most of a plugin's own words that are told.
const MOST_WORDS: usize = 200;

type Answered<T> = (Result<T, String>,);

/// A component that was compiled, and can be called.
pub struct Plugin {
    path: String,
    digest: String,
    limits: PluginLimits,
    sandbox: Arc<Sandbox>,
    instance: InstancePre<StoreLimits>,
    map_claims: Option<ComponentExportIndex>,
    limit_scopes: Option<ComponentExportIndex>,
}

impl Plugin {
    /// Compiles the component of a file and makes an instance of it once. It has to export at
    /// least one of the functions, and those as the WIT has them.
    ///
    /// # Errors
    /// [`PluginError`].
    pub fn load(path: &Path, limits: PluginLimits) -> Result<Self, PluginError> {
        let sandbox = Arc::new(Sandbox::new()?);
        Self::compile(path, &PluginFile::read(path)?, limits, sandbox)
    }

    /// The functions that it exports.
    pub fn exports(&self) -> Vec<Export> {
        [Export::MapClaims, Export::LimitScopes]
            .into_iter()
            .filter(|export| self.index(*export).is_some())
            .collect()
    }

    /// Its SHA-256 digest in hexadecimal.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Has it map the verified claims of a provider's token.
    ///
    /// # Errors
    /// [`PluginError::Failed`], [`PluginError::Answer`] and [`PluginError::Refused`].
    pub fn map_claims(&self, claims: &Claims) -> Result<MappedUser, PluginError> {
        let (answer,): Answered<String> = self.call(Export::MapClaims, (claims.payload(),))?;
        let answer = answer.map_err(|words| refused("claim mapper", &words))?;
        MappedClaims::parse(&answer)
            .and_then(|mapped| mapped.applied(claims, &Limits::default()))
            .map_err(|error| PluginError::Answer {
                path: self.path.clone(),
                error,
            })
    }

    /// Asks it for the scopes of a token. Not all that it names need to be granted: see
    /// [`tokensmith_engine::exchange::with_scopes_within`].
    ///
    /// # Errors
    /// [`PluginError::Failed`] and [`PluginError::Refused`].
    pub fn limit_scopes(&self, question: &ScopeQuestion<'_>) -> Result<Vec<String>, PluginError> {
        let ScopeQuestion {
            subject,
            audience,
            scopes,
            claims,
        } = *question;
        let parameters = (subject, audience, scopes, claims);
        let (answer,): Answered<Vec<String>> = self.call(Export::LimitScopes, parameters)?;
        answer.map_err(|words| refused("scope policy", &words))
    }

    pub(super) fn compile(
        path: &Path,
        file: &PluginFile,
        limits: PluginLimits,
        sandbox: Arc<Sandbox>,
    ) -> Result<Self, PluginError> {
        let path = path.display().to_string();
        let unusable = |error: wasmtime::Error| PluginError::Component {
            path: path.clone(),
            message: one_line(&format!("{error:#}")),
        };
        let engine = sandbox.engine();
        let component = Component::from_binary(engine, file.bytes()).map_err(unusable)?;
        // Nothing is put into it: a component that imports a function is refused here.
        let linker: Linker<StoreLimits> = Linker::new(engine);
        let instance = linker.instantiate_pre(&component).map_err(unusable)?;
        let plugin = Self {
            map_claims: component.get_export_index(None, Export::MapClaims.name()),
            limit_scopes: component.get_export_index(None, Export::LimitScopes.name()),
            digest: file.digest().to_owned(),
            limits,
            sandbox,
            instance,
            path,
        };
        plugin.check()?;
        Ok(plugin)
    }

    pub(super) fn needs(&self, export: Export) -> Result<(), PluginError> {
        match self.index(export) {
            Some(_) => Ok(()),
            None => Err(self.lacks(export)),
        }
    }

    /// Makes an instance and looks whether its functions have the right types.
    fn check(&self) -> Result<(), PluginError> {
        let _running = self.sandbox.run();
        let unusable = |error: &wasmtime::Error| PluginError::Component {
            path: self.path.clone(),
            message: self.reason(error),
        };
        let mut store = self
            .sandbox
            .store(&self.limits)
            .map_err(|error| unusable(&error))?;
        let instance = self
            .instance
            .instantiate(&mut store)
            .map_err(|error| unusable(&error))?;
        if self.exports().is_empty() {
            return Err(self.lacks(Export::MapClaims));
        }
        let other = |export: Export, error: &wasmtime::Error| PluginError::Export {
            path: self.path.clone(),
            export: export.name(),
            message: one_line(&format!("{error:#}")),
        };
        if let Some(index) = &self.map_claims {
            instance
                .get_typed_func::<(&str,), Answered<String>>(&mut store, index)
                .map_err(|error| other(Export::MapClaims, &error))?;
        }
        if let Some(index) = &self.limit_scopes {
            type Parameters<'p> = (&'p str, &'p [String], &'p [String], &'p str);
            instance
                .get_typed_func::<Parameters<'_>, Answered<Vec<String>>>(&mut store, index)
                .map_err(|error| other(Export::LimitScopes, &error))?;
        }
        Ok(())
    }

    fn call<P, R>(&self, export: Export, parameters: P) -> Result<R, PluginError>
    where
        P: ComponentNamedList + Lower,
        R: ComponentNamedList + Lift,
    {
        let index = self.index(export).ok_or_else(|| self.lacks(export))?;
        let _running = self.sandbox.run();
        self.run(index, parameters)
            .map_err(|error| PluginError::Failed {
                path: self.path.clone(),
                export: export.name(),
                message: self.reason(&error),
            })
    }

    fn run<P, R>(&self, index: &ComponentExportIndex, parameters: P) -> wasmtime::Result<R>
    where
        P: ComponentNamedList + Lower,
        R: ComponentNamedList + Lift,
    {
        let mut store = self.sandbox.store(&self.limits)?;
        let instance = self.instance.instantiate(&mut store)?;
        let function = instance.get_typed_func::<P, R>(&mut store, index)?;
        function.call(&mut store, parameters)
    }

    fn index(&self, export: Export) -> Option<&ComponentExportIndex> {
        match export {
            Export::MapClaims => self.map_claims.as_ref(),
            Export::LimitScopes => self.limit_scopes.as_ref(),
        }
    }

    fn lacks(&self, export: Export) -> PluginError {
        PluginError::Export {
            path: self.path.clone(),
            export: export.name(),
            message: "it is not there".to_owned(),
        }
    }

    /// Which limit was broken, or how it trapped.
    fn reason(&self, error: &wasmtime::Error) -> String {
        let limits = &self.limits;
        match error.downcast_ref::<Trap>() {
            Some(Trap::Interrupt) => format!(
                "it ran for more than {} ms (`timeout_ms`)",
                limits.timeout.as_millis()
            ),
            Some(Trap::OutOfFuel) => {
                format!("it used more than {} units of fuel (`fuel`)", limits.fuel)
            }
            Some(trap) => trap.to_string(),
            // Where memory cannot grow, and where the answer is too large, there is no code.
            None => one_line(&error.root_cause().to_string()),
        }
    }
}

impl fmt::Debug for Plugin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Plugin")
            .field("path", &self.path)
            .field("digest", &self.digest)
            .field("exports", &self.exports())
            .finish_non_exhaustive()
    }
}

fn refused(by: &'static str, words: &str) -> PluginError {
    let message = one_line(words).chars().take(MOST_WORDS).collect();
    PluginError::Refused { by, message }
}

/// A text without control characters.
fn one_line(text: &str) -> String {
    let words = text.split(|letter: char| letter.is_control());
    let words: Vec<&str> = words.filter(|word| !word.trim().is_empty()).collect();
    words.join(" ")
}
