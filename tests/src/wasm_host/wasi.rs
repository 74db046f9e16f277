//! What Envoy has of WASI (preview 1): output goes to the log, there are no files, arguments and
//! environment variables.

use wasmtime::{Caller, Error, Result};

use super::Host;
use super::link::{read, write};

const SUCCESS: u32 = 0;
const BAD_FILE: u32 = 8;
const FAULT: u32 = 21;
const NO_SYSTEM_CALL: u32 = 52;
const NOT_SUPPORTED: u32 = 58;

const INFO: u32 = 2;
const ERROR: u32 = 4;

pub(super) fn call(
    caller: &mut Caller<'_, Host>,
    function: &str,
    arguments: &[u64],
) -> Result<u32> {
    let argument = |index: usize| arguments.get(index).copied().unwrap_or_default() as u32;
    let done = |written: bool| if written { SUCCESS } else { FAULT };
    match function {
        "args_get" | "environ_get" => Ok(SUCCESS),
        "args_sizes_get" | "environ_sizes_get" => {
            let none = [0; 4];
            let written = write(caller, argument(0), &none)? && write(caller, argument(1), &none)?;
            Ok(done(written))
        }
        "clock_time_get" if argument(0) == 0 => {
            let now = caller.data().clock.to_le_bytes();
            Ok(done(write(caller, argument(2), &now)?))
        }
        "clock_time_get" => Ok(NOT_SUPPORTED),
        "random_get" => {
            let size = argument(1) as usize;
            let random = &mut caller.data_mut().random;
            let bytes: Vec<u8> = (0..size).map(|_| random.number() as u8).collect();
            Ok(done(write(caller, argument(0), &bytes)?))
        }
        "fd_write" => fd_write(caller, argument(0), argument(1), argument(2), argument(3)),
        "proc_exit" => Err(Error::msg("the module ended itself")),
        _ => Ok(NO_SYSTEM_CALL),
    }
}

fn fd_write(
    caller: &mut Caller<'_, Host>,
    file: u32,
    vectors: u32,
    count: u32,
    written: u32,
) -> Result<u32> {
    let level = match file {
        1 => INFO,
        2 => ERROR,
        _ => return Ok(BAD_FILE),
    };
    let mut text = Vec::new();
    let Some(vectors) = read(caller, vectors, count.saturating_mul(8))? else {
        return Ok(FAULT);
    };
    let number = |bytes: &[u8]| bytes.try_into().map(u32::from_le_bytes).unwrap_or_default();
    for vector in vectors.chunks_exact(8) {
        let (at, size) = vector.split_at(4);
        match read(caller, number(at), number(size))? {
            Some(bytes) => text.extend(bytes),
            None => return Ok(FAULT),
        }
    }
    let size = text.len() as u32;
    let line = String::from_utf8_lossy(&text).into_owned();
    caller.data_mut().log.push((level, line));
    Ok(match write(caller, written, &size.to_le_bytes())? {
        true => SUCCESS,
        false => FAULT,
    })
}
