use axum::http::StatusCode;
use serde_json::{Map, Value};
use tokensmith_engine::claims::Claims;
use tokensmith_engine::exchange::MappedUser;

use super::Service;
use super::caller::Caller;
use super::metrics::Exposition;
use super::oauth_error::OauthError;
use crate::audit::AuditEvent;
use crate::plugins::PluginError;

impl Service {
    /// The user whom the provider's claims are of, by way of the claim mapper if there is one.
    ///
    /// # Errors
    /// 403 when it refuses, 500 when it fails.
    pub(super) fn mapped(&self, caller: &Caller, claims: Claims) -> Result<MappedUser, OauthError> {
        let mapped = self.plugins.map_claims(claims);
        mapped.map_err(|error| self.plugin_failed(caller, &error))
    }

    /// The claims of a token that an exchange is about to bring, with the scopes that the scope
    /// policy leaves it.
    ///
    /// # Errors
    /// 403 when it refuses, 500 when it fails.
    pub(super) fn limited(
        &self,
        caller: &Caller,
        claims: Map<String, Value>,
    ) -> Result<Map<String, Value>, OauthError> {
        let limited = self.plugins.limit_scopes(claims);
        limited.map_err(|error| self.plugin_failed(caller, &error))
    }

    /// Writes what plugins did.
    pub(super) fn write_plugins(&self, exposition: &mut Exposition) {
        let counts = self.plugins.counts();
        let name = "tokensmith_plugin_calls_total";
        exposition.family(name, "counter", "Calls of plugins, by outcome.");
        for (plugin, counts) in counts {
            for (outcome, count) in [
                ("ok", counts.answered),
                ("refused", counts.refused),
                ("failed", counts.failed),
            ] {
                exposition.sample(name, &[("plugin", plugin), ("outcome", outcome)], count);
            }
        }
        let name = "tokensmith_plugin_loads_total";
        exposition.family(
            name,
            "counter",
            "Plugins loaded, the first ones included, by outcome.",
        );
        for (plugin, counts) in counts {
            for (outcome, count) in [("ok", counts.loads), ("failed", counts.failed_loads)] {
                exposition.sample(name, &[("plugin", plugin), ("outcome", outcome)], count);
            }
        }
    }

    /// Nothing is issued, and the audit log has it.
    fn plugin_failed(&self, caller: &Caller, error: &PluginError) -> OauthError {
        let event = AuditEvent::Denied;
        self.auditor
            .refused(event, "exchange_refused", caller, error.code());
        let answer = match error {
            PluginError::Refused { .. } => {
                OauthError::new(StatusCode::FORBIDDEN, "access_denied", error.to_string())
            }
            other => {
                tracing::error!(code = other.code(), error = %other, "nothing is issued");
                OauthError::new(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "server_error",
                    "a plugin of the service failed; its log says why",
                )
            }
        };
        answer.with_code(error.code()).recorded()
    }
}
