//! `leasehold bench`, and what it reports.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::Value;

use super::{Size, process};

/// What a bench has found.
#[derive(Clone, Debug)]
pub(super) struct Report {
    found: Value,
    /// For how long processors were at the clients, from the first hello to the last farewell.
    pub(super) spent: Duration,
}

/// Puts load on a server by one thread of clients, for as long as the size says.
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

/// As [`bench`], for as long as the arguments say.
pub(super) fn bench_for(
    program: &Path,
    server: SocketAddr,
    arguments: &[&str],
) -> anyhow::Result<Report> {
    let mut command = Command::new(program);
    command.args(["bench", "--json", "--quiet", "--threads", "1"]);
    command.args(["--server", &server.to_string()]).args(arguments).stdin(Stdio::null());
    let before = process::children_time()?;
    let output = command.output().context("leasehold can't be run")?;
    let spent = process::children_time()?.saturating_sub(before);
    let errors = String::from_utf8_lossy(&output.stderr);
    let words = arguments.join(" ");
    // What has failed or was lost is told in the report, and by the figures that are made of it.
    if !output.status.success() {
        eprintln!("bench {words}: {errors}");
    }
    ensure!(!output.stdout.is_empty(), "bench {words} has measured nothing");
    Ok(Report { found: serde_json::from_slice(&output.stdout)?, spent })
}

impl Report {
    /// A figure, by its path in the report.
    pub(super) fn figure(&self, path: &str) -> anyhow::Result<f64> {
        let figure = self.found.pointer(path).and_then(Value::as_f64);
        figure.with_context(|| format!("no {path} in the report of a bench"))
    }

    pub(super) fn per_second(&self) -> anyhow::Result<f64> {
        self.figure("/per_second")
    }

    /// Operations that failed and sessions that were lost.
    pub(super) fn failures(&self) -> anyhow::Result<f64> {
        let idle = self.figure("/idle/sessions_lost").unwrap_or(0.0);
        Ok(self.figure("/failed")? + self.figure("/whole_run/sessions_lost")? + idle)
    }

    /// Datagrams that were sent again, by clients and by idle sessions.
    pub(super) fn retransmissions(&self) -> anyhow::Result<f64> {
        let idle = self.figure("/idle/retransmissions").unwrap_or(0.0);
        Ok(self.figure("/whole_run/retransmissions")? + idle)
    }
}
