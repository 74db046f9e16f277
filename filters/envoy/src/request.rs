use std::cell::{Cell, RefCell};
use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;

use crate::decision::{self, Carried};
use crate::host::Clock;
use crate::state::State;
use crate::waiting::Phase;

/// One HTTP request.
pub(crate) struct Request {
    id: u32,
    state: Option<Rc<RefCell<State>>>,
    phase: Phase,
    /// Of a request that waits, or has waited: the root context goes on with it.
    waited: Option<Rc<Cell<Phase>>>,
}

impl Request {
    pub(crate) fn new(id: u32, state: Option<Rc<RefCell<State>>>) -> Self {
        Self {
            id,
            state,
            phase: Phase::Undecided,
            waited: None,
        }
    }

    fn phase(&self) -> Phase {
        self.waited
            .as_ref()
            .map_or(self.phase, |waited| waited.get())
    }

    fn action(&self) -> Action {
        match self.phase() {
            Phase::Passed => Action::Continue,
            Phase::Undecided | Phase::Answered => Action::Pause,
        }
    }

    fn begin(&mut self) -> Carried {
        let Some(mut state) = self
            .state
            .as_ref()
            .and_then(|state| state.try_borrow_mut().ok())
        else {
            return decision::unavailable();
        };
        let now = Clock::now();
        let has_room = state.waiting.has_room();
        let carried = decision::carry_out(&mut state, now, has_room);
        if carried == Carried::Early {
            self.waited = state.wait(self.id, now);
            if self.waited.is_none() {
                return decision::unavailable();
            }
        }
        carried
    }

    /// Nobody waits for this request any more.
    fn leave(&mut self) {
        if let Some(waited) = self.waited.take() {
            self.phase = Phase::Answered;
            waited.set(Phase::Answered);
            if let Some(mut state) = self
                .state
                .as_ref()
                .and_then(|state| state.try_borrow_mut().ok())
            {
                state.waiting.leave(self.id);
            }
        }
    }
}

impl HttpContext for Request {
    fn on_http_request_headers(&mut self, _num_headers: usize, _end_of_stream: bool) -> Action {
        self.phase = match self.begin() {
            Carried::Passed => Phase::Passed,
            Carried::Answered => Phase::Answered,
            Carried::Early => Phase::Undecided,
        };
        self.action()
    }

    fn on_http_request_body(&mut self, _body_size: usize, _end_of_stream: bool) -> Action {
        // With `allow_on_headers_stop_iteration` Envoy goes on to the body, and "continue" here
        // would hand on the headers, too.
        self.action()
    }

    fn on_http_request_trailers(&mut self, _num_trailers: usize) -> Action {
        self.action()
    }
}

impl Context for Request {}

// The stream has ended: no other callback is needed for that, and each that the module exports
// costs every request a call.
impl Drop for Request {
    fn drop(&mut self) {
        self.leave();
    }
}
