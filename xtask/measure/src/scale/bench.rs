//! Runs `leasehold bench` and reads its report.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::Value;

use super::options::Size;
use super::proc_stat;

/// The report of a bench.
#[derive(Clone, Debug)]
pub(super) struct Report {
    json: Value,
    /// The processor time of the clients, from their first request to their last.
    pub(super) processor_time: Duration,
}

/// Puts load on a server by one thread of clients, for the duration that the size says.
pub(super) fn bench(
    program: &Path,
    server: SocketAddr,
    size: &Size,
    arguments: &[&str],
) -> anyhow::Result<Report> {
    let duration = format!("{}s", size.seconds);
    let timing = ["--warm-up", size.warm_up, "--duration", &duration];
    bench_for(program, server, &[&timing, arguments].concat())
}

/// Like [`bench`], for the duration that the arguments say.
pub(super) fn bench_for(
    program: &Path,
    server: SocketAddr,
    arguments: &[&str],
) -> anyhow::Result<Report> {
    let mut command = Command::new(program);
    command.args(["bench", "--json", "--quiet", "--threads", "1"]);
    command.args(["--server", &server.to_string()]).args(arguments).stdin(Stdio::null());
    let before = proc_stat::children_processor_time()?;
    let output = command.output().context("cannot run leasehold")?;
    let processor_time = proc_stat::children_processor_time()?.saturating_sub(before);
    let errors = String::from_utf8_lossy(&output.stderr);
    let words = arguments.join(" ");
    // The report contains failures and losses, and the figures made of it take them into account.
    if !output.status.success() {
        eprintln!("bench {words}: {errors}");
    }
    ensure!(!output.stdout.is_empty(), "`bench {words}` has written no report");
    Ok(Report { json: serde_json::from_slice(&output.stdout)?, processor_time })
}

impl Report {
    /// Returns a figure by its JSON pointer.
    pub(super) fn figure(&self, path: &str) -> anyhow::Result<f64> {
        let figure = self.json.pointer(path).and_then(Value::as_f64);
        figure.with_context(|| format!("the report of `leasehold bench` has no {path}"))
    }

    pub(super) fn per_second(&self) -> anyhow::Result<f64> {
        self.figure("/per_second")
    }

    /// Returns the number of failed operations and lost sessions.
    pub(super) fn failures(&self) -> anyhow::Result<f64> {
        let idle = self.figure("/idle/sessions_lost").unwrap_or(0.0);
        Ok(self.figure("/failed")? + self.figure("/whole_run/sessions_lost")? + idle)
    }

    /// Returns the number of datagrams that clients and idle sessions have sent again.
    pub(super) fn retransmissions(&self) -> anyhow::Result<f64> {
        let idle = self.figure("/idle/retransmissions").unwrap_or(0.0);
        Ok(self.figure("/whole_run/retransmissions")? + idle)
    }
}
