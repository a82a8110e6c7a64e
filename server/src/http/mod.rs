//! The page, the API and the event stream. Read-only, and for the browser's own origin.
//!
//! - What is told is what was published: nothing that a crash could still undo, and no secret.
//! - Viewers and connections are bounded, so the lock service never lacks what they use.

mod api;
mod assets;
mod connection_limit;
mod encoding;
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
use assets::PageSource;
use connection_limit::ConnectionLimiter;

/// How many viewers may follow the stream at once.
const VIEWERS_MAX: u32 = 64;

/// How many connections there may be at once, viewers among them. Each is a file descriptor, of
/// which a process often has 1,024, and the lock service needs some.
const CONNECTIONS_MAX: usize = 512;

/// A connection on which nothing moves for this long is closed. Viewers answer pings, so
/// something always moves on theirs.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// How many may be told the whole state at once: it can be large.
const STATE_REQUESTS_MAX: usize = 2;

/// How long answers may take to leave when the server ends.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(1);

/// What the handlers share.
#[derive(Clone)]
struct AppState {
    published: Published,
    files_dir: Arc<PathBuf>,
    page: Arc<PageSource>,
    viewer_permits: Arc<Semaphore>,
    state_permits: Arc<Semaphore>,
    /// The rounds in which viewers are told are counted from here.
    started_at: Instant,
    /// Set when the server ends.
    shutting_down: watch::Receiver<bool>,
}

/// Serves until `shutdown` is done. Viewers are told before everything that was published until
/// then.
///
/// # Errors
/// Where the listener can't be used.
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
        page: Arc::new(PageSource::from_environment()),
        viewer_permits: Arc::new(Semaphore::new(VIEWERS_MAX as usize)),
        state_permits: Arc::new(Semaphore::new(STATE_REQUESTS_MAX)),
        started_at: Instant::now(),
        shutting_down: shutting_down.clone(),
    };
    let viewer_permits = Arc::clone(&app.viewer_permits);
    let shutdown_signal = async move {
        shutdown.await;
        // Once this is answered, all that was published before can be seen.
        let _ = published.inspect(|_| ()).await;
        begin_shutdown.send_replace(true);
    };
    let limiter = ConnectionLimiter::new(listener, CONNECTIONS_MAX, IDLE_TIMEOUT);
    let server =
        axum::serve(limiter, router(app, is_loopback)).with_graceful_shutdown(shutdown_signal);
    tokio::select! {
        result = server => result.context("the page can't be served")?,
        () = grace_period_expired(shutting_down) => {}
    }
    // Whoever has a seat is being told goodbye.
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
        .fallback(get(assets::asset))
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
