//! The page, as it was built into this program.

use std::borrow::Cow;

use axum::body::Bytes;
use axum::http::{StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Response};
use rust_embed::RustEmbed;

#[derive(RustEmbed)]
#[folder = "$CARGO_MANIFEST_DIR/../dist"]
struct Assets;

const NOT_BUILT_HTML: &str = "<!doctype html><html lang=en><meta charset=utf-8><title>leasehold</title>\
<h1>The page is not in this program</h1>\
<p>The server works; its page was not built when it was compiled. \
To build both: <code>cargo xtask serve</code></p>\
<p>What there is without it: <a href=\"api/state\">the state</a>, \
<a href=\"api/files\">the files</a>, <a href=\"metrics\">metrics</a>.</p>";

pub(super) async fn serve_asset(uri: Uri) -> Response {
    let path = uri.path().trim_start_matches('/');
    let path = if path.is_empty() { "index.html" } else { path };
    match Assets::get(path) {
        Some(asset) => {
            let cache_control = if has_content_hash(path) {
                "public, max-age=31536000, immutable"
            } else {
                "no-cache"
            };
            let content_type = asset.metadata.mimetype().to_owned();
            let headers = [
                (header::CONTENT_TYPE, content_type),
                (header::CACHE_CONTROL, cache_control.to_owned()),
            ];
            let bytes = match asset.data {
                data if path == "index.html" => Bytes::from(mark_as_served(&data)),
                Cow::Borrowed(bytes) => Bytes::from_static(bytes),
                Cow::Owned(bytes) => Bytes::from(bytes),
            };
            (headers, bytes).into_response()
        }
        None if path == "index.html" => {
            ([(header::CACHE_CONTROL, "no-cache")], Html(NOT_BUILT_HTML)).into_response()
        }
        None => (StatusCode::NOT_FOUND, "no such page\n").into_response(),
    }
}

/// The page, told that it comes from a lock server: only then does it look for one.
fn mark_as_served(page: &[u8]) -> Vec<u8> {
    let page = String::from_utf8_lossy(page);
    let (not_served, served) = ("name=\"leasehold-server\" content=\"none\"", "content=\"live\"");
    page.replace(not_served, &format!("name=\"leasehold-server\" {served}")).into_bytes()
}

/// Whether a digest of the content is part of the name, as in `leasehold-web-0f3a…_bg.wasm`: then
/// the same name is the same file for ever.
fn has_content_hash(path: &str) -> bool {
    const DIGEST_LEN_MIN: usize = 12;
    path.split(|letter: char| !letter.is_ascii_alphanumeric())
        .any(|part| part.len() >= DIGEST_LEN_MIN && part.bytes().all(|b| b.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn served_page_is_marked_as_live() {
        let page = include_str!("../../../index.html");
        assert!(page.contains("name=\"leasehold-server\" content=\"none\""));
        let served = String::from_utf8(mark_as_served(page.as_bytes())).unwrap();
        assert!(served.contains("name=\"leasehold-server\" content=\"live\""));
    }

    #[test]
    fn only_names_with_a_content_hash_are_cached_permanently() {
        for hashed in ["leasehold-web-7f3dbe0ad1c0ffee_bg.wasm", "style-7f3dbe0ad1c0ffee.css"] {
            assert!(has_content_hash(hashed), "{hashed}");
        }
        for plain in ["index.html", "start.js", "favicon.svg", "leasehold-web.wasm"] {
            assert!(!has_content_hash(plain), "{plain}");
        }
    }
}
