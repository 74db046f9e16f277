use proxy_wasm::hostcalls;
use proxy_wasm::types::LogLevel;
use tokensmith_engine::decide::{Denial, Outcome, Request, Step};
use tokensmith_engine::verify::Verdict;

use crate::filter_state;
use crate::headers::{self, Headers};
use crate::host::{Clock, log};
use crate::state::State;

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carried {
    /// It may go on, with its headers changed.
    Passed,
    /// It has an answer.
    Answered,
    /// What it takes to decide may come soon.
    Early,
}

/// Decides on the request of the effective context and carries that out.
pub(crate) fn carry_out(state: &mut State, now: Clock, may_wait: bool) -> Carried {
    let Some(read) = Headers::read(&state.decider) else {
        return unavailable();
    };
    // A proof is good once: it must not be spent on a decision that has to be made again.
    if may_wait && read.dpop.is_some() && state.waits_for_policy() {
        return Carried::Early;
    }
    let route_override = if state.decider.reads_route_override() {
        // Envoy may have chosen the route by a header that is about to be removed.
        if headers::has_any(state.decider.strip_headers()) {
            return forged();
        }
        state.overrides.of_request(&state.decider)
    } else {
        None
    };
    let others: Vec<(&str, &str)> = read
        .others
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let request = Request {
        method: &read.method,
        target: &read.target,
        authorization: read.authorization.as_deref(),
        request_id: read.request_id.as_deref(),
        scheme: read.scheme.as_deref().unwrap_or_default(),
        authority: read.authority.as_deref().unwrap_or_default(),
        dpop: read.dpop.as_deref(),
        certificate: None,
        origin: read.origin.as_deref(),
        access_control_request_method: read.access_control_request_method.as_deref(),
        headers: &others,
        route_override: route_override.as_deref(),
    };
    let (outcome, checks) = decide(state, &request, now);
    if let Some(key) = &outcome.wanted {
        state.keys.wanted.note(key);
    }
    if may_wait && outcome.came_early() && state.may_come_soon(&outcome) {
        return Carried::Early;
    }
    state.metrics.decided(&outcome, checks);
    finish(state, &outcome)
}

/// Refuses a request that cannot be decided on.
pub(crate) fn unavailable() -> Carried {
    log(
        LogLevel::Error,
        "a host call failed; the request is refused",
    );
    respond(&Denial::unavailable())
}

/// The outcome, and how many signatures of tokens were checked for it.
fn decide<'r>(state: &mut State, request: &Request<'r>, now: Clock) -> (Box<Outcome<'r>>, usize) {
    state.note_keys(now);
    let State {
        decider,
        keys,
        memory,
        host_signatures,
        ..
    } = state;
    let mut checks = 0_usize;
    let mut step = decider.begin(request, keys.sources.ring(now.seconds), memory, now.seconds);
    let outcome = loop {
        match step {
            Step::Done(outcome) => break outcome,
            Step::CheckSignature(pending) => {
                checks += 1;
                let check = pending.effect();
                let verdict = host_signatures
                    .check(&check)
                    .or_else(|| check.run())
                    .unwrap_or(Verdict::Invalid);
                step = decider.finish(*pending, verdict, memory, now.seconds);
            }
            Step::ReadCertificate(unbound) => {
                step = decider.certificate(*unbound, headers::peer_certificate(), now.seconds);
            }
        }
    };
    // One of them was of the proof.
    let proofs = usize::from(request.dpop.is_some());
    (outcome, checks.saturating_sub(proofs))
}

fn finish(state: &State, outcome: &Outcome<'_>) -> Carried {
    if state.filter_state {
        filter_state::set(outcome);
    }
    if let Some(denial) = &outcome.denial {
        tell("denied", outcome);
        return respond(denial);
    }
    if outcome.record.decision != "allow" {
        tell("would be denied", outcome);
    }
    if headers::change(outcome).is_err() {
        // A request whose headers cannot be cleaned must not go on with forged ones.
        return unavailable();
    }
    if state.clear_route_cache {
        // A host without the function has no routes to choose anew.
        let _ = hostcalls::call_foreign_function("clear_route_cache", None);
    }
    Carried::Passed
}

fn tell(what: &str, outcome: &Outcome<'_>) {
    if let Ok(record) = serde_json::to_string(&outcome.record) {
        log(LogLevel::Info, &format!("{what} {record}"));
    }
}

fn forged() -> Carried {
    log(
        LogLevel::Warn,
        "refused: with `route_overrides` no request may bring the headers that this filter sets",
    );
    respond(&Denial {
        status: 400,
        headers: vec![
            ("content-type", "application/json; charset=utf-8".to_owned()),
            ("cache-control", "no-store".to_owned()),
        ],
        body: br#"{"schema_version":"authz.deny.v1","schema":"authz.deny.v1","code":"BAD_REQUEST","message":"the request brings headers that only the proxy may set","decision":"error","reason":"bad_request"}"#.to_vec(),
    })
}

fn respond(denial: &Denial) -> Carried {
    let headers = denial
        .headers
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    if hostcalls::send_http_response(u32::from(denial.status), headers, Some(&denial.body)).is_err()
    {
        log(
            LogLevel::Error,
            "cannot send a response; the request stays paused",
        );
    }
    Carried::Answered
}
