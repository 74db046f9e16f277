use std::sync::Arc;

use super::config::{DefaultRoute, Mode};
use super::decider::Decider;
use super::deny::{Refusal, wanted_key};
use super::requirement::{Answer, Failure, Findings as _, Requirement};
use super::route_override::RouteChanges;
use super::routes::host_of;
use super::tokens::{TokenCheck, TokenState, Tokens, TokensOfIssuers};
use super::{
    DecisionRecord, Identity, MatchedRoute, Memory, Outcome, PathError, Request, WantedKey,
    normalise_path, rest_action,
};
use crate::binding::{
    CertificateThumbprint, DpopProof, DpopRules, Presented, ProofJob, ProofRequest, Scheme,
};
use crate::verify::{Cached, KeyRing, SignatureCheck, Verdict, VerifyError};

/// Where a decision stands.
#[derive(Debug)]
pub enum Step<'r> {
    /// It is made.
    Done(Box<Outcome<'r>>),
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
    /// The token that it is about.
    token: usize,
    call: Call<'r>,
}

/// A decision that waits for the connection's client certificate.
#[derive(Debug)]
pub struct Unbound<'r> {
    identity: Arc<Identity>,
    /// The token that is bound.
    token: usize,
    call: Call<'r>,
}

// What it is in is boxed.
#[allow(clippy::large_enum_variant)]
#[derive(Debug)]
enum Check<'r> {
    Token(Box<TokenCheck<'r>>),
    Proof {
        job: ProofJob,
        identity: Arc<Identity>,
    },
}

/// What a call waits for.
// Made where it has to be waited, and put into a box at once.
#[allow(clippy::large_enum_variant)]
enum Wait<'r> {
    Signature(Check<'r>),
    Certificate(Arc<Identity>),
}

/// A request on its way through the decision.
#[derive(Debug)]
pub(super) struct Call<'r> {
    pub(super) request: Request<'r>,
    pub(super) tokens: Tokens<'r>,
    /// A token of any issuer, if there is none.
    requirement: Option<Arc<Requirement>>,
    pub(super) input: Input,
    pub(super) mode: Mode,
    pub(super) record: DecisionRecord<'r>,
    pub(super) wanted: Option<WantedKey>,
}

/// What policy is asked, if the route is mapped.
#[derive(Debug)]
pub(super) enum Input {
    Mapped { object: Arc<str>, action: Arc<str> },
    Unmapped,
}

impl Decider {
    /// Decides as far as possible without a signature check. `now` is Unix time in seconds.
    pub fn begin<'r>(
        &self,
        request: &Request<'r>,
        keys: &KeyRing,
        memory: &mut Memory,
        now: i64,
    ) -> Step<'r> {
        let own = &*self.settings;
        let version = Arc::clone(self.policy.version());
        let mut record = DecisionRecord::new(request, own.mode, version);
        if own.mode == Mode::Off && !own.has_route_modes && request.route_override.is_none() {
            return Step::Done(self.pass(record));
        }
        let path = match normalise_path(request.target) {
            Ok(path) => path,
            Err(error) => return Step::Done(self.turn_away(&Refusal::BadPath(error), record)),
        };
        if own.options_public && request.is_preflight() {
            return Step::Done(self.pass(record));
        }
        // No route of a host is for it, and it must not fall to those that are for any.
        if own.routes.has_hosts()
            && !request.authority.is_empty()
            && host_of(request.authority).is_none()
        {
            return Step::Done(self.turn_away(&Refusal::BadPath(PathError::Host), record));
        }
        let changes = match request.route_override.map(|own| own.changes()) {
            None => None,
            Some(Ok(changes)) => Some(changes),
            Some(Err(_)) => return Step::Done(self.turn_away(&Refusal::BadOverride, record)),
        };
        let route = own.routes.find(request.method, &path, request.authority);
        let rules = route.and_then(|route| own.route_rules.get(route.index()));
        let mode = changes
            .and_then(|changes| changes.mode)
            .or_else(|| rules?.mode)
            .unwrap_or(own.mode);
        record.mode = mode.name();
        let is_public = changes
            .and_then(|changes| changes.public)
            .unwrap_or_else(|| route.is_some_and(|route| route.is_public()));
        if is_public || mode == Mode::Off {
            return Step::Done(self.pass(record));
        }
        let requirement = changes
            .and_then(|changes| changes.requirement.as_ref())
            .or_else(|| rules?.requirement.as_ref())
            .or(own.requirement.as_ref());
        let mut call = Call {
            request: *request,
            tokens: Tokens::find(request, &own.locations),
            requirement: requirement.cloned(),
            input: self.input(route, changes, request.method, &path),
            mode,
            record,
            wanted: None,
        };
        self.look_up(&mut call, keys, memory, now);
        self.advance(call, now)
    }

    /// Goes on with the signature's verdict. A token that is bound to a key needs a second
    /// check, of its proof, and a request with several tokens more of them.
    pub fn finish<'r>(
        &self,
        pending: Pending<'r>,
        verdict: Verdict,
        memory: &mut Memory,
        now: i64,
    ) -> Step<'r> {
        let Pending {
            check,
            token,
            mut call,
        } = pending;
        match check {
            Check::Token(check) => {
                let TokenCheck { job, digest, epoch } = *check;
                // Keys that changed meanwhile vouch for this call, and for none after it.
                let digest = digest.filter(|_| epoch == memory.tokens.epoch());
                let state = match job.finish_unbound(verdict) {
                    Ok(verified) => {
                        let rules = &self.settings.identities;
                        let identity = Arc::new(Identity::new(&verified, rules));
                        if let Some(digest) = digest {
                            let until = verified.valid_until();
                            memory.tokens.insert(digest, Arc::clone(&identity), until);
                        }
                        self.placed(identity, token, &call.tokens)
                    }
                    Err(error) => {
                        let error = Arc::new(error);
                        if let Some(digest) = digest {
                            memory.tokens.refuse(digest, &error, now);
                        }
                        TokenState::Refused(error)
                    }
                };
                call.tokens.put(token, state);
            }
            Check::Proof { job, identity } => {
                let proof = job.finish(verdict).and_then(|proof| {
                    let (key, until) = (proof.replay_key(), proof.remember_until());
                    proof.finish(memory.proofs.check(key, until, now))
                });
                match proof {
                    Ok(proof) => call.check_binding(identity, token, Some(&proof)),
                    Err(error) => call.refuse(token, error.into()),
                }
            }
        }
        self.advance(call, now)
    }

    /// Decides in one call with the provider that prepared `keys`; a key it cannot use denies.
    pub fn decide<'r>(
        &self,
        request: &Request<'r>,
        keys: &KeyRing,
        memory: &mut Memory,
        now: i64,
    ) -> Box<Outcome<'r>> {
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
        let Unbound {
            identity,
            token,
            mut call,
        } = unbound;
        call.request.certificate = certificate;
        match self.check_proof(identity, token, &mut call, now) {
            Some(check) => waiting(Wait::Signature(check), token, call),
            None => self.advance(call, now),
        }
    }

    /// Goes on until something has to be waited for.
    fn advance<'r>(&self, mut call: Call<'r>, now: i64) -> Step<'r> {
        loop {
            let findings = self.findings(&call.tokens);
            let answer = match &call.requirement {
                Some(requirement) => requirement.evaluate(&findings),
                None => findings.of_any_issuer().into(),
            };
            let token = match answer {
                Answer::Open(token) => token,
                Answer::Fulfilled(used) => return Step::Done(self.authorize(call, used)),
                Answer::Missing | Answer::Failed(Failure::Incomplete) => {
                    return Step::Done(self.refuse_call(&Refusal::NoToken, call));
                }
                Answer::Failed(Failure::Refused(token) | Failure::Unavailable(token)) => {
                    return Step::Done(match call.tokens.error(token).cloned() {
                        Some(error) => self.refuse_call(&Refusal::BadToken(&error), call),
                        None => self.refuse_call(&Refusal::NoToken, call),
                    });
                }
                Answer::Failed(Failure::OtherIssuer(token)) => {
                    let issuer = call.tokens.identity(token).map(|own| own.issuer());
                    let error = other_issuer(issuer.map_or("", |name| &**name));
                    return Step::Done(self.refuse_call(&Refusal::BadToken(&error), call));
                }
            };
            if let Some(wait) = self.look_at(token, &mut call, now) {
                return waiting(wait, token, call);
            }
        }
    }

    /// Takes an open token a step further.
    fn look_at<'r>(&self, token: usize, call: &mut Call<'r>, now: i64) -> Option<Wait<'r>> {
        match call.tokens.put(token, TokenState::InHand) {
            TokenState::Unchecked(check) => Some(Wait::Signature(Check::Token(check))),
            TokenState::Verified(identity) => {
                if identity.needs_certificate() && call.request.certificate.is_none() {
                    return Some(Wait::Certificate(identity));
                }
                self.check_proof(identity, token, call, now)
                    .map(Wait::Signature)
            }
            settled => {
                call.tokens.put(token, settled);
                None
            }
        }
    }

    /// The check of the proof that comes with a token, if one is needed; else whether the token is
    /// the caller's own is settled.
    fn check_proof<'r>(
        &self,
        identity: Arc<Identity>,
        token: usize,
        call: &mut Call<'r>,
        now: i64,
    ) -> Option<Check<'r>> {
        let scheme = call.scheme(token);
        let wanted = identity.needs_proof() && scheme == Scheme::Dpop;
        let Some(proof) = call.request.dpop.filter(|_| wanted) else {
            call.check_binding(identity, token, None);
            return None;
        };
        let own = &*self.settings;
        let uri = call.request.uri();
        let jkt = identity.jkt();
        let request = ProofRequest {
            method: call.request.method,
            uri: &uri,
            access_token: call.tokens.get(token).map(|token| token.text),
            jkt: jkt.as_deref(),
            nonce: None,
        };
        let rules = DpopRules::default();
        match rules.begin(proof, &request, &own.limits, own.provider.as_ref(), now) {
            Ok(job) => Some(Check::Proof { job, identity }),
            Err(error) => {
                call.refuse(token, error.into());
                None
            }
        }
    }

    /// What is known of the tokens, and the beginning of a check for those that nothing is known
    /// of.
    fn look_up(&self, call: &mut Call<'_>, keys: &KeyRing, memory: &mut Memory, now: i64) {
        let is_enabled = memory.tokens.is_enabled();
        for position in 0..call.tokens.iter().count() {
            let Some(token) = call.tokens.get(position) else {
                continue;
            };
            if matches!(token.state, TokenState::Refused(_)) {
                continue;
            }
            let text = token.text;
            let digest = is_enabled.then(|| memory.tokens.digest(text));
            let state = match digest.and_then(|digest| memory.tokens.get(&digest, now)) {
                Some(Cached::Verified(identity)) => self.placed(identity, position, &call.tokens),
                Some(Cached::Refused(error)) => TokenState::Refused(error),
                None => match self.settings.verifier.begin(text, keys, now) {
                    Ok(job) => TokenState::Unchecked(Box::new(TokenCheck {
                        job,
                        digest,
                        epoch: memory.tokens.epoch(),
                    })),
                    Err(error) => {
                        call.wanted = call.wanted.take().or_else(|| wanted_key(&error));
                        TokenState::Refused(Arc::new(error))
                    }
                },
            };
            call.tokens.put(position, state);
        }
    }

    /// The state of a token that was verified: it has to be where its issuer's tokens are.
    fn placed<'r>(
        &self,
        identity: Arc<Identity>,
        token: usize,
        tokens: &Tokens<'r>,
    ) -> TokenState<'r> {
        if self.findings(tokens).is_in_place(token, identity.issuer()) {
            TokenState::Verified(identity)
        } else {
            TokenState::Refused(Arc::new(other_issuer(identity.issuer())))
        }
    }

    fn findings<'c, 'r>(&'c self, tokens: &'c Tokens<'r>) -> TokensOfIssuers<'c, 'r> {
        TokensOfIssuers {
            tokens,
            locations: &self.settings.locations,
            names: &self.settings.issuers,
        }
    }

    fn input(
        &self,
        route: Option<MatchedRoute<'_>>,
        changes: Option<&RouteChanges>,
        method: &str,
        path: &str,
    ) -> Input {
        let (object, action) = match route {
            Some(route) if route.is_public() => (None, None),
            Some(route) => (Some(route.shared_object()), Some(route.shared_action())),
            None => match self.default_action(method) {
                Some(action) => (Some(path.into()), Some(action.into())),
                None => (None, None),
            },
        };
        let changed =
            |change: fn(&RouteChanges) -> Option<&Arc<str>>| changes.and_then(change).cloned();
        let object = changed(|changes| changes.object.as_ref()).or(object);
        let action = changed(|changes| changes.action.as_ref()).or(action);
        match object.zip(action) {
            Some((object, action)) => Input::Mapped { object, action },
            None => Input::Unmapped,
        }
    }

    /// The action of requests that no route matches, if they are decided on.
    fn default_action<'m>(&'m self, method: &'m str) -> Option<&'m str> {
        let own = &*self.settings;
        match own.default_route {
            DefaultRoute::Deny => None,
            DefaultRoute::PathMethod => Some(method),
            DefaultRoute::PathRest => Some(match own.action_names.get(method) {
                Some(name) => name.as_str(),
                None => rest_action(method),
            }),
        }
    }
}

impl Call<'_> {
    /// Settles whether a token is the caller's own.
    fn check_binding(&mut self, identity: Arc<Identity>, token: usize, proof: Option<&DpopProof>) {
        let presented = Presented {
            scheme: self.scheme(token),
            certificate: self.request.certificate,
            proof,
        };
        match identity.check_binding(&presented) {
            Ok(()) => {
                self.tokens.put(token, TokenState::Good(identity));
            }
            Err(error) => self.refuse(token, error.into()),
        }
    }

    fn refuse(&mut self, token: usize, error: VerifyError) {
        let state = TokenState::Refused(Arc::new(error));
        self.tokens.put(token, state);
    }

    fn scheme(&self, token: usize) -> Scheme {
        let own = self.tokens.get(token);
        own.map(|token| token.scheme).unwrap_or_default()
    }
}

impl Pending<'_> {
    /// The signature check to make.
    pub fn effect(&self) -> SignatureCheck<'_> {
        match &self.check {
            Check::Token(check) => check.job.effect(),
            Check::Proof { job, .. } => job.effect(),
        }
    }
}

fn waiting<'r>(wait: Wait<'r>, token: usize, call: Call<'r>) -> Step<'r> {
    match wait {
        Wait::Signature(check) => Step::CheckSignature(Box::new(Pending { check, token, call })),
        Wait::Certificate(identity) => Step::ReadCertificate(Box::new(Unbound {
            identity,
            token,
            call,
        })),
    }
}

fn other_issuer(name: &str) -> VerifyError {
    VerifyError::IssuerRefused(name.chars().take(128).collect())
}
