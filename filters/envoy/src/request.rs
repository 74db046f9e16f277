use std::cell::RefCell;
use std::rc::Rc;

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::{Action, LogLevel, MapType, Status};
use tokensmith_engine::binding::CertificateThumbprint;
use tokensmith_engine::decide::{self, Denial, Outcome, Step};
use tokensmith_engine::verify::Verdict;

use crate::state::{State, log, now};

/// One HTTP request.
pub(crate) struct Request {
    state: Option<Rc<RefCell<State>>>,
}

impl Request {
    pub(crate) fn new(state: Option<Rc<RefCell<State>>>) -> Self {
        Self { state }
    }

    fn outcome(&self) -> Option<Box<Outcome>> {
        let mut state = self.state.as_ref()?.try_borrow_mut().ok()?;
        let method = header(":method")?.unwrap_or_default();
        let target = header(":path")?.unwrap_or_default();
        let authorization = header("authorization")?;
        let request_id = header("x-request-id")?;
        // Only a token that comes with a proof needs these, and each is a call to the host.
        let proof = authorization
            .as_deref()
            .is_some_and(|value| !value.trim_start().starts_with("Bearer "));
        let (scheme, dpop) = if proof {
            (header(":scheme")?, header("dpop")?)
        } else {
            (None, None)
        };
        let authority = if proof || state.decider.reads_authority() {
            header(":authority")?
        } else {
            None
        };
        let (origin, asked) = if method == "OPTIONS" && state.decider.reads_preflight() {
            (header("origin")?, header("access-control-request-method")?)
        } else {
            (None, None)
        };
        let request = decide::Request {
            method: &method,
            target: &target,
            authorization: authorization.as_deref(),
            request_id: request_id.as_deref(),
            scheme: scheme.as_deref().unwrap_or_default(),
            authority: authority.as_deref().unwrap_or_default(),
            dpop: dpop.as_deref(),
            certificate: None,
            origin: origin.as_deref(),
            access_control_request_method: asked.as_deref(),
        };
        let now = now();
        state.note_keys(now);
        let State {
            decider,
            keys,
            memory,
            host_signatures,
            ..
        } = &mut *state;
        let mut step = decider.begin(&request, keys.ring(now), memory, now);
        let outcome = loop {
            match step {
                Step::Done(outcome) => break outcome,
                Step::CheckSignature(pending) => {
                    let check = pending.effect();
                    let verdict = host_signatures
                        .check(&check)
                        .or_else(|| check.run())
                        .unwrap_or(Verdict::Invalid);
                    step = decider.finish(*pending, verdict, memory, now);
                }
                Step::ReadCertificate(unbound) => {
                    step = decider.certificate(*unbound, peer_certificate(), now);
                }
            }
        };
        if let Some(key) = &outcome.wanted {
            state.wanted.note(key);
        }
        Some(outcome)
    }
}

impl HttpContext for Request {
    fn on_http_request_headers(&mut self, _num_headers: usize, _end_of_stream: bool) -> Action {
        let Some(outcome) = self.outcome() else {
            return unavailable();
        };
        if let Some(denial) = &outcome.denial {
            if let Ok(record) = serde_json::to_string(&outcome.record) {
                log(LogLevel::Info, &format!("denied {record}"));
            }
            return respond(denial);
        }
        if outcome.record.decision != "allow"
            && let Ok(record) = serde_json::to_string(&outcome.record)
        {
            log(LogLevel::Info, &format!("would be denied {record}"));
        }
        match hand_on(&outcome) {
            Ok(()) => Action::Continue,
            // A request whose headers cannot be cleaned must not go on with forged ones.
            Err(_) => unavailable(),
        }
    }
}

impl Context for Request {}

/// `None` when the header cannot be read; bytes that are not UTF-8 are replaced, so that they
/// match nothing.
fn header(name: &str) -> Option<Option<String>> {
    match hostcalls::get_map_value_bytes(MapType::HttpRequestHeaders, name) {
        Ok(value) => Some(value.map(|bytes| match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
        })),
        Err(_) => None,
    }
}

/// The client certificate of the connection, if Envoy asked for one and it is verified.
fn peer_certificate() -> Option<CertificateThumbprint> {
    let property = |name: &str| {
        hostcalls::get_property(vec!["connection", name])
            .ok()
            .flatten()
    };
    // A digest without mutual TLS is of a certificate that nobody has checked.
    if property("mtls")? != [1] {
        return None;
    }
    let digest = property("sha256_peer_certificate_digest")?;
    CertificateThumbprint::from_hex(str::from_utf8(&digest).ok()?)
}

fn hand_on(outcome: &Outcome) -> Result<(), Status> {
    let set: &[(String, String)] = match &outcome.identity {
        Some(identity) => identity.headers(),
        None => &[],
    };
    for name in outcome.strip.iter() {
        // Setting replaces every inbound copy, so what is set needs no removal.
        if !set.iter().any(|(own, _)| own == name) {
            hostcalls::remove_map_value(MapType::HttpRequestHeaders, name)?;
        }
    }
    for (name, value) in set {
        hostcalls::set_map_value(MapType::HttpRequestHeaders, name, Some(value))?;
    }
    Ok(())
}

fn respond(denial: &Denial) -> Action {
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
    Action::Pause
}

fn unavailable() -> Action {
    log(
        LogLevel::Error,
        "a host call failed; the request is refused",
    );
    respond(&Denial::unavailable())
}
