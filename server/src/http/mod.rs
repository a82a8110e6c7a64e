//! The page, the API and the event stream. Read-only, and for the browser's own origin.

mod guard;
mod metrics;
mod page;
mod stream;

use std::fs::File;
use std::future::Future;
use std::io::Read as _;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;
use axum::extract::{Path, State as Shared};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use leasehold_core::id::Name;
use rustix::fs::OFlags;
use serde_json::json;
use tokio::sync::{Semaphore, watch};

use crate::clock::unix_millis;
use crate::files::open_plain;
use crate::published::Published;

/// How many viewers may follow the stream at once.
const VIEWERS_MAX: usize = 64;

/// What the handlers share.
#[derive(Clone)]
struct App {
    published: Published,
    files: Arc<PathBuf>,
    viewers: Arc<Semaphore>,
    /// Set when the server ends.
    ending: watch::Receiver<bool>,
}

/// Serves until `shutdown` is done.
///
/// # Errors
/// Where the listener can't be used.
pub async fn serve(
    listener: std::net::TcpListener,
    published: Published,
    files: PathBuf,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let loopback = listener.local_addr()?.ip().is_loopback();
    let (end, ending) = watch::channel(false);
    let viewers = Arc::new(Semaphore::new(VIEWERS_MAX));
    let app = App { published, files: Arc::new(files), viewers, ending };
    let router = Router::new()
        .route("/api/state", get(state))
        .route("/api/files", get(file_list))
        .route("/api/files/{name}", get(file))
        .route("/api/events", get(stream::events))
        .route("/metrics", get(metrics::metrics))
        .route("/healthz", get(|| async { "ok\n" }))
        .fallback(get(page::asset))
        .with_state(app)
        .layer(axum::middleware::from_fn(move |request, next| {
            guard::guard(loopback, request, next)
        }));
    let until = async move {
        shutdown.await;
        end.send_replace(true);
    };
    axum::serve(listener, router)
        .with_graceful_shutdown(until)
        .await
        .context("the page can't be served")
}

async fn state(Shared(app): Shared<App>) -> Json<serde_json::Value> {
    let state = app.published.look(Clone::clone);
    Json(json!({
        "format": 1,
        "unix_ms": unix_millis(),
        "index": state.index(),
        "last_token": state.last_token(),
        "state": state,
    }))
}

async fn file_list(Shared(app): Shared<App>) -> Json<serde_json::Value> {
    let files = app.published.look(|state| {
        let files = state.files().iter();
        files.map(|(name, file)| json!({"name": name, "len": file.len()})).collect::<Vec<_>>()
    });
    Json(json!({ "files": files }))
}

/// The bytes of a file, as many of them as are durable.
async fn file(Shared(app): Shared<App>, Path(name): Path<String>) -> Response {
    let Ok(name) = Name::new(&name) else {
        return (StatusCode::BAD_REQUEST, "not a file's name\n").into_response();
    };
    let Some(len) = app.published.look(|state| state.files().get(&name).map(|file| file.len()))
    else {
        return (StatusCode::NOT_FOUND, "no such file\n").into_response();
    };
    let read = tokio::task::spawn_blocking(move || {
        let folder = File::open(&*app.files)?;
        let mut bytes = Vec::new();
        open_plain(&folder, &name, OFlags::RDONLY)?.take(len).read_to_end(&mut bytes)?;
        std::io::Result::Ok(bytes)
    });
    match read.await {
        Ok(Ok(bytes)) => {
            let kind = [
                (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
                (header::CACHE_CONTROL, "no-store"),
            ];
            (kind, bytes).into_response()
        }
        Ok(Err(_)) | Err(_) => {
            (StatusCode::INTERNAL_SERVER_ERROR, "the file can't be read\n").into_response()
        }
    }
}
