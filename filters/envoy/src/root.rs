use std::cell::RefCell;
use std::rc::Rc;

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{BufferType, ContextType, LogLevel};
use tokensmith_engine::decide::Config;

use crate::host::{Clock, log};
use crate::request::Request;
use crate::state::State;

/// The plugin instance of one worker.
pub(crate) struct Root {
    id: u32,
    state: Option<Rc<RefCell<State>>>,
}

impl Root {
    pub(crate) fn new(id: u32) -> Self {
        Self { id, state: None }
    }

    fn with_state(&self, action: impl FnOnce(&mut State)) {
        if let Some(mut state) = self
            .state
            .as_ref()
            .and_then(|state| state.try_borrow_mut().ok())
        {
            action(&mut state);
        }
    }

    /// Puts `state` into use; requests that wait do so with the new one.
    fn enter(&mut self, mut state: State) -> bool {
        let Some(shared) = &self.state else {
            self.state = Some(Rc::new(RefCell::new(state)));
            return true;
        };
        let Ok(mut former) = shared.try_borrow_mut() else {
            return false;
        };
        state.succeed(&mut former);
        *former = state;
        true
    }
}

impl RootContext for Root {
    fn on_configure(&mut self, size: usize) -> bool {
        let json = hostcalls::get_buffer(BufferType::PluginConfiguration, 0, size)
            .ok()
            .flatten()
            .unwrap_or_default();
        let now = Clock::now();
        let state = Config::from_json(&json).and_then(|config| State::new(&config, self.id));
        match state {
            Ok(mut state) => {
                state.begin(now);
                log(LogLevel::Info, &state.summary(now));
                state.set_tick(now) && self.enter(state)
            }
            Err(error) => {
                log(LogLevel::Critical, &format!("{error} ({})", error.code()));
                false
            }
        }
    }

    fn on_tick(&mut self) {
        self.with_state(|state| state.tick(Clock::now()));
    }

    fn create_http_context(&self, context_id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Request::new(context_id, self.state.clone())))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

impl Context for Root {
    fn on_http_call_response(
        &mut self,
        token_id: u32,
        num_headers: usize,
        body_size: usize,
        _num_trailers: usize,
    ) {
        self.with_state(|state| state.answered(token_id, num_headers, body_size, Clock::now()));
    }
}

// As for requests: `on_done` would be called for each of them, too.
impl Drop for Root {
    fn drop(&mut self) {
        self.with_state(|state| state.end(Clock::now()));
    }
}
