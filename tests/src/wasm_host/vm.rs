//! The module in its virtual machine, and the calls into it.

use std::sync::OnceLock;

use serde_json::Value;
use wasmtime::{Config, Engine, Instance, Module, OptLevel, Store, WasmParams, WasmResults};

use super::host::{Host, HttpResponse, Stream};
use super::link;
use super::outcome::{Outcome, Trapped};
use super::pairs::Headers;
use crate::tool;

/// The root context of [`Vm::configured`].
pub const ROOT: u32 = 1;

/// So many instructions may one call into the module take.
const FUEL: u64 = 4_000_000_000;

/// The filter in a virtual machine of its own. After a trap it is of no more use.
pub struct Vm {
    store: Store<Host>,
    instance: Instance,
    next_context: u32,
}

impl Vm {
    /// Loads the filter and lets it set itself up.
    ///
    /// # Errors
    /// When it traps.
    ///
    /// # Panics
    /// When the filter cannot be loaded.
    pub fn start(host: Host) -> Result<Self, Trapped> {
        let (engine, module) = compiled();
        let mut store = Store::new(engine, host);
        store.limiter(|host| &mut host.limits);
        store.set_fuel(FUEL).unwrap();
        let linker = link::linker(engine, module).unwrap();
        let instance = linker
            .instantiate(&mut store, module)
            .unwrap_or_else(|error| panic!("the filter cannot be instantiated: {error:#}"));
        let mut vm = Self {
            store,
            instance,
            next_context: ROOT + 1,
        };
        vm.call::<(), ()>(0, "_initialize", ())?;
        Ok(vm)
    }

    /// A filter with `configuration` in [`ROOT`].
    ///
    /// # Panics
    /// When it does not take the configuration.
    pub fn configured(host: Host, configuration: &Value) -> Self {
        let started = Self::start(host).and_then(|mut vm| {
            vm.create_root(ROOT)?;
            let taken = vm.configure(ROOT, configuration.to_string().as_bytes())?;
            Ok((vm, taken))
        });
        match started {
            Ok((vm, true)) => vm,
            Ok((vm, false)) => panic!("the configuration is refused: {:?}", vm.host().log),
            Err(trapped) => panic!("{trapped:?}"),
        }
    }

    /// What its host calls work on.
    pub fn host(&self) -> &Host {
        self.store.data()
    }

    /// What its host calls work on, to change it.
    pub fn host_mut(&mut self) -> &mut Host {
        self.store.data_mut()
    }

    /// The size of its memory in bytes.
    ///
    /// # Panics
    /// When it has none.
    pub fn memory(&mut self) -> usize {
        let memory = self.instance.get_memory(&mut self.store, "memory").unwrap();
        memory.data_size(&self.store)
    }

    /// Creates and starts a root context.
    ///
    /// # Errors
    /// When the module traps.
    pub fn create_root(&mut self, root: u32) -> Result<(), Trapped> {
        self.host_mut().contexts.insert(root);
        self.call::<(u32, u32), ()>(root, "proxy_on_context_create", (root, 0))?;
        self.call::<(u32, u32), u32>(root, "proxy_on_vm_start", (root, 0))?;
        Ok(())
    }

    /// Hands a root context its configuration: whether it is taken.
    ///
    /// # Errors
    /// When the module traps.
    pub fn configure(&mut self, root: u32, configuration: &[u8]) -> Result<bool, Trapped> {
        let size = configuration.len() as u32;
        self.host_mut().configuration = Some(configuration.to_vec());
        let taken = self.call::<(u32, u32), u32>(root, "proxy_on_configure", (root, size));
        self.host_mut().configuration = None;
        taken.map(|taken| taken != 0)
    }

    /// Lets time tick.
    ///
    /// # Errors
    /// When the module traps.
    pub fn tick(&mut self, root: u32) -> Result<(), Trapped> {
        self.call::<u32, ()>(root, "proxy_on_tick", root)
    }

    /// Says that a shared queue has a value.
    ///
    /// # Errors
    /// When the module traps.
    pub fn queue_ready(&mut self, root: u32, queue: u32) -> Result<(), Trapped> {
        self.callback::<(u32, u32), ()>(root, "proxy_on_queue_ready", (root, queue), ())
    }

    /// Delivers the response to an HTTP call; `None` when there is none because the connection
    /// broke.
    ///
    /// # Errors
    /// When the module traps.
    pub fn respond(&mut self, token: u32, response: Option<HttpResponse>) -> Result<(), Trapped> {
        let said = match &response {
            None => (0, 0, 0),
            Some(response) => {
                let (headers, body) = (response.headers.len(), response.body.len());
                response.said.unwrap_or((headers as u32, body as u32, 0))
            }
        };
        let host = self.host_mut();
        let mut root = ROOT;
        for call in &mut host.http_calls {
            if call.token == token {
                call.answered = true;
                root = call.context;
            }
        }
        host.http_response = response;
        let (headers, body, trailers) = said;
        let ended = self.call::<(u32, u32, u32, u32, u32), ()>(
            root,
            "proxy_on_http_call_response",
            (root, token, headers, body, trailers),
        );
        self.host_mut().http_response = None;
        ended
    }

    /// Creates a stream with a request: its context.
    ///
    /// # Errors
    /// When the module traps.
    pub fn open(&mut self, root: u32, request: Headers) -> Result<u32, Trapped> {
        let context = self.next_context;
        self.next_context += 1;
        let stream = Stream {
            request,
            root,
            ..Stream::default()
        };
        self.host_mut().contexts.insert(context);
        self.host_mut().streams.insert(context, stream);
        self.call::<(u32, u32), ()>(context, "proxy_on_context_create", (context, root))?;
        Ok(context)
    }

    /// Hands a stream's request headers to the module.
    ///
    /// # Errors
    /// When the module traps.
    pub fn request_headers(&mut self, context: u32) -> Result<Outcome, Trapped> {
        let count = self.host().streams[&context].request.len() as u32;
        let action = self.call::<(u32, u32, u32), u32>(
            context,
            "proxy_on_request_headers",
            (context, count, 1),
        )?;
        self.go_on(context, action);
        Ok(self.outcome(context))
    }

    /// A new stream with a request, to where the module lets it go.
    ///
    /// # Errors
    /// When the module traps.
    pub fn request(&mut self, request: Headers) -> Result<Outcome, Trapped> {
        let context = self.open(ROOT, request)?;
        self.request_headers(context)
    }

    /// What became of a stream's request.
    pub fn outcome(&self, context: u32) -> Outcome {
        let stream = self.host().streams.get(&context);
        stream.map_or(Outcome::Paused, Outcome::of)
    }

    /// Hands the rest of a stream to the module: body and trailers of the request, the response.
    ///
    /// # Errors
    /// When the module traps.
    pub fn rest(&mut self, context: u32) -> Result<(), Trapped> {
        let body = (context, 10, 0);
        let action = self.call::<(u32, u32, u32), u32>(context, "proxy_on_request_body", body)?;
        self.go_on(context, action);
        let action =
            self.call::<(u32, u32), u32>(context, "proxy_on_request_trailers", (context, 0))?;
        self.go_on(context, action);
        let body = (context, 2, 0);
        self.callback::<(u32, u32, u32), u32>(context, "proxy_on_response_headers", body, 0)?;
        let body = (context, 0, 1);
        self.callback::<(u32, u32, u32), u32>(context, "proxy_on_response_body", body, 0)?;
        self.callback::<(u32, u32), u32>(context, "proxy_on_response_trailers", (context, 0), 0)?;
        Ok(())
    }

    /// Says that a context is done: whether the module is done with it as well.
    ///
    /// # Errors
    /// When the module traps.
    pub fn done(&mut self, context: u32) -> Result<bool, Trapped> {
        let done = self.callback::<u32, u32>(context, "proxy_on_done", context, 1)?;
        Ok(done != 0)
    }

    /// Has a stream logged.
    ///
    /// # Errors
    /// When the module traps.
    pub fn log(&mut self, context: u32) -> Result<(), Trapped> {
        self.callback::<u32, ()>(context, "proxy_on_log", context, ())
    }

    /// Deletes a context.
    ///
    /// # Errors
    /// When the module traps.
    pub fn delete(&mut self, context: u32) -> Result<(), Trapped> {
        let deleted = self.call::<u32, ()>(context, "proxy_on_delete", context);
        self.host_mut().contexts.remove(&context);
        self.host_mut().streams.remove(&context);
        deleted
    }

    /// Ends a stream as Envoy does: done, log, delete.
    ///
    /// # Errors
    /// When the module traps.
    pub fn end(&mut self, context: u32) -> Result<(), Trapped> {
        self.done(context)?;
        self.log(context)?;
        self.delete(context)
    }

    /// A request that is let go on takes what was held of it before along: the body its headers.
    fn go_on(&mut self, context: u32, action: u32) {
        if action == 0
            && let Some(stream) = self.host_mut().streams.get_mut(&context)
        {
            stream.hand_on();
        }
    }

    /// Calls what the module may leave out, as it listens to few events; without it, the proxy goes
    /// on with `otherwise`.
    fn callback<P: WasmParams, R: WasmResults>(
        &mut self,
        context: u32,
        function: &str,
        parameters: P,
        otherwise: R,
    ) -> Result<R, Trapped> {
        let export = self.instance.get_export(&mut self.store, function);
        match export {
            Some(_) => self.call(context, function, parameters),
            None => Ok(otherwise),
        }
    }

    fn call<P: WasmParams, R: WasmResults>(
        &mut self,
        context: u32,
        function: &str,
        parameters: P,
    ) -> Result<R, Trapped> {
        let host = self.store.data_mut();
        host.current = context;
        host.effective = 0;
        let logged = host.log.len();
        self.store.set_fuel(FUEL).unwrap();
        let export = self
            .instance
            .get_typed_func::<P, R>(&mut self.store, function)
            .unwrap_or_else(|error| panic!("the filter has no `{function}`: {error:#}"));
        export.call(&mut self.store, parameters).map_err(|error| {
            let log = &self.store.data().log;
            Trapped::new(&error, log.get(logged..).unwrap_or_default())
        })
    }
}

/// The filter as machine code, once for all tests of a program.
fn compiled() -> &'static (Engine, Module) {
    static COMPILED: OnceLock<(Engine, Module)> = OnceLock::new();
    COMPILED.get_or_init(|| {
        let mut config = Config::new();
        // Compiling takes longer than anything that is run.
        config.cranelift_opt_level(OptLevel::None);
        config.consume_fuel(true);
        let engine = Engine::new(&config).unwrap();
        let path = tool("TOKENSMITH_FILTER_WASM");
        let bytes =
            std::fs::read(&path).unwrap_or_else(|error| panic!("cannot read `{path}`: {error}"));
        let module = Module::from_binary(&engine, &bytes).unwrap();
        (engine, module)
    })
}
