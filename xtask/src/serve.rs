//! `cargo xtask serve`: builds the page and the server, and runs the server.
//!
//! If the page has never been built, the server starts first, without a page inside, and reads the
//! page from `dist/`: clients can use it while trunk and the page are still being built, and
//! browsers get a placeholder that shows the progress. Nothing is compiled twice for that; the next
//! start embeds the page.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread;

use anyhow::Context as _;

use crate::process::{cancel_all, cargo, command, program_path, run};
use crate::web_page;

/// The profile of the server: that of xtask, so that their dependencies are compiled once.
const PROFILE: &str = "serve";

/// The environment variable by which the server reads the page from a folder.
const FOLDER_VARIABLE: &str = "LEASEHOLD_PAGE_DIR";

pub(crate) fn serve(demo: bool, options: &[String]) -> anyhow::Result<ExitCode> {
    if web_page::is_built() {
        eprintln!("xtask: building the page (some seconds if it has not changed)");
        web_page::build()?;
        eprintln!("xtask: building the server with the page inside (half a minute)");
        build_server()?;
        return run_server(demo, options, |_| {});
    }
    eprintln!("xtask: building the server (about two minutes on two cores)");
    web_page::clear_progress();
    build_server()?;
    thread::scope(|scope| {
        let page = scope.spawn(|| match web_page::build() {
            Ok(()) => eprintln!("xtask: the page is ready; open pages reload themselves"),
            Err(error) => {
                web_page::report_progress(&format!("The page cannot be built: {error:#}"));
            }
        });
        let folder = web_page::folder();
        let status = run_server(demo, options, |server| {
            server.env(FOLDER_VARIABLE, &folder);
        });
        if !page.is_finished() {
            cancel_all();
        }
        status
    })
}

fn build_server() -> anyhow::Result<()> {
    fs::create_dir_all(web_page::folder())?;
    run(&mut cargo(&["build", "--profile", PROFILE, "--package", "leasehold-server"]))
}

/// Runs the server until it ends, and prints the address of the page.
fn run_server(
    demo: bool,
    options: &[String],
    configure: impl FnOnce(&mut Command),
) -> anyhow::Result<ExitCode> {
    let program = program_path(PROFILE, "leasehold");
    let program = program.to_str().context("the project's path is not Unicode")?;
    let mut server = command(program, &["serve"]);
    configure(&mut server);
    let mut server = server
        .args(options)
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {program}"))?;
    let mut clients: Option<Child> = None;
    let log = server.stderr.take().context("the server has no standard error")?;
    for line in BufReader::new(log).lines() {
        let line = line?;
        eprintln!("{line}");
        let Some(addresses) = line.strip_prefix("ready ") else { continue };
        let find = |key: &str| addresses.split(' ').find_map(|word| word.strip_prefix(key));
        if let Some(http) = find("http=").filter(|http| *http != "off") {
            eprintln!("\n    open http://{http}\n");
        }
        if let Some(udp) = find("udp=").filter(|_| demo) {
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
