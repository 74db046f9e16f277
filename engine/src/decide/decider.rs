use std::collections::BTreeMap;
use std::sync::Arc;

use super::actions::rest_action;
use super::config::{Config, ConfigError, DefaultRoute, Mode};
use super::deny::Refusal;
use super::identity::IDENTITY_HEADERS;
use super::outcome::{DecisionRecord, MatchedRule, Outcome};
use super::request::credentials;
use super::routes::host_of;
use super::{ClaimHeader, Identity, Memory, PathError, Request, RouteTable, normalise_path};
use crate::authz::{CompileOptions, CompiledPolicy, Decision};
use crate::binding::{
    CertificateThumbprint, DpopProof, DpopRules, Presented, ProofJob, ProofRequest, Scheme,
};
use crate::claims::ClaimRules;
use crate::jose::Limits;
use crate::policy::{self, BASELINE_MODEL, Source};
use crate::verify::{
    Cached, KeyRing, SignatureCheck, SignatureJob, SignatureProvider, TokenDigest, Verdict,
    Verifier, VerifyError,
};

/// Decides requests. Built once from a configuration, shared by all requests.
#[derive(Debug)]
pub struct Decider {
    mode: Mode,
    routes: RouteTable,
    default_route: DefaultRoute,
    action_names: BTreeMap<String, String>,
    options_public: bool,
    record_roles: bool,
    deny_roles: bool,
    verifier: Verifier,
    policy: CompiledPolicy,
    policy_version: Arc<str>,
    claim_headers: Vec<ClaimHeader>,
    strip: Arc<[String]>,
    limits: Limits,
    provider: Box<dyn SignatureProvider>,
}

/// Where a decision stands.
#[derive(Debug)]
pub enum Step<'r> {
    /// It is made.
    Done(Box<Outcome>),
    /// It needs the answer to a signature check, then [`Decider::finish`].
    CheckSignature(Box<Pending<'r>>),
    /// It needs the connection's client certificate, then [`Decider::certificate`]: asked for
    /// only where a token is bound to one and [`Request::certificate`] is not known.
    ReadCertificate(Box<Unbound<'r>>),
}

/// A decision that waits for a signature check.
#[derive(Debug)]
pub struct Pending<'r> {
    check: Check<'r>,
    call: Call<'r>,
}

/// A decision that waits for the connection's client certificate.
#[derive(Debug)]
pub struct Unbound<'r> {
    identity: Arc<Identity>,
    call: Call<'r>,
}

// What it is in is boxed.
#[allow(clippy::large_enum_variant)]
#[derive(Debug)]
enum Check<'r> {
    Token {
        job: SignatureJob<'r>,
        digest: Option<TokenDigest>,
        /// Of the keys that the job was begun with.
        epoch: u64,
    },
    Proof {
        job: ProofJob,
        identity: Arc<Identity>,
    },
}

/// A request on its way through the decision.
#[derive(Debug)]
struct Call<'r> {
    request: Request<'r>,
    scheme: Scheme,
    token: &'r str,
    input: Input,
    record: DecisionRecord,
}

/// What policy is asked, if the route is mapped.
#[derive(Debug)]
enum Input {
    Mapped { object: Arc<str>, action: Arc<str> },
    Unmapped,
}

impl Decider {
    /// Compiles a configuration. `limits` bound tokens; `provider` prepares the keys of proofs.
    ///
    /// # Errors
    /// [`ConfigError::Field`] for a policy that does not compile or does not fit, and for routes
    /// that [`RouteTable::new`] refuses.
    pub fn new(
        config: &Config,
        limits: Limits,
        provider: impl SignatureProvider + 'static,
    ) -> Result<Self, ConfigError> {
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
            routes: RouteTable::new(&config.routes)?,
            default_route: config.default_route,
            action_names: config.action_names.clone(),
            options_public: config.options_public,
            record_roles: config.record_roles,
            deny_roles: config.deny_roles,
            verifier: Verifier::new(rules, limits.clone()),
            limits,
            provider: Box::new(provider),
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

    /// Whether every request's [`Request::authority`] is needed: a route has a host.
    pub fn reads_authority(&self) -> bool {
        self.routes.has_hosts()
    }

    /// Whether [`Request::origin`] and [`Request::access_control_request_method`] are needed for
    /// requests with the method `OPTIONS`.
    pub fn reads_preflight(&self) -> bool {
        self.options_public
    }

    /// Decides as far as possible without a signature check. `now` is Unix time in seconds.
    pub fn begin<'r>(
        &self,
        request: &Request<'r>,
        keys: &KeyRing,
        memory: &mut Memory,
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
        if self.options_public && request.is_preflight() {
            return Step::Done(self.hand_on(record, None));
        }
        // No route of a host is for it, and it must not fall to those that are for any.
        if self.routes.has_hosts()
            && !request.authority.is_empty()
            && host_of(request.authority).is_none()
        {
            let refusal = Refusal::BadPath(PathError::Host);
            return Step::Done(self.refuse(&refusal, record, None));
        }
        let input = match self.routes.find(request.method, &path, request.authority) {
            Some(route) if route.is_public() => return Step::Done(self.hand_on(record, None)),
            Some(route) => Input::Mapped {
                object: route.shared_object(),
                action: route.shared_action(),
            },
            None => self.default_input(request.method, path),
        };
        let Some((scheme, token)) = request.authorization.and_then(credentials) else {
            return Step::Done(self.refuse(&Refusal::NoToken, record, None));
        };
        let call = Call {
            request: *request,
            scheme,
            token,
            input,
            record,
        };
        let digest = memory
            .tokens
            .is_enabled()
            .then(|| memory.tokens.digest(token));
        match digest.and_then(|digest| memory.tokens.get(&digest, now)) {
            Some(Cached::Verified(identity)) => return self.bind(identity, call, now),
            Some(Cached::Refused(error)) => return Step::Done(self.refuse_token(&error, call)),
            None => {}
        }
        match self.verifier.begin(token, keys, now) {
            Ok(job) => Step::CheckSignature(Box::new(Pending {
                check: Check::Token {
                    job,
                    digest,
                    epoch: memory.tokens.epoch(),
                },
                call,
            })),
            Err(error) => Step::Done(self.refuse_token(&error, call)),
        }
    }

    /// Goes on with the signature's verdict. A token that is bound to a key needs a second
    /// check, of its proof.
    pub fn finish<'r>(
        &self,
        pending: Pending<'r>,
        verdict: Verdict,
        memory: &mut Memory,
        now: i64,
    ) -> Step<'r> {
        let call = pending.call;
        match pending.check {
            Check::Token { job, digest, epoch } => {
                // Keys that changed meanwhile vouch for this call, and for none after it.
                let digest = digest.filter(|_| epoch == memory.tokens.epoch());
                match job.finish_unbound(verdict) {
                    Ok(verified) => {
                        let identity = Arc::new(Identity::new(&verified, &self.claim_headers));
                        if let Some(digest) = digest {
                            let until = verified.valid_until();
                            memory.tokens.insert(digest, Arc::clone(&identity), until);
                        }
                        self.bind(identity, call, now)
                    }
                    Err(error) => {
                        let error = Arc::new(error);
                        if let Some(digest) = digest {
                            memory.tokens.refuse(digest, &error, now);
                        }
                        Step::Done(self.refuse_token(&error, call))
                    }
                }
            }
            Check::Proof { job, identity } => {
                let proof = job.finish(verdict).and_then(|proof| {
                    let (key, until) = (proof.replay_key(), proof.remember_until());
                    proof.finish(memory.proofs.check(key, until, now))
                });
                Step::Done(match proof {
                    Ok(proof) => self.check_binding(identity, call, Some(&proof)),
                    Err(error) => self.refuse_token(&error.into(), call),
                })
            }
        }
    }

    /// Decides in one call with the provider that prepared `keys`; a key it cannot use denies.
    pub fn decide(
        &self,
        request: &Request<'_>,
        keys: &KeyRing,
        memory: &mut Memory,
        now: i64,
    ) -> Box<Outcome> {
        let mut step = self.begin(request, keys, memory, now);
        loop {
            match step {
                Step::Done(outcome) => return outcome,
                Step::CheckSignature(pending) => {
                    let verdict = pending.effect().run().unwrap_or(Verdict::Invalid);
                    step = self.finish(*pending, verdict, memory, now);
                }
                Step::ReadCertificate(unbound) => step = self.certificate(*unbound, None, now),
            }
        }
    }

    /// Goes on with the client certificate of the connection, as far as it has one.
    pub fn certificate<'r>(
        &self,
        unbound: Unbound<'r>,
        certificate: Option<CertificateThumbprint>,
        now: i64,
    ) -> Step<'r> {
        let Unbound { identity, mut call } = unbound;
        call.request.certificate = certificate;
        self.check_proof(identity, call, now)
    }

    /// Whether the verified token is the caller's own: certificate, proof, then both together.
    fn bind<'r>(&self, identity: Arc<Identity>, call: Call<'r>, now: i64) -> Step<'r> {
        if identity.needs_certificate() && call.request.certificate.is_none() {
            return Step::ReadCertificate(Box::new(Unbound { identity, call }));
        }
        self.check_proof(identity, call, now)
    }

    fn check_proof<'r>(&self, identity: Arc<Identity>, call: Call<'r>, now: i64) -> Step<'r> {
        let wanted = identity.needs_proof() && call.scheme == Scheme::Dpop;
        let Some(proof) = call.request.dpop.filter(|_| wanted) else {
            return Step::Done(self.check_binding(identity, call, None));
        };
        let uri = call.request.uri();
        let jkt = identity.jkt();
        let request = ProofRequest {
            method: call.request.method,
            uri: &uri,
            access_token: Some(call.token),
            jkt: jkt.as_deref(),
            nonce: None,
        };
        let rules = DpopRules::default();
        match rules.begin(proof, &request, &self.limits, self.provider.as_ref(), now) {
            Ok(job) => Step::CheckSignature(Box::new(Pending {
                check: Check::Proof { job, identity },
                call,
            })),
            Err(error) => Step::Done(self.refuse_token(&error.into(), call)),
        }
    }

    fn check_binding(
        &self,
        identity: Arc<Identity>,
        call: Call<'_>,
        proof: Option<&DpopProof>,
    ) -> Box<Outcome> {
        let presented = Presented {
            scheme: call.scheme,
            certificate: call.request.certificate,
            proof,
        };
        match identity.check_binding(&presented) {
            Ok(()) => self.authorize(identity, call.input, call.record),
            Err(error) => self.refuse_token(&error.into(), call),
        }
    }

    fn refuse_token(&self, error: &VerifyError, call: Call<'_>) -> Box<Outcome> {
        self.refuse(&Refusal::BadToken(error), call.record, None)
    }

    fn default_input(&self, method: &str, path: String) -> Input {
        let action = match self.default_route {
            DefaultRoute::Deny => return Input::Unmapped,
            DefaultRoute::PathMethod => method,
            DefaultRoute::PathRest => match self.action_names.get(method) {
                Some(name) => name.as_str(),
                None => rest_action(method),
            },
        };
        Input::Mapped {
            object: path.into(),
            action: action.into(),
        }
    }

    fn authorize(
        &self,
        identity: Arc<Identity>,
        input: Input,
        mut record: DecisionRecord,
    ) -> Box<Outcome> {
        let principal = identity.principal();
        record.principal_id = Arc::clone(principal.shared_id());
        record.principal_type = Some(principal.principal_type().name());
        record.roles_count = principal.roles().len();
        if self.record_roles {
            record.roles = principal.roles().map(str::to_owned).collect();
        }
        let refusal = match input {
            Input::Unmapped => Refusal::Unmapped,
            Input::Mapped { object, action } => {
                let (mut allowed, mut rules) = (Vec::new(), Vec::new());
                let decision = self
                    .policy
                    .authorize_each(principal, &object, &action, |answer| {
                        if answer.allowed {
                            allowed.push(Arc::clone(answer.subject));
                        }
                        rules.extend(answer.row.map(MatchedRule::from));
                    });
                record.matched_roles = allowed;
                record.matched_rules = rules;
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
            wanted: None,
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
            denial: Some(refusal.denial(&record, identity.as_deref().filter(|_| self.deny_roles))),
            identity,
            strip: Arc::clone(&self.strip),
            wanted: refusal.wanted_key(),
            record,
        })
    }
}

impl Pending<'_> {
    /// The signature check to make.
    pub fn effect(&self) -> SignatureCheck<'_> {
        match &self.check {
            Check::Token { job, .. } => job.effect(),
            Check::Proof { job, .. } => job.effect(),
        }
    }
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
    let options = CompileOptions {
        role_matching: own.role_matching.clone(),
        domain_matching: own.domain_matching.clone(),
    };
    policy::compile_with(model, &[rules], &options)
        .map_err(|error| ConfigError::field("policy", error.to_string()))
}
