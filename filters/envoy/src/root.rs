use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{BufferType, ContextType, LogLevel};
use tokensmith_engine::decide::Config;

use crate::request::Request;
use crate::state::{State, log, now};

const TICK: Duration = Duration::from_secs(1);

/// The plugin instance of one worker.
#[derive(Default)]
pub(crate) struct Root {
    state: Option<Rc<RefCell<State>>>,
}

impl RootContext for Root {
    fn on_configure(&mut self, size: usize) -> bool {
        let json = hostcalls::get_buffer(BufferType::PluginConfiguration, 0, size)
            .ok()
            .flatten()
            .unwrap_or_default();
        let state = Config::from_json(&json).and_then(|config| State::new(&config));
        match state {
            Ok(mut state) => {
                log(
                    LogLevel::Info,
                    &format!(
                        "configured: mode={} policy_version={} keys={} host_signatures={}",
                        state.decider.mode().name(),
                        state.decider.policy_version(),
                        state.keys.ring(now()).len(),
                        state.host_signatures
                    ),
                );
                if state.has_remote_keys() {
                    if let Err(status) = hostcalls::set_tick_period(TICK) {
                        log(
                            LogLevel::Critical,
                            &format!("cannot set a timer: {status:?}"),
                        );
                        return false;
                    }
                    state.poll(now());
                }
                self.state = Some(Rc::new(RefCell::new(state)));
                true
            }
            Err(error) => {
                log(LogLevel::Critical, &format!("{error} ({})", error.code()));
                false
            }
        }
    }

    fn on_tick(&mut self) {
        self.with_state(|state| state.poll(now()));
    }

    fn create_http_context(&self, _context_id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Request::new(self.state.clone())))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

impl Context for Root {
    fn on_http_call_response(
        &mut self,
        token_id: u32,
        _num_headers: usize,
        _body_size: usize,
        _num_trailers: usize,
    ) {
        self.with_state(|state| state.fetched(token_id, now()));
    }
}

impl Root {
    fn with_state(&self, action: impl FnOnce(&mut State)) {
        if let Some(mut state) = self
            .state
            .as_ref()
            .and_then(|state| state.try_borrow_mut().ok())
        {
            action(&mut state);
        }
    }
}
