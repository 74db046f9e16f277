use tokensmith_engine::decide::{Memory, Outcome, Request, Step};
use tokensmith_engine::verify::Verdict;

use crate::current::Shared;
use crate::memories::Place;

impl Shared {
    /// Decides a request at `now`, Unix time in seconds. `repeated` where a layer before has
    /// verified this very request, with its proof: that one is used, and no replay.
    pub(crate) fn decide<'r>(
        &self,
        request: &Request<'r>,
        repeated: bool,
        now: i64,
    ) -> Box<Outcome<'r>> {
        self.look(now);
        let place = Place::of(request.authorization, request.dpop);
        let mut memory = self.memories.lock(place);
        // Loaded while the memory is held: it never sees an older state after a newer one.
        let current = self.current.load();
        memory.tokens.enter_epoch(current.epoch);
        let mut step = current
            .decider
            .begin(request, &current.ring, &mut memory, now);
        drop(memory);
        let outcome = loop {
            match step {
                Step::Done(outcome) => break outcome,
                Step::CheckSignature(pending) => {
                    // Takes longer than all the rest, and others need not wait for it.
                    let verdict = pending.effect().run().unwrap_or(Verdict::Invalid);
                    step = if repeated {
                        let mut none = Memory::new(0, [0; 16]);
                        current.decider.finish(*pending, verdict, &mut none, now)
                    } else {
                        let mut memory = self.memories.lock(place);
                        // Another part than before may not have seen these keys yet.
                        if memory.tokens.epoch() < current.epoch {
                            memory.tokens.enter_epoch(current.epoch);
                        }
                        current.decider.finish(*pending, verdict, &mut memory, now)
                    };
                }
                Step::ReadCertificate(unbound) => {
                    // It would be in the request if the connection had one.
                    step = current.decider.certificate(*unbound, None, now);
                }
            }
        };
        if let Some(key) = &outcome.wanted {
            self.want(key);
        }
        outcome
    }

    /// Counts, logs and tells of a decision.
    pub(crate) fn record(&self, outcome: &Outcome<'_>) {
        self.metrics.decided(outcome);
        if let Some(observer) = &self.options.observer {
            observer(&outcome.record);
        }
        let message = match &outcome.denial {
            Some(_) => "denied",
            None if outcome.record.decision == "allow" && !outcome.shadow_differs() => return,
            None if outcome.record.decision == "allow" => "the shadow policy says otherwise",
            None => "would be denied",
        };
        if tracing::enabled!(target: "decision", tracing::Level::INFO)
            && let Ok(record) = serde_json::to_string(&outcome.record)
        {
            tracing::info!(target: "decision", record = record.as_str(), "{message}");
        }
    }
}
