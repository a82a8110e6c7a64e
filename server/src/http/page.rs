//! The page, as it was built into this program.

use axum::http::{StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Response};
use rust_embed::RustEmbed;

#[derive(RustEmbed)]
#[folder = "$CARGO_MANIFEST_DIR/../dist"]
struct Assets;

const NOT_BUILT: &str = "<!doctype html><html lang=en><meta charset=utf-8><title>leasehold</title>\
<h1>The page is not in this program</h1>\
<p>The server works; its page was not built when it was compiled. \
To build both: <code>cargo xtask serve</code></p>\
<p>What there is without it: <a href=\"api/state\">the state</a>, \
<a href=\"api/files\">the files</a>, <a href=\"metrics\">metrics</a>.</p>";

pub(super) async fn asset(uri: Uri) -> Response {
    let path = uri.path().trim_start_matches('/');
    let path = if path.is_empty() { "index.html" } else { path };
    match Assets::get(path) {
        Some(asset) => {
            let caching = if path == "index.html" {
                "no-cache"
            } else {
                "public, max-age=31536000, immutable"
            };
            let kind = asset.metadata.mimetype().to_owned();
            let headers =
                [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, caching.to_owned())];
            (headers, asset.data.into_owned()).into_response()
        }
        None if path == "index.html" => Html(NOT_BUILT).into_response(),
        None => (StatusCode::NOT_FOUND, "no such page\n").into_response(),
    }
}
