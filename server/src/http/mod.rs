//! The page, the API and the event stream. Read-only, and for the browser's own origin.
//!
//! - What is told is what was published: nothing that a crash could still undo, and no secret.
//! - Viewers and connections are bounded, so the lock service never lacks what they use.

mod api;
mod assets;
mod door;
mod encoding;
mod guard;
mod metrics;
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

use crate::published::{Gone, Published};
use assets::PageSource;
use door::Door;

/// How many viewers may follow the stream at once.
const VIEWERS_MAX: u32 = 64;

/// How many connections there may be at once, viewers among them. Each is a file descriptor, of
/// which a process often has 1,024, and the lock service needs some.
const CONNECTIONS_MAX: usize = 512;

/// A connection on which nothing moves for this long is closed. Viewers answer pings, so
/// something always moves on theirs.
const IDLE_MAX: Duration = Duration::from_secs(60);

/// How many may be told the whole state at once: it can be large.
const STATES_MAX: usize = 2;

/// How long answers may take to leave when the server ends.
const LEAVE_MAX: Duration = Duration::from_secs(1);

/// What the handlers share.
#[derive(Clone)]
struct App {
    published: Published,
    files: Arc<PathBuf>,
    page: Arc<PageSource>,
    viewers: Arc<Semaphore>,
    states: Arc<Semaphore>,
    /// The rounds in which viewers are told are counted from here.
    opened: Instant,
    /// Set when the server ends.
    ending: watch::Receiver<bool>,
}

/// Serves until `shutdown` is done. Viewers are told before everything that was published until
/// then.
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
    let app = App {
        published: published.clone(),
        files: Arc::new(files),
        page: Arc::new(PageSource::from_environment()),
        viewers: Arc::new(Semaphore::new(VIEWERS_MAX as usize)),
        states: Arc::new(Semaphore::new(STATES_MAX)),
        opened: Instant::now(),
        ending: ending.clone(),
    };
    let viewers = Arc::clone(&app.viewers);
    let until = async move {
        shutdown.await;
        // Once this is answered, all that was published before can be seen.
        let _ = published.look(|_| ()).await;
        end.send_replace(true);
    };
    let door = Door::new(listener, CONNECTIONS_MAX, IDLE_MAX);
    let serving = axum::serve(door, router(app, loopback)).with_graceful_shutdown(until);
    tokio::select! {
        done = serving => done.context("the page can't be served")?,
        () = overdue(ending) => {}
    }
    // Whoever has a seat is being told goodbye.
    let _ = timeout(LEAVE_MAX, viewers.acquire_many(VIEWERS_MAX)).await;
    Ok(())
}

fn router(app: App, loopback: bool) -> Router {
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
            guard::guard(loopback, request, next)
        }))
}

async fn overdue(mut ending: watch::Receiver<bool>) {
    if ending.wait_for(|ends| *ends).await.is_ok() {
        sleep(LEAVE_MAX).await;
    }
}

impl IntoResponse for Gone {
    fn into_response(self) -> Response {
        (StatusCode::SERVICE_UNAVAILABLE, format!("{self}\n")).into_response()
    }
}
