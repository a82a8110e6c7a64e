//! `GET /metrics` in the Prometheus text format.
//!
//! It is written by hand: it prints counters that exist anyway, and an exporter crate would add a
//! second registry of atomics to update for each event.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use axum::extract::State as Shared;
use axum::http::header;
use axum::response::IntoResponse;

use super::{AppState, VIEWERS_MAX};
use crate::published::{Counters, Gauges};

pub(super) async fn metrics(Shared(app): Shared<AppState>) -> impl IntoResponse {
    let (counters, gauges) = app.published.metrics();
    let viewers = (VIEWERS_MAX as usize).saturating_sub(app.viewer_permits.available_permits());
    let text = render(&counters, gauges, viewers);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
}

fn render(counters: &Counters, gauges: Gauges, viewers: usize) -> String {
    let mut out = String::new();
    for (name, help, label, values) in [
        ("events_total", "Events, by type.", "type", &counters.events),
        ("refusals_total", "Refused requests, by code.", "code", &counters.refusals),
        ("releases_total", "Tenures that ended, by cause.", "cause", &counters.releases),
        ("dropped_total", "Dropped datagrams, by reason.", "reason", &counters.drops),
    ] {
        write_family(&mut out, name, help, label, values);
    }
    for (name, help, value) in [
        ("appended_bytes_total", "Bytes appended.", counters.appended_bytes),
        (
            "log_write_failures_total",
            "Batches of events that could not be written to the log.",
            counters.log_write_failures,
        ),
    ] {
        write_metric(&mut out, name, "counter", help, value);
    }
    for (name, help, value) in [
        ("sessions", "Live sessions.", gauges.sessions as u64),
        ("locks_held", "Locks that are held.", gauges.locks_held as u64),
        ("waiters", "Requests that wait for a lock.", gauges.waiters as u64),
        ("files", "Guarded files.", gauges.files as u64),
        ("file_bytes", "Bytes in the guarded files.", gauges.file_bytes),
        ("last_token", "The largest fencing token ever granted.", gauges.last_token.number()),
        ("viewers", "Viewers of the event stream.", viewers as u64),
    ] {
        write_metric(&mut out, name, "gauge", help, value);
    }
    out
}

fn write_header(out: &mut String, name: &str, kind: &str, help: &str) {
    writeln!(out, "# HELP leasehold_{name} {help}\n# TYPE leasehold_{name} {kind}")
        .expect("writing to a string never fails");
}

fn write_metric(out: &mut String, name: &str, kind: &str, help: &str, value: u64) {
    write_header(out, name, kind, help);
    writeln!(out, "leasehold_{name} {value}").expect("writing to a string never fails");
}

fn write_family(
    out: &mut String,
    name: &str,
    help: &str,
    label: &str,
    values: &BTreeMap<&str, u64>,
) {
    write_header(out, name, "counter", help);
    for (value, count) in values {
        writeln!(out, "leasehold_{name}{{{label}=\"{value}\"}} {count}")
            .expect("writing to a string never fails");
    }
}
