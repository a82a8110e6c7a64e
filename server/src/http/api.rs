//! The state, the files and the server's health, for programs.

use std::fs::File;
use std::io;
use std::path::Path as FilePath;

use axum::body::{Body, Bytes};
use axum::extract::{Path, State as Shared};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use futures_util::stream::unfold;
use leasehold_core::id::{Index, Name, Token};
use leasehold_core::state::{File as Guarded, State};
use rustix::fs::OFlags;
use serde::Serialize;
use tokio::io::{AsyncReadExt as _, Take};
use tokio::task::spawn_blocking;

use super::App;
use crate::clock::unix_millis;
use crate::files::open_plain;
use crate::published::Gone;

/// How much of a file is in memory at once for one reader.
const CHUNK_LEN: usize = 64 * 1024;

/// `server_state.json` less the secrets.
#[derive(Serialize)]
struct Whole {
    format: u32,
    unix_ms: u64,
    index: Index,
    last_token: Token,
    state: State,
}

#[derive(Serialize)]
pub(super) struct Listed {
    name: Name,
    len: u64,
}

#[derive(Serialize)]
pub(super) struct List {
    files: Vec<Listed>,
}

/// Well is a server whose events can be seen.
pub(super) async fn health(Shared(app): Shared<App>) -> Result<&'static str, Gone> {
    app.published.look(|_| "ok\n").await
}

pub(super) async fn state(Shared(app): Shared<App>) -> Result<Response, Gone> {
    let _turn = app.states.acquire().await.map_err(|_| Gone)?;
    let state = app.published.look(State::clone).await?;
    let (index, last_token) = (state.index(), state.last_token());
    let whole = Whole { format: 1, unix_ms: unix_millis(), index, last_token, state };
    let json = spawn_blocking(move || serde_json::to_vec(&whole).expect("a state is JSON"));
    let json = json.await.map_err(|_| Gone)?;
    Ok(([(header::CONTENT_TYPE, "application/json")], json).into_response())
}

pub(super) async fn files(Shared(app): Shared<App>) -> Result<Json<List>, Gone> {
    let list = app.published.look(|state| {
        let files = state.files().iter();
        let files = files.map(|(name, file)| Listed { name: name.clone(), len: file.len() });
        List { files: files.collect() }
    });
    Ok(Json(list.await?))
}

/// The bytes of a file, as many of them as are durable.
pub(super) async fn file(
    Shared(app): Shared<App>,
    Path(name): Path<String>,
) -> Result<Response, Gone> {
    let Ok(name) = Name::new(&name) else {
        return Ok((StatusCode::BAD_REQUEST, "not a file's name\n").into_response());
    };
    let asked = name.clone();
    let len = app.published.look(move |state| state.files().get(&asked).map(Guarded::len));
    let Some(durable) = len.await? else {
        return Ok((StatusCode::NOT_FOUND, "no such file\n").into_response());
    };
    let disposition = format!("inline; filename=\"{name}\"");
    let opened = spawn_blocking(move || open(&app.files, &name, durable)).await;
    let Ok(Ok((file, len))) = opened else {
        let why = "the file can't be read\n";
        return Ok((StatusCode::INTERNAL_SERVER_ERROR, why).into_response());
    };
    let head = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8".to_owned()),
        (header::CONTENT_LENGTH, len.to_string()),
        (header::CONTENT_DISPOSITION, disposition),
    ];
    let file = tokio::fs::File::from_std(file).take(len);
    Ok((head, Body::from_stream(unfold(file, chunk))).into_response())
}

/// The file, and how much of it may be seen: what is there, and durable.
fn open(folder: &FilePath, name: &Name, durable: u64) -> io::Result<(File, u64)> {
    let file = open_plain(&File::open(folder)?, name, OFlags::RDONLY)?;
    let len = file.metadata()?.len().min(durable);
    Ok((file, len))
}

async fn chunk(
    mut file: Take<tokio::fs::File>,
) -> Option<(io::Result<Bytes>, Take<tokio::fs::File>)> {
    let mut chunk = Vec::with_capacity(CHUNK_LEN);
    match file.read_buf(&mut chunk).await {
        Ok(0) => None,
        read => Some((read.map(|_| chunk.into()), file)),
    }
}
