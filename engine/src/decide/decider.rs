use std::collections::BTreeMap;
use std::sync::Arc;

use super::config::{Config, ConfigError, DefaultRoute, Mode};
use super::identity::IdentityRules;
use super::location::Locations;
use super::policies::PolicySlot;
use super::requirement::Requirement;
use super::{RouteOverride, RouteTable};
use crate::authz::CompiledPolicy;
use crate::claims::ClaimRules;
use crate::jose::Limits;
use crate::verify::{SignatureProvider, Verifier};

/// Decides requests. Built once from a configuration, shared by all requests; its policy may be
/// exchanged. A copy costs little: it shares all but which policy is in force.
///
/// A [`super::Memory`] is for the deciders of one configuration.
#[derive(Clone, Debug)]
pub struct Decider {
    pub(super) settings: Arc<Settings>,
    pub(super) policy: PolicySlot,
    pub(super) shadow: Option<PolicySlot>,
}

/// All that stays.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) mode: Mode,
    pub(super) routes: RouteTable,
    /// Of the routes, in their order.
    pub(super) route_rules: Vec<RouteRules>,
    pub(super) has_route_modes: bool,
    pub(super) default_route: DefaultRoute,
    pub(super) requirement: Option<Arc<Requirement>>,
    pub(super) action_names: BTreeMap<String, String>,
    pub(super) options_public: bool,
    pub(super) record_roles: bool,
    pub(super) deny_roles: bool,
    pub(super) verifier: Verifier,
    pub(super) locations: Locations,
    /// The issuers' names, in their order.
    pub(super) issuers: Vec<Arc<str>>,
    /// Of the issuers, in their order: whether tokens are handed on.
    pub(super) forward: Vec<bool>,
    /// What callers without a token are called in policy rules.
    pub(super) anonymous: Arc<str>,
    pub(super) identities: IdentityRules,
    pub(super) strip: Arc<[String]>,
    pub(super) limits: Limits,
    pub(super) provider: Box<dyn SignatureProvider>,
    route_overrides: bool,
}

/// What a route says beside what policy is asked.
#[derive(Debug)]
pub(super) struct RouteRules {
    pub(super) mode: Option<Mode>,
    pub(super) requirement: Option<Arc<Requirement>>,
}

/// The name in policy rules of callers without a token, where
/// [`super::Requires::AllowMissing`] lets them come so far.
const ANONYMOUS: &str = "anonymous";

impl Decider {
    /// Compiles a configuration. `limits` bound tokens; `provider` prepares the keys of proofs.
    /// Policies of bundles are not there until they are set.
    ///
    /// # Errors
    /// [`ConfigError::Field`] for a policy that does not compile or does not fit, for routes
    /// that [`RouteTable::new`] refuses, and for requirements and places of tokens that
    /// [`Config::from_json`] refuses.
    pub fn new(
        config: &Config,
        limits: Limits,
        provider: impl SignatureProvider + 'static,
    ) -> Result<Self, ConfigError> {
        let (policy, shadow) = PolicySlot::of(config)?;
        Ok(Self {
            settings: Arc::new(Settings::new(config, limits, Box::new(provider))?),
            policy,
            shadow,
        })
    }

    /// The policy's version; empty while there is none.
    pub fn policy_version(&self) -> &str {
        self.policy.version()
    }

    /// Whether there is a policy to decide by. Without one, what is not public is refused.
    pub fn has_policy(&self) -> bool {
        !self.policy.is_empty()
    }

    /// Decides by `policy` from now on. What [`super::Memory`] holds stays good.
    ///
    /// # Errors
    /// [`ConfigError::Field`] for a policy whose requests are not subject, object and action; the
    /// former one stays in force.
    pub fn set_policy(
        &mut self,
        policy: impl Into<Arc<CompiledPolicy>>,
    ) -> Result<(), ConfigError> {
        self.policy = PolicySlot::holding(policy.into(), "policy")?;
        Ok(())
    }

    /// Has no policy from now on.
    pub fn clear_policy(&mut self) {
        self.policy = PolicySlot::empty();
    }

    /// The shadow policy's version, empty while there is none; `None` if none is configured.
    pub fn shadow_policy_version(&self) -> Option<&str> {
        self.shadow.as_ref().map(|slot| &**slot.version())
    }

    /// Records what `policy` says from now on, if a shadow policy is configured.
    ///
    /// # Errors
    /// As [`Decider::set_policy`].
    pub fn set_shadow_policy(
        &mut self,
        policy: impl Into<Arc<CompiledPolicy>>,
    ) -> Result<(), ConfigError> {
        let slot = PolicySlot::holding(policy.into(), "shadow_policy")?;
        if let Some(shadow) = &mut self.shadow {
            *shadow = slot;
        }
        Ok(())
    }

    /// Has no shadow policy from now on.
    pub fn clear_shadow_policy(&mut self) {
        if let Some(shadow) = &mut self.shadow {
            *shadow = PolicySlot::empty();
        }
    }

    /// The mode in force where a route says nothing else.
    pub fn mode(&self) -> Mode {
        self.settings.mode
    }

    /// Whether every request's [`super::Request::authority`] is needed: a route has a host.
    pub fn reads_authority(&self) -> bool {
        self.settings.routes.has_hosts()
    }

    /// Whether [`super::Request::origin`] and [`super::Request::access_control_request_method`]
    /// are needed for requests with the method `OPTIONS`.
    pub fn reads_preflight(&self) -> bool {
        self.settings.options_public
    }

    /// The headers, in lower case, that are needed in [`super::Request::headers`]; none where all
    /// tokens come in the `Authorization` header.
    pub fn reads_headers(&self) -> &[String] {
        self.settings.locations.headers()
    }

    /// Whether [`super::Request::route_override`] is needed.
    pub fn reads_route_override(&self) -> bool {
        self.settings.route_overrides
    }

    /// The headers, in lower case, that are removed from every request, and set for some.
    pub fn strip_headers(&self) -> &[String] {
        &self.settings.strip
    }

    /// Reads what the proxy's route says. It may be kept for all requests with the same text.
    ///
    /// ```
    /// use tokensmith_engine::decide::{Config, Decider};
    /// use tokensmith_engine::jose::Limits;
    /// use tokensmith_engine::verify::External;
    /// let config = br#"{"issuers":[{"issuer":"i","audiences":["a"],"jwks_uri":"u"}]}"#;
    /// let config = Config::from_json(config).unwrap();
    /// let decider = Decider::new(&config, Limits::default(), External).unwrap();
    /// assert!(decider.route_override(r#"{"mode":"shadow"}"#).error().is_none());
    /// assert!(decider.route_override(r#"{"requires":"j"}"#).error().is_some());
    /// ```
    pub fn route_override(&self, json: &str) -> RouteOverride {
        let issuers = &self.settings.issuers;
        RouteOverride::parse(json, &|name| issuers.iter().position(|own| **own == *name))
    }
}

impl Settings {
    fn new(
        config: &Config,
        limits: Limits,
        provider: Box<dyn SignatureProvider>,
    ) -> Result<Self, ConfigError> {
        let rules = config.issuers.iter().map(|issuer| ClaimRules {
            issuer: issuer.issuer.clone(),
            audiences: issuer.audiences.clone(),
            profile: issuer.profile.into(),
            leeway: issuer.clock_skew_s,
            requirements: issuer.require.clone(),
            principal: issuer.principal.clone(),
        });
        let mut route_rules = Vec::new();
        for (index, route) in config.routes.iter().enumerate() {
            let requirement = route
                .requires
                .as_ref()
                .map(|requires| config.requirement(requires, &format!("routes[{index}].requires")));
            route_rules.push(RouteRules {
                mode: route.mode,
                requirement: requirement.transpose()?.map(Arc::new),
            });
        }
        let requirement = config
            .requires
            .as_ref()
            .map(|requires| config.requirement(requires, "requires"));
        let identities = IdentityRules::new(config);
        Ok(Self {
            mode: config.mode,
            routes: RouteTable::new(&config.routes)?,
            has_route_modes: route_rules.iter().any(|rules| rules.mode.is_some()),
            route_rules,
            default_route: config.default_route,
            requirement: requirement.transpose()?.map(Arc::new),
            action_names: config.action_names.clone(),
            options_public: config.options_public,
            record_roles: config.record_roles,
            deny_roles: config.deny_roles,
            verifier: Verifier::new(rules, limits.clone()),
            locations: Locations::new(&config.issuers)?,
            issuers: identities.issuer_names(),
            forward: config.issuers.iter().map(|issuer| issuer.forward).collect(),
            anonymous: ANONYMOUS.into(),
            strip: identities.header_names().into(),
            identities,
            limits,
            provider,
            route_overrides: config.route_overrides,
        })
    }
}
