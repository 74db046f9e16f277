use std::sync::Arc;

use super::config::{Config, ConfigError, DefaultRoute, Mode};
use super::deny::Refusal;
use super::identity::IDENTITY_HEADERS;
use super::outcome::{DecisionRecord, Outcome};
use super::{ClaimHeader, Identity, RouteConfig, normalise_path};
use crate::authz::{CompiledPolicy, Decision};
use crate::claims::ClaimRules;
use crate::jose::Limits;
use crate::policy::{self, BASELINE_MODEL, Source};
use crate::verify::{
    KeyRing, SignatureJob, TokenDigest, Verdict, VerifiedCache, Verifier, VerifyError,
};

/// The parts of an HTTP request that a decision looks at.
#[derive(Clone, Copy, Debug)]
pub struct Request<'r> {
    /// The method as received.
    pub method: &'r str,
    /// The request target in origin form: path and query as received.
    pub target: &'r str,
    /// The `Authorization` header. Several are no header at all: the shell joins them, and
    /// the result is no token.
    pub authorization: Option<&'r str>,
    /// The request's id, to be repeated in records and deny bodies.
    pub request_id: Option<&'r str>,
}

/// Decides requests. Built once from a configuration, shared by all requests.
#[derive(Debug)]
pub struct Decider {
    mode: Mode,
    routes: Vec<RouteConfig>,
    default_route: DefaultRoute,
    verifier: Verifier,
    policy: CompiledPolicy,
    policy_version: Arc<str>,
    claim_headers: Vec<ClaimHeader>,
    strip: Arc<[String]>,
}

/// Where a decision stands.
#[derive(Debug)]
pub enum Step<'r> {
    /// It is made.
    Done(Box<Outcome>),
    /// It needs the answer to a signature check, then [`Decider::finish`].
    CheckSignature(Box<Pending<'r>>),
}

/// A decision that waits for a signature check.
#[derive(Debug)]
pub struct Pending<'r> {
    job: SignatureJob<'r>,
    digest: Option<TokenDigest>,
    input: Input,
    record: DecisionRecord,
}

/// What policy is asked, if the route is mapped.
#[derive(Debug)]
enum Input {
    Mapped { object: String, action: String },
    Unmapped,
}

impl Decider {
    /// Compiles a configuration. `limits` bound tokens.
    ///
    /// # Errors
    /// [`ConfigError::Field`] for a policy that does not compile or does not fit.
    pub fn new(config: &Config, limits: Limits) -> Result<Self, ConfigError> {
        let policy = compile(config)?;
        if policy.request_fields() != 3 {
            return Err(ConfigError::field(
                "policy.model",
                format!(
                    "request definition needs 3 fields (subject, object, action), has {}",
                    policy.request_fields()
                ),
            ));
        }
        let rules = config.issuers.iter().map(|issuer| ClaimRules {
            issuer: issuer.issuer.clone(),
            audiences: issuer.audiences.clone(),
            profile: issuer.profile.into(),
            leeway: issuer.clock_skew_s,
            requirements: issuer.require.clone(),
            principal: issuer.principal.clone(),
        });
        let mapped = config
            .claim_headers
            .iter()
            .map(|mapping| mapping.header.to_ascii_lowercase());
        Ok(Self {
            mode: config.mode,
            routes: config.routes.clone(),
            default_route: config.default_route,
            verifier: Verifier::new(rules, limits),
            policy_version: policy.policy_version().into(),
            policy,
            claim_headers: config.claim_headers.clone(),
            strip: IDENTITY_HEADERS
                .into_iter()
                .map(str::to_owned)
                .chain(mapped)
                .collect(),
        })
    }

    /// The policy's version.
    pub fn policy_version(&self) -> &str {
        &self.policy_version
    }

    /// The mode in force.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Decides as far as possible without a signature check. `now` is Unix time in seconds.
    pub fn begin<'r>(
        &self,
        request: &Request<'r>,
        keys: &KeyRing,
        cache: &mut VerifiedCache<Arc<Identity>>,
        now: i64,
    ) -> Step<'r> {
        let record = DecisionRecord::new(request, self.mode, Arc::clone(&self.policy_version));
        if self.mode == Mode::Off {
            return Step::Done(self.hand_on(record, None));
        }
        let path = match normalise_path(request.target) {
            Ok(path) => path,
            Err(error) => return Step::Done(self.refuse(&Refusal::BadPath(error), record, None)),
        };
        let route = self
            .routes
            .iter()
            .find(|route| route.matches.matches(request.method, &path));
        if route.is_some_and(|route| route.public) {
            return Step::Done(self.hand_on(record, None));
        }
        let input = self.input(route, request.method, path);
        let Some(token) = request.authorization.and_then(bearer) else {
            return Step::Done(self.refuse(&Refusal::NoToken, record, None));
        };
        let digest = cache.is_enabled().then(|| TokenDigest::of(token));
        if let Some(identity) = digest.and_then(|digest| cache.get(&digest, now)) {
            return Step::Done(self.authorize(identity, input, record));
        }
        match self.verifier.begin(token, keys, now) {
            Ok(job) => Step::CheckSignature(Box::new(Pending {
                job,
                digest,
                input,
                record,
            })),
            Err(error) => Step::Done(self.refuse(&Refusal::BadToken(&error), record, None)),
        }
    }

    /// Ends a decision with the signature's verdict.
    pub fn finish(
        &self,
        pending: Pending<'_>,
        verdict: Verdict,
        cache: &mut VerifiedCache<Arc<Identity>>,
    ) -> Box<Outcome> {
        match pending.job.finish(verdict) {
            Ok(verified) => {
                let identity = Arc::new(Identity::new(&verified, &self.claim_headers));
                if let Some(digest) = pending.digest {
                    cache.insert(digest, Arc::clone(&identity), verified.valid_until());
                }
                self.authorize(identity, pending.input, pending.record)
            }
            Err(error) => self.refuse(&Refusal::BadToken(&error), pending.record, None),
        }
    }

    /// Decides in one call with the provider that prepared `keys`; a key it cannot use denies.
    pub fn decide(
        &self,
        request: &Request<'_>,
        keys: &KeyRing,
        cache: &mut VerifiedCache<Arc<Identity>>,
        now: i64,
    ) -> Box<Outcome> {
        match self.begin(request, keys, cache, now) {
            Step::Done(outcome) => outcome,
            Step::CheckSignature(pending) => {
                let verdict = pending.job.check().unwrap_or(Verdict::Invalid);
                self.finish(*pending, verdict, cache)
            }
        }
    }

    fn input(&self, route: Option<&RouteConfig>, method: &str, path: String) -> Input {
        match (route, self.default_route) {
            (Some(route), _) => Input::Mapped {
                object: route.object.clone().unwrap_or_default(),
                action: route.action.clone().unwrap_or_default(),
            },
            (None, DefaultRoute::PathMethod) => Input::Mapped {
                object: path,
                action: method.to_owned(),
            },
            (None, DefaultRoute::Deny) => Input::Unmapped,
        }
    }

    fn authorize(
        &self,
        identity: Arc<Identity>,
        input: Input,
        mut record: DecisionRecord,
    ) -> Box<Outcome> {
        let principal = identity.principal();
        record.principal_id = principal.id().to_owned();
        record.principal_type = Some(principal.principal_type().name());
        let refusal = match input {
            Input::Unmapped => Refusal::Unmapped,
            Input::Mapped { object, action } => {
                let decision = self.policy.authorize(principal, &object, &action);
                record.object = object;
                record.action = action;
                if decision == Decision::Allow {
                    return self.hand_on(record, Some(identity));
                }
                Refusal::Policy(decision)
            }
        };
        if self.mode == Mode::Shadow {
            record.decision = refusal.decision().name();
            record.reason = refusal.reason();
            return self.hand_on(record, Some(identity));
        }
        self.refuse(&refusal, record, Some(identity))
    }

    fn hand_on(&self, record: DecisionRecord, identity: Option<Arc<Identity>>) -> Box<Outcome> {
        Box::new(Outcome {
            denial: None,
            identity,
            strip: Arc::clone(&self.strip),
            record,
            keys_wanted: false,
        })
    }

    fn refuse(
        &self,
        refusal: &Refusal<'_>,
        mut record: DecisionRecord,
        identity: Option<Arc<Identity>>,
    ) -> Box<Outcome> {
        record.decision = refusal.decision().name();
        record.reason = refusal.reason();
        record.error = refusal.error_code();
        Box::new(Outcome {
            denial: Some(refusal.denial(&record, identity.as_deref())),
            identity,
            strip: Arc::clone(&self.strip),
            keys_wanted: matches!(
                refusal,
                Refusal::BadToken(VerifyError::UnknownKid | VerifyError::KeysUnavailable(_))
            ),
            record,
        })
    }
}

impl<'r> Pending<'r> {
    /// The signature check to make.
    pub fn job(&self) -> &SignatureJob<'r> {
        &self.job
    }
}

/// The token of `Authorization: Bearer <token>` (RFC 6750 section 2.1); the scheme's case does
/// not matter (RFC 9110 section 11.1).
fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.trim().split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("Bearer") && !token.is_empty()).then_some(token)
}

fn compile(config: &Config) -> Result<CompiledPolicy, ConfigError> {
    let Some(own) = &config.policy else {
        return policy::compile_baseline()
            .map_err(|error| ConfigError::field("policy", error.to_string()));
    };
    let model = Source {
        name: "policy.model",
        text: own.model.as_deref().unwrap_or(BASELINE_MODEL),
    };
    let rules = Source {
        name: "policy.rules",
        text: &own.rules,
    };
    policy::compile(model, &[rules])
        .map_err(|error| ConfigError::field("policy", error.to_string()))
}
