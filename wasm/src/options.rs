use serde::Deserialize;
use serde_json::Value;
use tokensmith_engine::claims::{ClaimRules, DEFAULT_LEEWAY, MAX_LEEWAY, Profile, Requirements};
use tokensmith_engine::principal::PrincipalMapping;

/// What `createVerifier` was called with, as JSON.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Options {
    issuer: String,
    audience: OneOrMany,
    #[serde(default)]
    pub(crate) jwks_uri: Option<String>,
    #[serde(default)]
    pub(crate) jwks: Option<Value>,
    #[serde(default)]
    clock_tolerance: Option<i64>,
    #[serde(default)]
    profile: ProfileName,
    #[serde(default)]
    require: Requirements,
    #[serde(default)]
    principal: PrincipalMapping,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ProfileName {
    #[default]
    Tokensmith,
    Generic,
}

impl Options {
    /// Reads and checks the options; the error is a sentence for the developer.
    pub(crate) fn parse(json: &str) -> Result<Self, String> {
        let options: Self = serde_json::from_str(json).map_err(|error| error.to_string())?;
        if options.issuer.is_empty() {
            return Err("`issuer` is empty".to_owned());
        }
        if options.audiences().is_empty() {
            return Err("`audience` is empty".to_owned());
        }
        if options.jwks.is_some() == options.jwks_uri.is_some() {
            return Err("exactly one of `jwks` and `jwksUri` is needed".to_owned());
        }
        let leeway = options.leeway();
        if !(0..=MAX_LEEWAY).contains(&leeway) {
            return Err(format!(
                "`clockTolerance` is `{leeway}`, it has to be 0 to {MAX_LEEWAY} seconds"
            ));
        }
        options
            .principal
            .check()
            .map_err(|(place, message)| format!("`principal.{place}`: {message}"))?;
        Ok(options)
    }

    pub(crate) fn issuer(&self) -> &str {
        &self.issuer
    }

    pub(crate) fn rules(&self) -> ClaimRules {
        ClaimRules {
            issuer: self.issuer.clone(),
            audiences: self.audiences().to_vec(),
            profile: match self.profile {
                ProfileName::Tokensmith => Profile::TokenSmith,
                ProfileName::Generic => Profile::Generic,
            },
            leeway: self.leeway(),
            requirements: self.require.clone(),
            principal: self.principal.clone(),
        }
    }

    fn audiences(&self) -> &[String] {
        match &self.audience {
            OneOrMany::One(audience) => std::slice::from_ref(audience),
            OneOrMany::Many(audiences) => audiences,
        }
    }

    fn leeway(&self) -> i64 {
        self.clock_tolerance.unwrap_or(DEFAULT_LEEWAY)
    }
}
