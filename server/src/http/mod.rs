//! The page, the API and the event stream: read-only, and only for the browser's own origin.
//!
//! - Responses contain only what was published: nothing that a crash could undo, and no secrets.
//! - Viewers and connections are limited, so that they cannot exhaust the file descriptors that the
//!   lock service needs.

mod api;
mod assets;
mod connection_limit;
mod metrics;
mod security;
mod stream;

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, sleep, timeout};

use crate::published::{Published, PublisherStopped};
use connection_limit::ConnectionLimiter;

/// The maximum number of viewers of the event stream.
const VIEWERS_MAX: u32 = 64;

/// The maximum number of connections, including viewers. Each uses a file descriptor; a process
/// often has 1,024, and the lock service needs some of them.
const CONNECTIONS_MAX: usize = 512;

/// A connection without any traffic for this long is closed. Viewers answer pings, so their
/// connections always have traffic.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// The maximum number of concurrent requests for the whole state, which can be large.
const STATE_REQUESTS_MAX: usize = 2;

/// How long responses may take to be sent when the server stops.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(1);

/// The state that the handlers share.
#[derive(Clone)]
struct AppState {
    published: Published,
    files_dir: Arc<PathBuf>,
    viewer_permits: Arc<Semaphore>,
    state_permits: Arc<Semaphore>,
    /// The start of the rounds in which events are sent to viewers.
    started_at: Instant,
    /// Set when the server stops.
    shutting_down: watch::Receiver<bool>,
}

/// Serves until `shutdown` completes. Viewers still receive everything that was published before.
///
/// # Errors
/// If the listener fails.
pub async fn serve(
    listener: std::net::TcpListener,
    published: Published,
    files_dir: PathBuf,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let is_loopback = listener.local_addr()?.ip().is_loopback();
    let (begin_shutdown, shutting_down) = watch::channel(false);
    let app = AppState {
        published: published.clone(),
        files_dir: Arc::new(files_dir),
        viewer_permits: Arc::new(Semaphore::new(VIEWERS_MAX as usize)),
        state_permits: Arc::new(Semaphore::new(STATE_REQUESTS_MAX)),
        started_at: Instant::now(),
        shutting_down: shutting_down.clone(),
    };
    let viewer_permits = Arc::clone(&app.viewer_permits);
    let shutdown_signal = async move {
        shutdown.await;
        // Once the publisher has answered, everything that was published before is visible.
        let _ = published.inspect(|_| ()).await;
        begin_shutdown.send_replace(true);
    };
    let limiter = ConnectionLimiter::new(listener, CONNECTIONS_MAX, IDLE_TIMEOUT);
    let server =
        axum::serve(limiter, router(app, is_loopback)).with_graceful_shutdown(shutdown_signal);
    tokio::select! {
        result = server => result.context("cannot serve HTTP")?,
        () = grace_period_expired(shutting_down) => {}
    }
    // A viewer whose permit is not returned yet is being sent its close frame.
    let _ = timeout(SHUTDOWN_GRACE, viewer_permits.acquire_many(VIEWERS_MAX)).await;
    Ok(())
}

fn router(app: AppState, is_loopback: bool) -> Router {
    Router::new()
        .route("/api/state", get(api::state))
        .route("/api/files", get(api::files))
        .route("/api/files/{name}", get(api::file))
        .route("/api/events", get(stream::events))
        .route("/metrics", get(metrics::metrics))
        .route("/healthz", get(api::health))
        .fallback(get(assets::serve_asset))
        .with_state(app)
        .layer(axum::middleware::from_fn(move |request, next| {
            security::enforce(is_loopback, request, next)
        }))
}

async fn grace_period_expired(mut shutting_down: watch::Receiver<bool>) {
    if shutting_down.wait_for(|is_set| *is_set).await.is_ok() {
        sleep(SHUTDOWN_GRACE).await;
    }
}

impl IntoResponse for PublisherStopped {
    fn into_response(self) -> Response {
        (StatusCode::SERVICE_UNAVAILABLE, format!("{self}\n")).into_response()
    }
}
