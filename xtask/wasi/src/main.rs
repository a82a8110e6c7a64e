//! Runs one test program that was compiled for `wasm32-wasip1`, with its arguments, and exits with
//! its exit code. An interpreter in Rust implements the few system calls that a test makes, so that
//! no runtime has to be installed. The program sees no files, no network and no environment.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use wasmi::{Caller, Engine, Error, Extern, Linker, Memory, Module, Store};

const SUCCESS: i32 = 0;
const BAD_DESCRIPTOR: i32 = 8;

fn main() -> anyhow::Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let path = arguments.first().context("usage: xtask-wasi PROGRAM [ARGUMENTS]")?;
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {path}"))?;
    let engine = Engine::default();
    let module = Module::new(&engine, &bytes[..])
        .with_context(|| format!("{path} is no program for wasm"))?;
    let mut store = Store::new(&engine, arguments);
    let mut linker = <Linker<Vec<String>>>::new(&engine);
    define(&mut linker)?;
    let instance = linker.instantiate_and_start(&mut store, &module)?;
    let run = instance.get_typed_func::<(), ()>(&store, "_start")?;
    match run.call(&mut store, ()) {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) => match error.i32_exit_status() {
            Some(status) => Ok(ExitCode::from(u8::try_from(status).unwrap_or(1))),
            None => Err(error.into()),
        },
    }
}

/// The running program, with its arguments.
type Host<'a> = Caller<'a, Vec<String>>;

/// Defines the system calls, by their names in WASI preview 1.
fn define(linker: &mut Linker<Vec<String>>) -> Result<(), Error> {
    let wasi = "wasi_snapshot_preview1";
    linker.func_wrap(wasi, "proc_exit", |status: i32| -> Result<(), Error> {
        Err(Error::i32_exit(status))
    })?;
    linker.func_wrap(wasi, "fd_write", fd_write)?;
    linker.func_wrap(wasi, "args_sizes_get", |mut host: Host<'_>, count: i32, len: i32| {
        let bytes: usize = host.data().iter().map(|it| it.len() + 1).sum();
        let number = host.data().len();
        write_u32(&mut host, count, number)?;
        write_u32(&mut host, len, bytes)?;
        Ok::<i32, Error>(SUCCESS)
    })?;
    linker.func_wrap(wasi, "args_get", args_get)?;
    linker.func_wrap(wasi, "environ_sizes_get", |mut host: Host<'_>, count: i32, len: i32| {
        write_u32(&mut host, count, 0)?;
        write_u32(&mut host, len, 0)?;
        Ok::<i32, Error>(SUCCESS)
    })?;
    linker.func_wrap(wasi, "environ_get", |_: i32, _: i32| SUCCESS)?;
    linker.func_wrap(wasi, "clock_time_get", |mut host: Host<'_>, _: i32, _: i64, at: i32| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let nanos = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        write(&mut host, at, &nanos.to_le_bytes())?;
        Ok::<i32, Error>(SUCCESS)
    })?;
    // Only the standard library's hash maps request randomness. Constant bytes make runs
    // repeatable.
    linker.func_wrap(wasi, "random_get", |mut host: Host<'_>, at: i32, len: i32| {
        let bytes = vec![7; usize::try_from(len).unwrap_or(0)];
        write(&mut host, at, &bytes)?;
        Ok::<i32, Error>(SUCCESS)
    })?;
    linker.func_wrap(wasi, "sched_yield", || SUCCESS)?;
    // Only the standard streams are open.
    linker.func_wrap(wasi, "fd_prestat_get", |_: i32, _: i32| BAD_DESCRIPTOR)?;
    linker.func_wrap(wasi, "fd_prestat_dir_name", |_: i32, _: i32, _: i32| BAD_DESCRIPTOR)?;
    linker.func_wrap(wasi, "fd_close", |_: i32| BAD_DESCRIPTOR)?;
    linker.func_wrap(wasi, "fd_read", |_: i32, _: i32, _: i32, _: i32| BAD_DESCRIPTOR)?;
    linker.func_wrap(wasi, "fd_seek", |_: i32, _: i64, _: i32, _: i32| BAD_DESCRIPTOR)?;
    linker.func_wrap(wasi, "fd_fdstat_get", |_: i32, _: i32| BAD_DESCRIPTOR)?;
    linker.func_wrap(wasi, "fd_filestat_get", |_: i32, _: i32| BAD_DESCRIPTOR)?;
    linker.func_wrap(wasi, "poll_oneoff", |_: i32, _: i32, _: i32, _: i32| BAD_DESCRIPTOR)?;
    define_paths(linker, wasi)
}

/// Defines the system calls that open files. There are none to open.
fn define_paths(linker: &mut Linker<Vec<String>>, wasi: &str) -> Result<(), Error> {
    let open =
        |_: i32, _: i32, _: i32, _: i32, _: i32, _: i64, _: i64, _: i32, _: i32| BAD_DESCRIPTOR;
    linker.func_wrap(wasi, "path_open", open)?;
    let stat = |_: i32, _: i32, _: i32, _: i32, _: i32| BAD_DESCRIPTOR;
    linker.func_wrap(wasi, "path_filestat_get", stat)?;
    Ok(())
}

fn fd_write(
    mut host: Host<'_>,
    descriptor: i32,
    buffers: i32,
    count: i32,
    written: i32,
) -> Result<i32, Error> {
    let mut bytes = Vec::new();
    for index in 0..count {
        let at = read_u32(&host, buffers + index * 8)?;
        let len = read_u32(&host, buffers + index * 8 + 4)?;
        let memory = memory(&host)?;
        let found = memory.data(&host).get(at..at + len);
        bytes.extend_from_slice(found.ok_or_else(|| Error::new("a buffer is out of bounds"))?);
    }
    let result = match descriptor {
        1 => std::io::stdout().write_all(&bytes),
        2 => std::io::stderr().write_all(&bytes),
        _ => return Ok(BAD_DESCRIPTOR),
    };
    result.map_err(|error| Error::new(error.to_string()))?;
    write_u32(&mut host, written, bytes.len())?;
    Ok(SUCCESS)
}

fn args_get(mut host: Host<'_>, pointers: i32, texts: i32) -> Result<i32, Error> {
    let mut at = texts;
    for (n, argument) in (0..).zip(host.data().clone()) {
        write_u32(&mut host, pointers + n * 4, usize::try_from(at).unwrap_or(0))?;
        let bytes = [argument.as_bytes(), &[0]].concat();
        write(&mut host, at, &bytes)?;
        at += i32::try_from(bytes.len()).unwrap_or(0);
    }
    Ok(SUCCESS)
}

fn memory(host: &Host<'_>) -> Result<Memory, Error> {
    let memory = host.get_export("memory").and_then(Extern::into_memory);
    memory.ok_or_else(|| Error::new("the program has no memory"))
}

fn write(host: &mut Host<'_>, at: i32, bytes: &[u8]) -> Result<(), Error> {
    let memory = memory(host)?;
    let at = usize::try_from(at).map_err(|_| Error::new("an address is out of bounds"))?;
    memory.write(host, at, bytes).map_err(|error| Error::new(error.to_string()))
}

fn write_u32(host: &mut Host<'_>, at: i32, number: usize) -> Result<(), Error> {
    let number = u32::try_from(number).map_err(|_| Error::new("a number is too large"))?;
    write(host, at, &number.to_le_bytes())
}

fn read_u32(host: &Host<'_>, at: i32) -> Result<usize, Error> {
    let memory = memory(host)?;
    let at = usize::try_from(at).map_err(|_| Error::new("an address is out of bounds"))?;
    let mut four = [0; 4];
    memory.read(host, at, &mut four).map_err(|error| Error::new(error.to_string()))?;
    usize::try_from(u32::from_le_bytes(four)).map_err(|_| Error::new("an address is out of bounds"))
}
