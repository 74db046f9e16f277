use serde::Deserialize;
use serde_json::Value;
use tokensmith_engine::authz::CompileOptions;

/// What a session is asked.
#[derive(Debug, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Line {
    /// Verify a compact JWS.
    Jws {
        /// A JWK set.
        jwks: Value,
        /// The JWS.
        jws: String,
    },
    /// Take a configuration of the filter into use.
    Config {
        /// The configuration.
        config: Value,
        /// The keys that are loaded, by issuer.
        #[serde(default)]
        keys: Vec<IssuerKeys>,
    },
    /// Decide a request.
    Decide {
        /// The method.
        method: String,
        /// Path and query.
        target: String,
        /// The `Authorization` header.
        #[serde(default)]
        authorization: Option<String>,
        /// The request's id.
        #[serde(default)]
        request_id: Option<String>,
        /// Unix time in seconds.
        now: i64,
    },
    /// Take a policy into use.
    Policy {
        /// Its model.
        model: String,
        /// Its rules.
        rules: String,
        /// What Casbin takes from code.
        #[serde(default)]
        options: CompileOptions,
    },
    /// Evaluate a request of the policy.
    Enforce {
        /// The number of the sections, none for the first.
        #[serde(default)]
        context: String,
        /// Its values.
        request: Vec<Value>,
        /// Evaluate it this often.
        #[serde(default = "once")]
        times: u32,
        /// Answer with the reasons too.
        #[serde(default)]
        explain: bool,
    },
    /// Authorize the principal of a token's claims.
    Authorize {
        /// The claims.
        claims: Value,
        /// The object.
        object: String,
        /// The action.
        action: String,
    },
    /// Normalise the path of a request target.
    Path {
        /// Path and query.
        target: String,
    },
}

/// The keys of an issuer.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct IssuerKeys {
    /// The issuer.
    pub(crate) issuer: String,
    /// Its JWK set.
    pub(crate) jwks: Value,
}

fn once() -> u32 {
    1
}
