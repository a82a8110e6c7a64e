//! `GET /metrics` in Prometheus' text format, from what was published.
//!
//! Written by hand: it is a table of counts that exist anyway, and the exporter crates would
//! bring a second registry of them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use axum::extract::State as Shared;
use axum::http::header;
use axum::response::IntoResponse;

use super::App;

pub(super) async fn metrics(Shared(app): Shared<App>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text(&app))
}

fn text(app: &App) -> String {
    let mut out = String::new();
    let counts = app.published.counts();
    family(&mut out, "events_total", "Events, by type.", "type", &counts.events);
    family(&mut out, "refusals_total", "Refused requests, by code.", "code", &counts.refusals);
    family(&mut out, "dropped_total", "Dropped datagrams, by reason.", "reason", &counts.drops);
    let appended = counts.appended_bytes;
    single(&mut out, "appended_bytes_total", "counter", "Bytes appended.", appended);
    let (sessions, held, waiters, files, bytes, token) = app.published.look(|state| {
        let held = state.locks().values().filter(|lock| lock.tenure().is_some()).count();
        let bytes = state.files().values().map(leasehold_core::state::File::len).sum::<u64>();
        let files = state.files().len();
        (state.sessions().len(), held, state.waiters(), files, bytes, state.last_token())
    });
    for (name, help, value) in [
        ("sessions", "Live sessions.", sessions as u64),
        ("locks_held", "Locks that are held.", held as u64),
        ("waiters", "Requests that wait for a lock.", waiters as u64),
        ("files", "Guarded files.", files as u64),
        ("file_bytes", "Bytes in the guarded files.", bytes),
        ("last_token", "The largest fencing token ever granted.", token.number()),
    ] {
        single(&mut out, name, "gauge", help, value);
    }
    out
}

fn head(out: &mut String, name: &str, kind: &str, help: &str) {
    writeln!(out, "# HELP leasehold_{name} {help}\n# TYPE leasehold_{name} {kind}")
        .expect("a string takes any text");
}

fn single(out: &mut String, name: &str, kind: &str, help: &str, value: u64) {
    head(out, name, kind, help);
    writeln!(out, "leasehold_{name} {value}").expect("a string takes any text");
}

fn family(out: &mut String, name: &str, help: &str, label: &str, of: &BTreeMap<&str, u64>) {
    head(out, name, "counter", help);
    for (value, count) in of {
        writeln!(out, "leasehold_{name}{{{label}=\"{value}\"}} {count}")
            .expect("a string takes any text");
    }
}
