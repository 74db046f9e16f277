use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::file::PluginFile;
use super::{Export, PluginError};

/// Section `[plugins]` of the configuration file.
///
/// ```
/// use tokensmith::plugins::PluginSettings;
/// let text = r#"{"claim_mapper": "site.wasm", "timeout_ms": 20}"#;
/// let settings: PluginSettings = serde_json::from_str(text).unwrap();
/// assert_eq!(settings.limits().unwrap().timeout.as_millis(), 20);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PluginSettings {
    /// The component whose `map-claims` is used; none without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claim_mapper: Option<PathBuf>,
    /// The component whose `limit-scopes` is used; none without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope_policy: Option<PathBuf>,
    /// The most instructions of a call, in units of fuel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fuel: Option<u64>,
    /// The longest time of a call in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// The most memory of a call in MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_mib: Option<u64>,
    /// The largest answer of a call in KiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer_kib: Option<u64>,
}

/// What one call of a plugin may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PluginLimits {
    /// Instructions, in units of fuel.
    pub fuel: u64,
    /// Time, start of the instance included.
    pub timeout: Duration,
    /// Bytes of linear memory.
    pub memory: usize,
    /// Bytes of the answer.
    pub answer: usize,
}

/// Field, default, least and most.
const FUEL: (&str, u64, u64, u64) = ("fuel", 20_000_000, 1_000, 100_000_000_000);
const TIMEOUT_MS: (&str, u64, u64, u64) = ("timeout_ms", 50, 1, 10_000);
const MEMORY_MIB: (&str, u64, u64, u64) = ("memory_mib", 16, 1, 1024);
const ANSWER_KIB: (&str, u64, u64, u64) = ("answer_kib", 64, 1, 16 * 1024);

impl PluginSettings {
    /// The limits of a call.
    ///
    /// # Errors
    /// [`PluginError::Setting`].
    pub fn limits(&self) -> Result<PluginLimits, PluginError> {
        Ok(PluginLimits {
            fuel: within(self.fuel, FUEL)?,
            timeout: Duration::from_millis(within(self.timeout_ms, TIMEOUT_MS)?),
            memory: bytes(within(self.memory_mib, MEMORY_MIB)?, 1 << 20),
            answer: bytes(within(self.answer_kib, ANSWER_KIB)?, 1 << 10),
        })
    }

    /// The files that are configured, each with what it is used for.
    pub fn files(&self) -> impl Iterator<Item = (Export, &PathBuf)> {
        let mapper = self.claim_mapper.iter();
        let policy = self.scope_policy.iter();
        mapper
            .map(|path| (Export::MapClaims, path))
            .chain(policy.map(|path| (Export::LimitScopes, path)))
    }

    /// The SHA-256 digests of the files as they are now, in hexadecimal, by their settings. A file
    /// that cannot be read has none.
    pub fn digests(&self) -> Vec<(&'static str, String)> {
        self.files()
            .filter_map(|(export, path)| {
                let file = PluginFile::read(path).ok()?;
                Some((export.setting(), file.digest().to_owned()))
            })
            .collect()
    }

    /// Whether nothing is set.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Default for PluginLimits {
    fn default() -> Self {
        Self {
            fuel: FUEL.1,
            timeout: Duration::from_millis(TIMEOUT_MS.1),
            memory: bytes(MEMORY_MIB.1, 1 << 20),
            answer: bytes(ANSWER_KIB.1, 1 << 10),
        }
    }
}

fn within(
    value: Option<u64>,
    (field, default, least, most): (&'static str, u64, u64, u64),
) -> Result<u64, PluginError> {
    let value = value.unwrap_or(default);
    if (least..=most).contains(&value) {
        Ok(value)
    } else {
        Err(PluginError::Setting { field, least, most })
    }
}

fn bytes(count: u64, unit: u64) -> usize {
    usize::try_from(count.saturating_mul(unit)).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_have_bounds() {
        let default = PluginSettings::default();
        assert_eq!(default.limits().unwrap(), PluginLimits::default());
        assert!(default.is_empty());
        for (text, field) in [
            (r#"{"fuel": 999}"#, "`plugins.fuel` has to be 1000 to"),
            (
                r#"{"timeout_ms": 0}"#,
                "`plugins.timeout_ms` has to be 1 to 10000",
            ),
            (r#"{"timeout_ms": 10001}"#, "`plugins.timeout_ms`"),
            (r#"{"memory_mib": 1025}"#, "`plugins.memory_mib`"),
            (r#"{"answer_kib": 0}"#, "`plugins.answer_kib`"),
        ] {
            let settings: PluginSettings = serde_json::from_str(text).unwrap();
            let error = settings.limits().unwrap_err();
            assert!(error.to_string().contains(field), "{error}");
            assert_eq!(error.code(), "plugin_setting");
        }
        assert!(serde_json::from_str::<PluginSettings>(r#"{"wasm": "x"}"#).is_err());
    }
}
