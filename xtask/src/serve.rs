//! `cargo xtask serve`: the page and the server from nothing, with one command.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ExitCode, Stdio};

use anyhow::Context as _;

use crate::page;
use crate::run::{cargo, command, run, top};

pub(crate) fn serve(arguments: &[String]) -> anyhow::Result<ExitCode> {
    let demo = arguments.iter().any(|argument| argument == "--demo");
    let rest: Vec<&str> =
        arguments.iter().map(String::as_str).filter(|argument| *argument != "--demo").collect();
    eprintln!("xtask: building the page");
    page::build()?;
    eprintln!("xtask: building the server");
    run(&mut cargo(&["build", "--release", "--package", "leasehold-server"]))?;
    let program = top().join("target/release/leasehold");
    let program = program.to_str().context("the project's path is not Unicode")?;
    let mut server = command(program, &["serve"]);
    let mut server = server.args(rest).stderr(Stdio::piped()).spawn().context("no server")?;
    let mut clients: Option<Child> = None;
    let said = server.stderr.take().context("the server says nothing")?;
    for line in BufReader::new(said).lines() {
        let line = line?;
        eprintln!("{line}");
        let Some(ready) = line.strip_prefix("ready ") else { continue };
        let value = |key: &str| ready.split(' ').find_map(|word| word.strip_prefix(key));
        if let Some(http) = value("http=").filter(|http| *http != "off") {
            eprintln!("\n    open http://{http}\n");
        }
        if let Some(udp) = value("udp=").filter(|_| demo) {
            let arguments = ["demo", "--loop", "--quiet", "--server", udp];
            clients = command(program, &arguments).stdout(Stdio::null()).spawn().ok();
        }
    }
    let status = server.wait()?;
    if let Some(clients) = &mut clients {
        clients.kill().ok();
        clients.wait().ok();
    }
    let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
    Ok(ExitCode::from(code))
}
