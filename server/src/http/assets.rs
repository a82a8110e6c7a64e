//! Serves the files of the page: those embedded in the program, or those of a folder.
//!
//! - The build leaves compressed variants beside each file (`NAME.br`, `NAME.gz`). The server picks
//!   one by `Accept-Encoding`, and sends the file itself if the client accepts neither.
//! - A file whose name contains a digest of its content is cached for a year. Every other file is
//!   revalidated by its `ETag` before each use.
//! - While `cargo xtask serve` is still building the page, the program has none embedded: it reads
//!   the folder named by [`FOLDER_VARIABLE`], and answers with a placeholder until the page is
//!   there.

use std::env;
use std::fs;
use std::path::PathBuf;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Response};
use rust_embed::{EmbeddedFile, RustEmbed};

use super::AppState;
use super::encoding::Encoding;

/// The page as a lock server serves it. The build derives it from `index.html`, which is for hosts
/// that are no lock server.
const PAGE: &str = "live.html";

/// The environment variable that names the folder to serve the page from.
const FOLDER_VARIABLE: &str = "LEASEHOLD_PAGE_DIR";

/// The file in that folder that says which step of the build is running.
const PROGRESS: &str = "building.txt";

const NOT_BUILT: &str = "<!doctype html><html lang=en><meta charset=utf-8><title>leasehold</title>\
<h1>This program does not contain the page</h1>\
<p>The server works, but its page was not built when it was compiled. \
To build both: <code>cargo xtask serve</code></p>\
<p>Without the page, you can read <a href=\"api/state\">the state</a>, \
<a href=\"api/files\">the files</a> and <a href=\"metrics\">the metrics</a>.</p>";

/// Where the server reads the page from.
#[derive(Clone, Debug)]
pub(super) enum PageSource {
    Embedded,
    Folder(PathBuf),
}

#[derive(RustEmbed)]
#[folder = "$CARGO_MANIFEST_DIR/../dist"]
#[allow_missing = true]
struct EmbeddedFiles;

impl PageSource {
    /// Returns the folder that the environment names, or the embedded page.
    pub(super) fn from_environment() -> Self {
        env::var_os(FOLDER_VARIABLE).map_or(Self::Embedded, |path| Self::Folder(path.into()))
    }

    fn read(&self, name: &str) -> Option<EmbeddedFile> {
        match self {
            Self::Embedded => EmbeddedFiles::get(name),
            Self::Folder(folder) => {
                // All files are directly in the folder, so a name with a separator leads elsewhere.
                let is_plain = !name.starts_with('.') && !name.contains(['/', '\\', '\0']);
                is_plain.then(|| rust_embed::utils::read_file_from_fs(&folder.join(name)).ok())?
            }
        }
    }

    /// Returns the variant of a file that the client prefers.
    fn negotiate(&self, name: &str, headers: &HeaderMap) -> Option<(Encoding, EmbeddedFile)> {
        // A variant is not a file of its own: it would lack its `Content-Encoding`.
        if Encoding::ALL.iter().any(|it| !it.suffix().is_empty() && name.ends_with(it.suffix())) {
            return None;
        }
        let mut preferred = Encoding::by_preference(headers).into_iter();
        preferred.find_map(|encoding| {
            let file = self.read(&format!("{name}{}", encoding.suffix()))?;
            Some((encoding, file))
        })
    }

    fn respond(&self, path: &str, headers: &HeaderMap) -> Response {
        let path = path.trim_start_matches('/');
        let is_page = matches!(path, "" | "index.html");
        let name = if is_page { PAGE } else { path };
        match self.negotiate(name, headers) {
            Some((encoding, file)) => file_response(name, encoding, &file, headers),
            None if is_page => self.missing_page(),
            None => (StatusCode::NOT_FOUND, "no such file\n").into_response(),
        }
    }

    fn missing_page(&self) -> Response {
        let no_cache = (header::CACHE_CONTROL, "no-cache");
        let Self::Folder(folder) = self else {
            return ([no_cache], Html(NOT_BUILT)).into_response();
        };
        let progress = fs::read_to_string(folder.join(PROGRESS)).unwrap_or_default();
        let page = Html(placeholder(&progress));
        (StatusCode::SERVICE_UNAVAILABLE, [no_cache, (header::RETRY_AFTER, "2")], page)
            .into_response()
    }
}

/// Serves a file of the page.
pub(super) async fn asset(State(app): State<AppState>, uri: Uri, headers: HeaderMap) -> Response {
    app.page.respond(uri.path(), &headers)
}

fn file_response(
    name: &str,
    encoding: Encoding,
    file: &EmbeddedFile,
    request_headers: &HeaderMap,
) -> Response {
    let caching =
        if is_content_addressed(name) { "public, max-age=31536000, immutable" } else { "no-cache" };
    let etag = etag(file);
    let is_current = is_unchanged(request_headers, &etag);
    let mut headers = HeaderMap::new();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    headers.insert(header::ETAG, etag);
    if is_current {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type(name)));
    if let Some(coding) = encoding.code() {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding));
    }
    let bytes = match &file.data {
        std::borrow::Cow::Borrowed(bytes) => Bytes::from_static(bytes),
        std::borrow::Cow::Owned(bytes) => Bytes::from(bytes.clone()),
    };
    (headers, bytes).into_response()
}

/// Returns a strong validator. Each variant is a file of its own and has a digest of its own.
fn etag(file: &EmbeddedFile) -> HeaderValue {
    let digest = file.metadata.sha256_hash();
    let start = u128::from_be_bytes(*digest.first_chunk().expect("a SHA-256 digest has 32 bytes"));
    HeaderValue::try_from(format!("\"{start:032x}\"")).expect("hexadecimal digits are ASCII")
}

/// Whether `If-None-Match` names the variant that the server would send (RFC 9110, 13.1.2).
fn is_unchanged(headers: &HeaderMap, etag: &HeaderValue) -> bool {
    let values = headers.get_all(header::IF_NONE_MATCH).into_iter();
    let texts = values.filter_map(|value| value.to_str().ok());
    texts.flat_map(|text| text.split(',')).map(str::trim).any(|candidate| {
        // The comparison is weak: a proxy that has compressed the file marks its validator.
        candidate == "*" || candidate.trim_start_matches("W/").as_bytes() == etag.as_bytes()
    })
}

/// Whether the name contains a digest of the content, as `leasehold-web-0f3a…_bg.wasm` does: the
/// same name is then always the same file.
fn is_content_addressed(name: &str) -> bool {
    const DIGEST_LEN_MIN: usize = 12;
    name.split(|letter: char| !letter.is_ascii_alphanumeric())
        .any(|part| part.len() >= DIGEST_LEN_MIN && part.bytes().all(|b| b.is_ascii_hexdigit()))
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("wasm") => "application/wasm",
        Some("svg") => "image/svg+xml",
        Some("txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

/// Returns the page that is shown while the real one is being built. It contains no script, because
/// the server's policy forbids scripts in HTML: the browser reloads it by itself.
fn placeholder(progress: &str) -> String {
    let progress = progress.replace('&', "&amp;").replace('<', "&lt;");
    format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta http-equiv=refresh content=2>\
         <meta name=viewport content=\"width=device-width\"><title>leasehold: building the page\
         </title><h1>The page is being built</h1><p>The lock server is ready, and clients can use \
         it now. This page reloads itself until the real one can be shown.</p><pre>{progress}</pre>\
         <p>Meanwhile, you can read <a href=\"api/state\">the state</a>, \
         <a href=\"api/files\">the files</a> and <a href=\"metrics\">the metrics</a>.</p>"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCRIPT: &str = "start-7f3dbe0ad1c0ffee.js";

    /// A folder as the build leaves it.
    fn folder() -> (tempfile::TempDir, PageSource) {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in [
            (PAGE, "the page"),
            ("index.html", "the page of a static host"),
            (SCRIPT, "identity"),
            ("start-7f3dbe0ad1c0ffee.js.br", "brotli"),
            ("start-7f3dbe0ad1c0ffee.js.gz", "gzip"),
        ] {
            fs::write(folder.path().join(name), content).unwrap();
        }
        let source = PageSource::Folder(folder.path().to_owned());
        (folder, source)
    }

    fn accepting(codings: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(codings))])
    }

    fn text<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
        response.headers().get(name).map(|value| value.to_str().unwrap())
    }

    async fn body(response: Response) -> String {
        let bytes = axum::body::to_bytes(response.into_body(), 1_000).await.unwrap();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn the_client_gets_the_variant_that_it_accepts() {
        let (_folder, source) = folder();
        for (accepted, coding, content) in [
            ("gzip, deflate, br", Some("br"), "brotli"),
            ("gzip", Some("gzip"), "gzip"),
            ("zstd", None, "identity"),
        ] {
            let response = source.respond(SCRIPT, &accepting(accepted));
            assert_eq!(text(&response, "content-encoding"), coding, "{accepted}");
            assert_eq!(text(&response, "vary"), Some("accept-encoding"), "{accepted}");
            let kind = text(&response, "content-type");
            assert_eq!(kind, Some("text/javascript; charset=utf-8"), "{accepted}");
            assert_eq!(body(response).await, content, "{accepted}");
        }
        let page = source.respond("/", &accepting("br"));
        assert_eq!(text(&page, "content-encoding"), None, "the page has no such variant here");
        assert_eq!(body(page).await, "the page");
    }

    #[test]
    fn a_file_that_the_client_already_has_is_not_sent_again() {
        let (_folder, source) = folder();
        let first = source.respond(SCRIPT, &accepting("br"));
        let etag = first.headers()[header::ETAG].clone();
        let mut again = accepting("br");
        again.insert(header::IF_NONE_MATCH, etag.clone());
        let second = source.respond(SCRIPT, &again);
        assert_eq!(second.status(), StatusCode::NOT_MODIFIED);
        for name in ["etag", "vary", "cache-control"] {
            assert_eq!(text(&second, name), text(&first, name), "{name}");
        }
        again.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        assert_eq!(source.respond(SCRIPT, &again).status(), StatusCode::OK, "another variant");
        for (condition, status) in [("*", 304), ("\"a\", \"b\"", 200)] {
            again.insert(header::IF_NONE_MATCH, HeaderValue::from_static(condition));
            assert_eq!(source.respond(SCRIPT, &again).status().as_u16(), status, "{condition}");
        }
        let weak = format!("\"x\", W/{}", etag.to_str().unwrap());
        again.insert(header::IF_NONE_MATCH, HeaderValue::try_from(weak).unwrap());
        again.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("br"));
        assert_eq!(source.respond(SCRIPT, &again).status(), StatusCode::NOT_MODIFIED);
    }

    #[test]
    fn only_content_addressed_files_are_cached_without_revalidation() {
        for hashed in ["leasehold-web-7f3dbe0ad1c0ffee_bg.wasm", "style-7f3dbe0ad1c0ffee.css"] {
            assert!(is_content_addressed(hashed), "{hashed}");
        }
        for plain in ["index.html", "start.js", "favicon.svg", "leasehold-web.wasm"] {
            assert!(!is_content_addressed(plain), "{plain}");
        }
        let (_folder, source) = folder();
        let caching = |path| {
            let response = source.respond(path, &HeaderMap::new());
            text(&response, "cache-control").map(str::to_owned)
        };
        let lasting = Some("public, max-age=31536000, immutable".to_owned());
        assert_eq!((caching("/"), caching(SCRIPT)), (Some("no-cache".to_owned()), lasting));
    }

    #[test]
    fn files_elsewhere_are_not_served() {
        let (folder, source) = folder();
        fs::create_dir(folder.path().join("inner")).unwrap();
        fs::write(folder.path().join("inner/secret.txt"), "secret").unwrap();
        for path in ["inner/secret.txt", "../Cargo.toml", ".hidden", "inner", "start.js"] {
            let response = source.respond(path, &HeaderMap::new());
            assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
        }
        let variant = source.respond("start-7f3dbe0ad1c0ffee.js.br", &HeaderMap::new());
        assert_eq!(variant.status(), StatusCode::NOT_FOUND, "it would lack its encoding");
    }

    #[tokio::test]
    async fn a_placeholder_reports_progress_until_the_page_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let source = PageSource::Folder(folder.path().to_owned());
        fs::write(folder.path().join(PROGRESS), "step 1 <of> 3").unwrap();
        let response = source.respond("/", &HeaderMap::new());
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        let html = body(response).await;
        assert!(html.contains("step 1 &lt;of> 3") && html.contains("http-equiv=refresh"), "{html}");
        fs::write(folder.path().join(PAGE), "the page").unwrap();
        assert_eq!(source.respond("/", &HeaderMap::new()).status(), StatusCode::OK);
    }
}
