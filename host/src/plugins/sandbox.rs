use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, Thread};
use std::time::Duration;

use wasmtime::{Config, Engine, ResourceLimiter, Store, StoreLimits, StoreLimitsBuilder};

use super::{PluginError, PluginLimits};

/// How exactly time is kept.
const TICK: Duration = Duration::from_millis(2);
/// Of one instance; what the Rust compiler makes has a few hundred.
const TABLE_ELEMENTS: usize = 10_000;
/// A component is several: the module, and what fits it to the component's types.
const INSTANCES: usize = 32;

/// Where plugins run. It gives them nothing but instructions, time and memory.
#[derive(Debug)]
pub(super) struct Sandbox {
    engine: Engine,
    clock: Clock,
}

/// Counts time for the engine while calls run, and rests while none do.
#[derive(Debug)]
struct Clock {
    state: Arc<ClockState>,
    thread: Thread,
}

#[derive(Debug, Default)]
struct ClockState {
    running: AtomicUsize,
    ended: AtomicBool,
}

/// A call that runs, until it is dropped.
pub(super) struct Running<'s>(&'s ClockState);

impl Sandbox {
    /// Makes one.
    ///
    /// # Errors
    /// [`PluginError::Sandbox`].
    pub(super) fn new() -> Result<Self, PluginError> {
        let mut config = Config::new();
        config.wasm_component_model(true);
        config.consume_fuel(true);
        config.epoch_interruption(true);
        let engine =
            Engine::new(&config).map_err(|error| PluginError::Sandbox(error.to_string()))?;
        let clock =
            Clock::start(&engine).map_err(|error| PluginError::Sandbox(error.to_string()))?;
        Ok(Self { engine, clock })
    }

    /// The engine that compiles.
    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Lets time pass for a call.
    pub(super) fn run(&self) -> Running<'_> {
        let state = &*self.clock.state;
        if state.running.fetch_add(1, Ordering::AcqRel) == 0 {
            self.clock.thread.unpark();
        }
        Running(state)
    }

    /// What one call uses, within its limits.
    ///
    /// # Errors
    /// What the engine says.
    pub(super) fn store(&self, limits: &PluginLimits) -> wasmtime::Result<Store<StoreLimits>> {
        let bounds = StoreLimitsBuilder::new()
            .memory_size(limits.memory)
            .memories(1)
            .table_elements(TABLE_ELEMENTS)
            .tables(INSTANCES)
            .instances(INSTANCES)
            .trap_on_grow_failure(true)
            .build();
        let mut store = Store::new(&self.engine, bounds);
        store.limiter(|bounds| bounds as &mut dyn ResourceLimiter);
        store.set_fuel(limits.fuel)?;
        store.set_epoch_deadline(ticks(limits.timeout));
        // What is copied out of the call's memory, and so the answer.
        store.set_hostcall_fuel(limits.answer);
        Ok(store)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Clock {
    fn start(engine: &Engine) -> std::io::Result<Self> {
        let state = Arc::new(ClockState::default());
        let (counted, engine) = (Arc::clone(&state), engine.clone());
        let thread = thread::Builder::new()
            .name("plugin-clock".to_owned())
            .spawn(move || counted.count(&engine))?;
        Ok(Self {
            state,
            thread: thread.thread().clone(),
        })
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        self.state.ended.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

impl ClockState {
    fn count(&self, engine: &Engine) {
        while !self.ended.load(Ordering::Acquire) {
            if self.running.load(Ordering::Acquire) == 0 {
                // A call that begins right now has left a token: this returns at once.
                thread::park();
            } else {
                thread::sleep(TICK);
                engine.increment_epoch();
            }
        }
    }
}

/// At least `time`: a tick that has begun already counts for none.
fn ticks(time: Duration) -> u64 {
    let whole = time.as_millis().div_ceil(TICK.as_millis());
    u64::try_from(whole).unwrap_or(u64::MAX).saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_rounded_up() {
        for (millis, expected) in [(1, 2), (2, 2), (3, 3), (50, 26)] {
            assert_eq!(ticks(Duration::from_millis(millis)), expected, "{millis}");
        }
    }

    #[test]
    fn the_clock_counts_while_a_call_runs_and_ends_with_the_sandbox() {
        let sandbox = Sandbox::new().unwrap();
        let state = Arc::clone(&sandbox.clock.state);
        let running = sandbox.run();
        assert_eq!(state.running.load(Ordering::Acquire), 1);
        drop(running);
        assert_eq!(state.running.load(Ordering::Acquire), 0);
        drop(sandbox);
        for _ in 0..500 {
            // The clock's own handle is gone when its thread is.
            if Arc::strong_count(&state) == 1 {
                return;
            }
            thread::sleep(TICK);
        }
        panic!("the clock still runs");
    }
}
