//! The module's imports, each a way into [`Host`].

use wasmtime::{Caller, Engine, Error, Extern, ExternType, Linker, Memory, Module, Result, Val};

use super::faults::Fault;
use super::{Host, abi, status, wasi};

/// Gives `module` every import.
///
/// # Errors
/// When it imports what proxy-wasm's ABI and Envoy's part of WASI do not have.
pub(super) fn linker(engine: &Engine, module: &Module) -> Result<Linker<Host>> {
    let mut linker = Linker::new(engine);
    linker.allow_shadowing(true);
    for import in module.imports() {
        let name = import.name().to_owned();
        let ExternType::Func(signature) = import.ty() else {
            return Err(Error::msg(format!("import `{name}` is not a function")));
        };
        match import.module() {
            "env" => {
                let Some((function, parameters)) = abi::function(&name) else {
                    return Err(Error::msg(format!("`{name}` is not in the ABI")));
                };
                linker.func_new(
                    "env",
                    &name,
                    signature,
                    move |mut caller: Caller<'_, Host>, arguments: &[Val], results: &mut [Val]| {
                        let answer = call(&mut caller, function, parameters, arguments)?;
                        give_back(results, answer)
                    },
                )?;
            }
            "wasi_snapshot_preview1" => {
                let function = name.clone();
                linker.func_new(
                    "wasi_snapshot_preview1",
                    &name,
                    signature,
                    move |mut caller: Caller<'_, Host>, arguments: &[Val], results: &mut [Val]| {
                        let answer = wasi::call(&mut caller, &function, &numbers(arguments))?;
                        give_back(results, answer)
                    },
                )?;
            }
            other => return Err(Error::msg(format!("no host has `{other}.{name}`"))),
        }
    }
    Ok(linker)
}

/// What a module passed to a host call.
#[derive(Debug, Default)]
pub(super) struct Passed {
    pub(super) numbers: Vec<u64>,
    pub(super) bytes: Vec<Vec<u8>>,
}

/// What a host call gives, in the order of its parameters.
#[derive(Debug)]
pub(super) enum Given {
    Bytes(Vec<u8>),
    Number(u64),
}

enum Target {
    Bytes { pointer: u32, size: u32 },
    Number { at: u32, size: usize },
}

fn call(
    caller: &mut Caller<'_, Host>,
    function: &'static str,
    parameters: &str,
    arguments: &[Val],
) -> Result<u32> {
    let fault = caller.data_mut().note(function);
    if let Some(Fault::Status(status)) = fault {
        return Ok(status);
    }
    let Some((passed, targets)) = read_parameters(caller, parameters, arguments)? else {
        return Ok(status::INVALID_MEMORY_ACCESS);
    };
    let given = match caller.data_mut().carry_out(function, &passed) {
        Ok(given) => given,
        Err(status) => return Ok(status),
    };
    for (target, given) in targets.into_iter().zip(given) {
        let written = match (target, given) {
            (Target::Bytes { pointer, size }, Given::Bytes(bytes)) => {
                let (address, length) = place(caller, bytes, fault.as_ref())?;
                write(caller, pointer, &address.to_le_bytes())?
                    && write(caller, size, &length.to_le_bytes())?
            }
            (Target::Number { at, size }, Given::Number(number)) => {
                let number = match fault {
                    Some(Fault::Number(other)) => other,
                    _ => number,
                };
                let bytes = number.to_le_bytes();
                write(caller, at, bytes.get(..size).unwrap_or(&bytes))?
            }
            (Target::Bytes { .. }, Given::Number(_)) | (Target::Number { .. }, Given::Bytes(_)) => {
                return Err(Error::msg(format!(
                    "the host gives `{function}` the wrong kind"
                )));
            }
        };
        if !written {
            return Ok(status::INVALID_MEMORY_ACCESS);
        }
    }
    Ok(status::OK)
}

/// `None` when an argument reaches beyond the memory.
fn read_parameters(
    caller: &mut Caller<'_, Host>,
    parameters: &str,
    arguments: &[Val],
) -> Result<Option<(Passed, Vec<Target>)>> {
    let mut arguments = numbers(arguments).into_iter();
    let mut next = || {
        arguments
            .next()
            .ok_or_else(|| Error::msg("the module imports a host call with too few parameters"))
    };
    let (mut passed, mut targets) = (Passed::default(), Vec::new());
    for letter in parameters.chars() {
        match letter {
            'b' => {
                let (at, size) = (next()? as u32, next()? as u32);
                match read(caller, at, size)? {
                    Some(bytes) => passed.bytes.push(bytes),
                    None => return Ok(None),
                }
            }
            'o' => targets.push(Target::Bytes {
                pointer: next()? as u32,
                size: next()? as u32,
            }),
            'n' => targets.push(Target::Number {
                at: next()? as u32,
                size: 4,
            }),
            'w' => targets.push(Target::Number {
                at: next()? as u32,
                size: 8,
            }),
            _ => passed.numbers.push(next()?),
        }
    }
    Ok(Some((passed, targets)))
}

/// Where the module finds `bytes`: address and size. They are in memory that the module itself
/// allocates, none for no bytes, as Envoy does it.
fn place(
    caller: &mut Caller<'_, Host>,
    mut bytes: Vec<u8>,
    fault: Option<&Fault>,
) -> Result<(u32, u32)> {
    match fault {
        Some(Fault::Null(size)) => return Ok((0, *size)),
        Some(Fault::Bytes(other)) => bytes.clone_from(other),
        _ => {}
    }
    let said_empty = matches!(fault, Some(Fault::Nothing));
    if bytes.is_empty() && !said_empty {
        return Ok((0, 0));
    }
    let size = bytes.len() as u32;
    let address = allocate(caller, size.max(1))?;
    if !write(caller, address, &bytes)? {
        return Err(Error::msg("the module allocated outside of its memory"));
    }
    let to_the_end = (memory(caller)?.data_size(&*caller) as u32).saturating_sub(address);
    let size = match fault {
        Some(Fault::Nothing) => 0,
        Some(Fault::Longer(more)) => size.saturating_add(*more).min(to_the_end),
        Some(Fault::WholeMemory) => to_the_end,
        _ => size,
    };
    Ok((address, size))
}

fn allocate(caller: &mut Caller<'_, Host>, size: u32) -> Result<u32> {
    let mut export = caller.get_export("proxy_on_memory_allocate");
    if export.is_none() {
        export = caller.get_export("malloc");
    }
    let function = export
        .and_then(Extern::into_func)
        .ok_or_else(|| Error::msg("the module exports no allocation"))?;
    function
        .typed::<u32, u32>(&*caller)?
        .call(&mut *caller, size)
}

/// Bytes of the module's memory; `None` when they reach beyond it.
pub(super) fn read(caller: &mut Caller<'_, Host>, at: u32, size: u32) -> Result<Option<Vec<u8>>> {
    let start = at as usize;
    let bytes = memory(caller)?.data(&*caller);
    Ok(bytes
        .get(start..start.saturating_add(size as usize))
        .map(<[u8]>::to_vec))
}

/// Whether `bytes` fit into the module's memory and are there now.
pub(super) fn write(caller: &mut Caller<'_, Host>, at: u32, bytes: &[u8]) -> Result<bool> {
    let memory = memory(caller)?;
    Ok(memory.write(&mut *caller, at as usize, bytes).is_ok())
}

fn memory(caller: &mut Caller<'_, Host>) -> Result<Memory> {
    caller
        .get_export("memory")
        .and_then(Extern::into_memory)
        .ok_or_else(|| Error::msg("the module exports no memory"))
}

fn numbers(arguments: &[Val]) -> Vec<u64> {
    arguments
        .iter()
        .map(|argument| match argument {
            Val::I32(number) => u64::from(*number as u32),
            Val::I64(number) => *number as u64,
            _ => 0,
        })
        .collect()
}

fn give_back(results: &mut [Val], answer: u32) -> Result<()> {
    if let Some(result) = results.first_mut() {
        *result = Val::I32(answer as i32);
    }
    Ok(())
}
