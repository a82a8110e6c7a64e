//! The API for programs: the state, the files, and the server's health.

use std::fs::File;
use std::io;
use std::path::Path as FilePath;

use axum::body::{Body, Bytes};
use axum::extract::{Path, State as Shared};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use futures_util::stream::unfold;
use leasehold_core::id::{LogIndex, Name, Token};
use leasehold_core::state::{File as Guarded, State};
use rustix::fs::OFlags;
use serde::Serialize;
use tokio::io::{AsyncReadExt as _, Take};
use tokio::task::spawn_blocking;

use super::AppState;
use crate::clock::unix_millis;
use crate::files::open_regular_file;
use crate::published::PublisherStopped;

/// The number of bytes of a file that are in memory at once for each request.
const CHUNK_LEN: usize = 64 * 1024;

/// The contents of `server_state.json` without the secrets, and when the server was started.
#[derive(Serialize)]
struct StateResponse {
    format: u32,
    unix_ms: u64,
    started_at_ms: u64,
    started_unix_ms: u64,
    index: LogIndex,
    last_token: Token,
    state: State,
}

#[derive(Serialize)]
pub(super) struct FileEntry {
    name: Name,
    len: u64,
}

#[derive(Serialize)]
pub(super) struct FileList {
    files: Vec<FileEntry>,
}

/// Reports that the server is healthy: its events are being published.
pub(super) async fn health(
    Shared(app): Shared<AppState>,
) -> Result<&'static str, PublisherStopped> {
    app.published.inspect(|_| "ok\n").await
}

pub(super) async fn state(Shared(app): Shared<AppState>) -> Result<Response, PublisherStopped> {
    let _permit = app.state_permits.acquire().await.map_err(|_| PublisherStopped)?;
    let state = app.published.inspect(State::clone).await?;
    let (index, last_token) = (state.applied_index(), state.last_token());
    let start = app.published.server_start();
    let response = StateResponse {
        format: 1,
        unix_ms: unix_millis(),
        started_at_ms: start.at.as_millis(),
        started_unix_ms: start.unix_ms,
        index,
        last_token,
        state,
    };
    let json =
        spawn_blocking(move || serde_json::to_vec(&response).expect("a state can be serialized"));
    let json = json.await.map_err(|_| PublisherStopped)?;
    Ok(([(header::CONTENT_TYPE, "application/json")], json).into_response())
}

pub(super) async fn files(
    Shared(app): Shared<AppState>,
) -> Result<Json<FileList>, PublisherStopped> {
    let list = app.published.inspect(|state| {
        let files = state.files().iter();
        let files = files.map(|(name, file)| FileEntry { name: name.clone(), len: file.len() });
        FileList { files: files.collect() }
    });
    Ok(Json(list.await?))
}

/// Returns the durable bytes of a file.
pub(super) async fn file(
    Shared(app): Shared<AppState>,
    Path(name): Path<String>,
) -> Result<Response, PublisherStopped> {
    let Ok(name) = Name::new(&name) else {
        return Ok((StatusCode::BAD_REQUEST, "invalid file name\n").into_response());
    };
    let requested = name.clone();
    let len = app.published.inspect(move |state| state.files().get(&requested).map(Guarded::len));
    let Some(durable_len) = len.await? else {
        return Ok((StatusCode::NOT_FOUND, "no such file\n").into_response());
    };
    let disposition = format!("inline; filename=\"{name}\"");
    let opened = spawn_blocking(move || open_durable(&app.files_dir, &name, durable_len)).await;
    let Ok(Ok((file, len))) = opened else {
        let message = "cannot read the file\n";
        return Ok((StatusCode::INTERNAL_SERVER_ERROR, message).into_response());
    };
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8".to_owned()),
        (header::CONTENT_LENGTH, len.to_string()),
        (header::CONTENT_DISPOSITION, disposition),
    ];
    let file = tokio::fs::File::from_std(file).take(len);
    Ok((headers, Body::from_stream(unfold(file, read_chunk))).into_response())
}

/// Returns the file and the length of its durable part, as far as it is on disk.
fn open_durable(dir: &FilePath, name: &Name, durable_len: u64) -> io::Result<(File, u64)> {
    let file = open_regular_file(&File::open(dir)?, name, OFlags::RDONLY)?;
    let len = file.metadata()?.len().min(durable_len);
    Ok((file, len))
}

async fn read_chunk(
    mut file: Take<tokio::fs::File>,
) -> Option<(io::Result<Bytes>, Take<tokio::fs::File>)> {
    let mut chunk = Vec::with_capacity(CHUNK_LEN);
    match file.read_buf(&mut chunk).await {
        Ok(0) => None,
        read => Some((read.map(|_| chunk.into()), file)),
    }
}
