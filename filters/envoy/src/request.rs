use std::cell::RefCell;
use std::rc::Rc;

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::{Action, LogLevel, MapType, Status};
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
        let request = decide::Request {
            method: &method,
            target: &target,
            authorization: authorization.as_deref(),
            request_id: request_id.as_deref(),
        };
        let now = now();
        let State {
            decider,
            keys,
            cache,
            host_signatures,
            ..
        } = &mut *state;
        let outcome = match decider.begin(&request, keys, cache, now) {
            Step::Done(outcome) => outcome,
            Step::CheckSignature(pending) => {
                let job = pending.job();
                let verdict = host_signatures
                    .check(job)
                    .or_else(|| job.check())
                    .unwrap_or(Verdict::Invalid);
                decider.finish(*pending, verdict, cache)
            }
        };
        state.keys_wanted |= outcome.keys_wanted;
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
    respond(&Denial {
        status: 503,
        headers: vec![("content-type", "application/json; charset=utf-8".to_owned())],
        body: br#"{"schema_version":"authz.deny.v1","schema":"authz.deny.v1","code":"AUTHZ_ENGINE_ERROR","message":"authorization engine error","decision":"error","reason":"engine_error"}"#.to_vec(),
    })
}
