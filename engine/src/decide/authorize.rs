use std::sync::Arc;

use super::config::Mode;
use super::decider::Decider;
use super::deny::Refusal;
use super::location::{AUTHORIZATION, COOKIE, Location};
use super::policies::{Caller, PolicySlot};
use super::requirement::Used;
use super::steps::{Call, Input};
use super::tokens::{Token, TokenState};
use super::{DecisionRecord, Identity, Outcome, ShadowDecision, cookies, query};
use crate::authz::Decision;

impl Decider {
    /// Decides by policy on a request whose tokens were checked.
    pub(super) fn authorize<'r>(&self, mut call: Call<'r>, used: Used) -> Box<Outcome<'r>> {
        let identity = used.principal.and_then(|token| call.tokens.identity(token));
        let identity = identity.cloned();
        self.note_identity(&mut call.record, identity.as_deref());
        let refusal = match &call.input {
            Input::Unmapped => Some(Refusal::Unmapped),
            Input::Mapped { object, action } => {
                call.record.object = Arc::clone(object);
                call.record.action = Arc::clone(action);
                self.ask(&mut call.record, identity.as_deref())
            }
        };
        let Some(refusal) = refusal else {
            return self.hand_on(call, identity, used);
        };
        if call.mode == Mode::Shadow {
            call.record.decision = refusal.decision().name();
            call.record.reason = refusal.reason();
            return self.hand_on(call, identity, used);
        }
        let mut outcome = self.refuse_with(&refusal, call.record, identity);
        outcome.wanted = call.wanted;
        outcome
    }

    /// Refuses a call for its tokens.
    pub(super) fn refuse_call<'r>(
        &self,
        refusal: &Refusal<'_>,
        call: Call<'r>,
    ) -> Box<Outcome<'r>> {
        let mut outcome = self.turn_away(refusal, call.record);
        outcome.wanted = call.wanted;
        outcome
    }

    /// Refuses a request of nobody that is known.
    pub(super) fn turn_away<'r>(
        &self,
        refusal: &Refusal<'_>,
        record: DecisionRecord<'r>,
    ) -> Box<Outcome<'r>> {
        self.refuse_with(refusal, record, None)
    }

    /// Hands on a request whose tokens were not looked at.
    pub(super) fn pass<'r>(&self, record: DecisionRecord<'r>) -> Box<Outcome<'r>> {
        Box::new(Outcome {
            denial: None,
            identity: None,
            others: Vec::new(),
            strip: Arc::clone(&self.settings.strip),
            target: None,
            token_headers: Vec::new(),
            record,
            wanted: None,
        })
    }

    fn note_identity(&self, record: &mut DecisionRecord<'_>, identity: Option<&Identity>) {
        let Some(identity) = identity else {
            return;
        };
        let principal = identity.principal();
        record.principal_id = Arc::clone(principal.shared_id());
        record.principal_type = Some(principal.principal_type().name());
        record.roles_count = principal.roles().len();
        if self.settings.record_roles {
            record.roles = principal.roles().map(str::to_owned).collect();
        }
        record.issuer = Some(Arc::clone(identity.issuer()));
    }

    /// Asks the policies about the object and action of the record.
    fn ask(
        &self,
        record: &mut DecisionRecord<'_>,
        identity: Option<&Identity>,
    ) -> Option<Refusal<'static>> {
        let caller = match identity {
            Some(identity) => Caller::Known(identity.principal()),
            None => Caller::Anonymous(&self.settings.anonymous),
        };
        if let Some(shadow) = &self.shadow {
            let decision = shadowed(shadow, caller, &record.object, &record.action);
            record.shadow = Some(Box::new(decision));
        }
        // The policy may be another one than when the request came.
        record.policy_version = Arc::clone(self.policy.version());
        let Some(verdict) = self.policy.ask(caller, &record.object, &record.action) else {
            return Some(Refusal::NoPolicy);
        };
        record.matched_roles = verdict.matched_roles;
        record.matched_rules = verdict.matched_rules;
        (verdict.decision != Decision::Allow).then_some(Refusal::Policy(verdict.decision))
    }

    fn hand_on<'r>(
        &self,
        call: Call<'r>,
        identity: Option<Arc<Identity>>,
        used: Used,
    ) -> Box<Outcome<'r>> {
        let mut others = Vec::new();
        if used.has_others() {
            let tokens = 0..call.tokens.iter().count();
            let further = tokens.filter(|token| used.is_other(*token));
            others.extend(further.filter_map(|token| call.tokens.identity(token).cloned()));
        }
        let (target, token_headers) = self.cut(&call);
        let mut outcome = self.pass(call.record);
        outcome.identity = identity;
        outcome.others = others;
        outcome.target = target;
        outcome.token_headers = token_headers;
        outcome.wanted = call.wanted;
        outcome
    }

    /// The new request target and the headers without the tokens that are not handed on.
    fn cut(&self, call: &Call<'_>) -> (Option<String>, Vec<(String, Option<String>)>) {
        let mut target: Option<String> = None;
        let mut headers: Vec<(String, Option<String>)> = Vec::new();
        if self.settings.forward.iter().all(|forward| *forward) {
            return (target, headers);
        }
        let mut cut_cookies: Vec<&str> = Vec::new();
        for token in call.tokens.iter().filter(|token| self.is_cut(token)) {
            match self.settings.locations.get(token.place) {
                Some(Location::Credentials) => headers.push((AUTHORIZATION.to_owned(), None)),
                Some(Location::Header { name, .. }) => headers.push((name.clone(), None)),
                Some(Location::Query(name)) => {
                    let before = target.as_deref().unwrap_or(call.request.target);
                    target = Some(query::without(before, name));
                }
                Some(Location::Cookie(name)) => cut_cookies.push(name),
                None => {}
            }
        }
        if !cut_cookies.is_empty() {
            let rest = cookies::without(call.request.headers, |name| cut_cookies.contains(&name));
            headers.push((COOKIE.to_owned(), rest));
        }
        // One header may be the place of several issuers' tokens, by its prefixes.
        headers.sort();
        headers.dedup();
        (target, headers)
    }

    /// What was verified is cut out as its issuer says; what was not, where any issuer wants it.
    fn is_cut(&self, token: &Token<'_>) -> bool {
        let TokenState::Good(identity) = &token.state else {
            return self.settings.locations.is_cut(token.place);
        };
        let issuers = self.settings.issuers.iter().zip(&self.settings.forward);
        let mut own = issuers.filter(|(name, _)| *name == identity.issuer());
        own.any(|(_, forward)| !*forward)
    }

    fn refuse_with<'r>(
        &self,
        refusal: &Refusal<'_>,
        mut record: DecisionRecord<'r>,
        identity: Option<Arc<Identity>>,
    ) -> Box<Outcome<'r>> {
        record.decision = refusal.decision().name();
        record.reason = refusal.reason();
        record.error = refusal.error_code();
        let shown = identity.as_deref().filter(|_| self.settings.deny_roles);
        let denial = refusal.denial(&record, shown);
        let mut outcome = self.pass(record);
        outcome.denial = Some(denial);
        outcome.identity = identity;
        outcome
    }
}

fn shadowed(shadow: &PolicySlot, caller: Caller<'_>, object: &str, action: &str) -> ShadowDecision {
    let verdict = shadow.ask(caller, object, action);
    let refusal = match &verdict {
        Some(verdict) if verdict.decision == Decision::Allow => None,
        Some(verdict) => Some(Refusal::Policy(verdict.decision)),
        None => Some(Refusal::NoPolicy),
    };
    let (matched_roles, matched_rules) = verdict
        .map(|verdict| (verdict.matched_roles, verdict.matched_rules))
        .unwrap_or_default();
    let decision = refusal.as_ref().map_or(Decision::Allow, Refusal::decision);
    ShadowDecision {
        decision: decision.name(),
        reason: refusal.as_ref().map_or("", Refusal::reason),
        policy_version: Arc::clone(shadow.version()),
        matched_roles,
        matched_rules,
    }
}
