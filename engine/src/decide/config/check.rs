use super::headers::refusal_to_set;
use super::requires::{ALLOW_MISSING, ALLOW_MISSING_OR_FAILED};
use super::{
    CacheConfig, Config, ConfigError, DefaultRoute, FilterStateConfig, IssuerConfig, KeyWait,
    Requires, is_http_token,
};
use crate::claims::MAX_LEEWAY;
use crate::decide::RouteTable;
use crate::decide::location::{Location, Locations};
use crate::decide::requirement::Requirement;
use crate::principal::ClaimPath;

impl Config {
    /// Checks what types cannot; policies are compiled elsewhere.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if self.issuers.is_empty() {
            return Err(ConfigError::field("issuers", "needs at least one issuer"));
        }
        for (index, issuer) in self.issuers.iter().enumerate() {
            let mut earlier = self.issuers.iter().take(index);
            if earlier.any(|other| other.issuer == issuer.issuer) {
                let field = format!("issuers[{index}].issuer");
                return Err(ConfigError::field(field, "is configured twice"));
            }
            issuer.check(&format!("issuers[{index}]"))?;
        }
        RouteTable::new(&self.routes)?;
        self.check_requirements()?;
        self.check_action_names()?;
        for (field, policy) in [
            ("policy", &self.policy),
            ("shadow_policy", &self.shadow_policy),
        ] {
            if let Some(policy) = policy {
                policy.check(field)?;
            }
        }
        self.check_headers()?;
        if let Some(state) = &self.filter_state {
            state.check()?;
        }
        self.key_wait.check()?;
        self.cache.check()
    }

    fn check_requirements(&self) -> Result<(), ConfigError> {
        let routes = self.routes.iter().enumerate().filter_map(|(index, route)| {
            let requires = route.requires.as_ref()?;
            Some((format!("routes[{index}].requires"), requires))
        });
        let own = self.requires.iter();
        let all = own.map(|requires| ("requires".to_owned(), requires));
        for (field, requires) in all.chain(routes) {
            self.requirement(requires, &field)?;
        }
        Ok(())
    }

    /// `requires` in the form that requests are held to. `field` is its path.
    pub(in crate::decide) fn requirement(
        &self,
        requires: &Requires,
        field: &str,
    ) -> Result<Requirement, ConfigError> {
        Requirement::compile(requires, field, &|name| {
            self.issuers.iter().position(|own| own.issuer == name)
        })
    }

    fn check_action_names(&self) -> Result<(), ConfigError> {
        if !self.action_names.is_empty() && self.default_route != DefaultRoute::PathRest {
            let message = "is for `default_route` `path_rest` only";
            return Err(ConfigError::field("action_names", message));
        }
        for (method, action) in &self.action_names {
            let message = if !is_http_token(method) {
                "is not an HTTP method"
            } else if action.trim().is_empty() {
                "has a blank action"
            } else {
                continue;
            };
            return Err(ConfigError::field(
                "action_names",
                format!("`{method}` {message}"),
            ));
        }
        Ok(())
    }

    /// Headers that are set: their names, and that no token comes in one of them.
    fn check_headers(&self) -> Result<(), ConfigError> {
        let locations = Locations::new(&self.issuers)?;
        let claims = self.claim_headers.iter().enumerate().map(|(index, own)| {
            let field = format!("claim_headers[{index}].header");
            (field, own.header.as_str())
        });
        let payloads = self
            .issuers
            .iter()
            .enumerate()
            .filter_map(|(index, issuer)| {
                let own = issuer.payload_header.as_ref()?;
                let field = format!("issuers[{index}].payload_header.name");
                Some((field, own.name.as_str()))
            });
        for (field, name) in claims.chain(payloads.clone()) {
            let refusal = refusal_to_set(name).or_else(|| {
                locations
                    .has_header(name)
                    .then(|| format!("`{name}` is where a token comes in: choose another"))
            });
            if let Some(message) = refusal {
                return Err(ConfigError::field(field, message));
            }
        }
        for (field, name) in payloads {
            let mut claims = self.claim_headers.iter();
            if claims.any(|own| own.header.eq_ignore_ascii_case(name)) {
                let message = format!("`{name}` is one of `claim_headers`: choose another");
                return Err(ConfigError::field(field, message));
            }
        }
        for (index, own) in self.claim_headers.iter().enumerate() {
            check_claim(&own.claim, || format!("claim_headers[{index}].claim"))?;
        }
        Ok(())
    }
}

impl IssuerConfig {
    /// `path` is that of this issuer.
    fn check(&self, path: &str) -> Result<(), ConfigError> {
        let refused = |name: &str, message: String| {
            Err(ConfigError::field(format!("{path}.{name}"), message))
        };
        if self.issuer.is_empty() {
            return refused("issuer", "is empty".to_owned());
        }
        if [ALLOW_MISSING, ALLOW_MISSING_OR_FAILED].contains(&self.issuer.as_str()) {
            let message = format!("`{}` is a word of `requires`", self.issuer);
            return refused("issuer", message);
        }
        if self.audiences.is_empty() || self.audiences.iter().any(String::is_empty) {
            return refused("audiences", "needs at least one audience".to_owned());
        }
        if self.jwks.is_some() == self.jwks_uri.is_some() {
            let message = "give exactly one of `jwks` and `jwks_uri`";
            return refused("jwks", message.to_owned());
        }
        if !(0..=MAX_LEEWAY).contains(&self.clock_skew_s) {
            let message = format!("`{}` is outside 0 to {MAX_LEEWAY}", self.clock_skew_s);
            return refused("clock_skew_s", message);
        }
        for (index, location) in self.from.iter().enumerate() {
            if let Err(message) = Location::compile(location) {
                return refused(&format!("from[{index}]"), message);
            }
        }
        match self.principal.check() {
            Err((place, message)) => refused(&format!("principal.{place}"), message),
            Ok(()) => Ok(()),
        }
    }
}

impl FilterStateConfig {
    fn check(&self) -> Result<(), ConfigError> {
        if self.claims.len() > Self::CLAIMS {
            let message = format!("has more than {} claims", Self::CLAIMS);
            return Err(ConfigError::field("filter_state.claims", message));
        }
        for (index, claim) in self.claims.iter().enumerate() {
            check_claim(claim, || format!("filter_state.claims[{index}]"))?;
        }
        Ok(())
    }
}

impl KeyWait {
    fn check(self) -> Result<(), ConfigError> {
        if self.requests > Self::REQUESTS {
            let message = format!("`{}` is more than {}", self.requests, Self::REQUESTS);
            return Err(ConfigError::field("key_wait.requests", message));
        }
        if !(1..=Self::TIMEOUT_MS).contains(&self.timeout_ms) {
            let message = format!("`{}` is outside 1 to {}", self.timeout_ms, Self::TIMEOUT_MS);
            return Err(ConfigError::field("key_wait.timeout_ms", message));
        }
        Ok(())
    }
}

impl CacheConfig {
    fn check(self) -> Result<(), ConfigError> {
        let most = Config::CACHE_ENTRIES;
        if self.entries > most {
            let message = format!("`{}` is more than {most}", self.entries);
            return Err(ConfigError::field("cache.entries", message));
        }
        Ok(())
    }
}

fn check_claim(claim: &ClaimPath, field: impl Fn() -> String) -> Result<(), ConfigError> {
    claim
        .check()
        .map_err(|message| ConfigError::field(field(), message))
}
