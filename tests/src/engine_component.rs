//! The engine as a WebAssembly component under wasmtime: what `tests/engine-module` is there.

use std::path::Path;
use std::sync::OnceLock;

use wasmtime::component::{Component, Linker, TypedFunc};
use wasmtime::{Engine, Store};

use crate::tool;

/// An instance of the component.
pub struct EngineComponent {
    store: Store<()>,
    answer: TypedFunc<(&'static str,), (String,)>,
}

impl EngineComponent {
    /// Makes an instance of what `cargo xtask test` has built. It gets nothing of its host.
    ///
    /// # Panics
    /// When it is not there or cannot be run.
    pub fn start() -> Self {
        // Compiling takes seconds, and tests want many instances.
        static COMPILED: OnceLock<Component> = OnceLock::new();
        let component = COMPILED.get_or_init(compile);
        let mut store = Store::new(component.engine(), ());
        let linker: Linker<()> = Linker::new(component.engine());
        let instance = linker.instantiate(&mut store, component).unwrap();
        let answer = instance.get_typed_func(&mut store, "answer").unwrap();
        Self { store, answer }
    }

    /// The answer to a line.
    ///
    /// # Panics
    /// When the component traps.
    pub fn answer(&mut self, line: &str) -> String {
        let answer: TypedFunc<(&str,), (String,)> = self.answer;
        answer.call(&mut self.store, (line,)).unwrap().0
    }
}

fn compile() -> Component {
    let path = Path::new(&tool("TOKENSMITH_PLUGINS")).join("engine.wasm");
    Component::from_file(&Engine::default(), &path)
        .unwrap_or_else(|error| panic!("{}: {error:#}", path.display()))
}
