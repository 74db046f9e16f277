use std::cell::Cell;
use std::rc::Rc;

use proxy_wasm::hostcalls;
use proxy_wasm::types::LogLevel;
use tokensmith_engine::decide::Outcome;

use crate::bundle::Bundle;
use crate::decision::{self, Carried};
use crate::host::{Clock, log};
use crate::state::State;
use crate::waiting::Phase;

/// Requests that wait for keys or a policy.
impl State {
    /// Lets request `id` wait.
    pub(crate) fn wait(&mut self, id: u32, now: Clock) -> Option<Rc<Cell<Phase>>> {
        let phase = self.waiting.enter(id, now.ms);
        self.metrics.paused();
        self.hurry();
        phase
    }

    /// Whether there is no policy yet and it may come soon.
    pub(crate) fn waits_for_policy(&self) -> bool {
        !self.decider.has_policy() && self.policy.as_ref().is_some_and(Bundle::is_on_its_way)
    }

    /// Whether what `outcome` lacks may come soon.
    pub(crate) fn may_come_soon(&self, outcome: &Outcome<'_>) -> bool {
        let keys = outcome
            .wanted
            .as_ref()
            .is_some_and(|wanted| self.keys.are_on_their_way(&wanted.issuer));
        keys || self.waits_for_policy()
    }

    /// Decides anew on requests that wait: all when something has changed, else those that have
    /// waited long enough.
    pub(crate) fn decide_anew(&mut self, now: Clock) {
        let due = self.waiting.due(std::mem::take(&mut self.anew), now.ms);
        if due.is_empty() {
            return;
        }
        for id in due {
            self.decide_one_anew(id, now);
        }
        if hostcalls::set_effective_context(self.root).is_err() {
            log(LogLevel::Error, "cannot return to the root context");
        }
    }

    fn decide_one_anew(&mut self, id: u32, now: Clock) {
        if hostcalls::set_effective_context(id).is_err() {
            self.waiting.end(id, Phase::Answered);
            return;
        }
        let over = self.waiting.is_over(id, now.ms);
        match decision::carry_out(self, now, !over) {
            Carried::Early => {}
            Carried::Passed => {
                self.metrics.resumed();
                // First, as the request's body may follow at once.
                self.waiting.end(id, Phase::Passed);
                if hostcalls::resume_http_request().is_err() {
                    log(LogLevel::Error, "cannot go on with a request that waited");
                }
            }
            Carried::Answered => {
                if over {
                    self.metrics.timed_out();
                } else {
                    self.metrics.turned_away();
                }
                self.waiting.end(id, Phase::Answered);
            }
        }
    }

    /// How many documents may come soon.
    pub(crate) fn under_way(&self) -> usize {
        let bundles = [&self.policy, &self.shadow_policy];
        let bundles = bundles
            .into_iter()
            .flatten()
            .filter(|own| own.is_on_its_way())
            .count();
        bundles + self.keys.under_way()
    }
}
