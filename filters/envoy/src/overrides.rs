use std::collections::HashMap;
use std::rc::Rc;

use proxy_wasm::hostcalls;
use proxy_wasm::types::LogLevel;
use tokensmith_engine::decide::{Decider, RouteOverride};

use crate::host::log;

/// Where Envoy's route says what is to be other than configured here.
const PROPERTY: [&str; 5] = [
    "xds",
    "route_metadata",
    "filter_metadata",
    "tokensmith",
    "override",
];
/// Most texts remembered: there are as many as Envoy has routes with one, and those change
/// without this filter.
const TEXTS: usize = 1_024;

/// The overrides of Envoy's routes, by their text.
#[derive(Debug, Default)]
pub(crate) struct Overrides(HashMap<Vec<u8>, Rc<RouteOverride>>);

impl Overrides {
    /// The override of the route that Envoy has chosen for the request, `None` without one.
    pub(crate) fn of_request(&mut self, decider: &Decider) -> Option<Rc<RouteOverride>> {
        let text = hostcalls::get_property(PROPERTY.to_vec()).ok().flatten()?;
        if text.is_empty() {
            return None;
        }
        if let Some(known) = self.0.get(&text) {
            return Some(Rc::clone(known));
        }
        // What is not UTF-8 is not JSON either, and becomes an override that refuses.
        let made = Rc::new(decider.route_override(&String::from_utf8_lossy(&text)));
        if let Some(error) = made.error() {
            log(
                LogLevel::Error,
                &format!(
                    "route metadata `tokensmith`: {error} ({}); its requests are refused",
                    error.code()
                ),
            );
        }
        if self.0.len() >= TEXTS {
            self.0.clear();
        }
        self.0.insert(text, Rc::clone(&made));
        Some(made)
    }
}
