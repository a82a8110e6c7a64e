//! Downloads the page from a real server as a browser does, and limits the bytes on the wire.
//!
//! The test needs the built page, as the tests in a browser do: without it, it fails.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use leasehold_tests::server::Server;

/// The limit of the whole page, headers included, in bytes. The goal is 500,000: lower the limit
/// whenever the page has become smaller.
const BYTES_MAX: usize = 600_000;

/// What Chromium sends.
const ACCEPTED: &str = "gzip, deflate, br, zstd";

/// A response with the number of bytes that it took on the wire.
struct Response {
    head: String,
    body: Vec<u8>,
    wire_len: usize,
}

impl Response {
    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    fn status(&self) -> u16 {
        let status = self.head.split(' ').nth(1).expect("a status line");
        status.parse().expect("a status code")
    }

    fn decoded(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        match self.header("content-encoding") {
            Some("br") => brotli::BrotliDecompress(&mut &*self.body, &mut bytes).expect("brotli"),
            Some(other) => panic!("an unexpected coding: {other}"),
            None => bytes.clone_from(&self.body),
        }
        bytes
    }
}

/// Requests a path. The bytes are counted here, because an HTTP client hides them.
fn get(server: SocketAddr, path: &str, headers: &str) -> Response {
    let mut stream = TcpStream::connect(server).expect("the server listens");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    let request =
        format!("GET /{path} HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).expect("the server reads");
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("the server answers");
    let end = bytes.windows(4).position(|it| it == b"\r\n\r\n").expect("a head") + 4;
    let head = String::from_utf8(bytes[..end].to_vec()).expect("the head is ASCII");
    Response { head, body: bytes[end..].to_vec(), wire_len: bytes.len() }
}

fn get_as_browser(server: SocketAddr, path: &str) -> Response {
    get(server, path, &format!("Accept-Encoding: {ACCEPTED}\r\n"))
}

/// Returns the files that a text names. The names of all files contain a digest; what does not is a
/// name that wasm-bindgen uses internally.
fn named_files(text: &str) -> BTreeSet<String> {
    let words = text.split(['"', '\'', '`', '=', ' ', '>', '(', ')']);
    let files = words.filter(|it| [".js", ".css", ".wasm"].iter().any(|end| it.ends_with(end)));
    let is_digest = |part: &str| part.len() == 16 && part.bytes().all(|it| it.is_ascii_hexdigit());
    let files = files.filter(|it| it.split(['-', '_', '.']).any(is_digest));
    files.map(|it| it.trim_start_matches(['.', '/']).to_owned()).collect()
}

#[test]
fn the_whole_page_is_small_on_the_wire() {
    let server = Server::start();
    let page = get_as_browser(server.http(), "");
    let html = String::from_utf8(page.decoded()).expect("the page is text");
    let mut pending = named_files(&html);
    assert!(!pending.is_empty(), "the page is not built: run `cargo xtask build-page`\n{html}");
    let mut downloaded = BTreeSet::new();
    let mut total = page.wire_len;
    while let Some(file) = pending.pop_first() {
        if !downloaded.insert(file.clone()) {
            continue;
        }
        let response = get_as_browser(server.http(), &file);
        assert_eq!(response.status(), 200, "{file}");
        total += response.wire_len;
        println!("{file}: {} bytes", response.wire_len);
        if std::path::Path::new(&file).extension().is_none_or(|it| it != "wasm") {
            pending.extend(named_files(&String::from_utf8_lossy(&response.decoded())));
        }
    }
    for extension in [".css", ".js", ".wasm"] {
        assert!(
            downloaded.iter().any(|it| it.ends_with(extension)),
            "no {extension}: {downloaded:?}"
        );
    }
    assert!(downloaded.iter().any(|it| it.starts_with("worker")), "no worker: {downloaded:?}");
    println!("the whole page: {total} bytes");
    assert!(total <= BYTES_MAX, "{total} bytes");
}

#[test]
fn browsers_cache_the_files_and_revalidate_the_page() {
    let server = Server::start();
    let page = get_as_browser(server.http(), "");
    assert_eq!(page.header("cache-control"), Some("no-cache"));
    let html = String::from_utf8(page.decoded()).expect("the page is text");
    let file = named_files(&html).pop_first().expect("the page is built");
    let response = get_as_browser(server.http(), &file);
    assert_eq!(response.header("cache-control"), Some("public, max-age=31536000, immutable"));
    for (path, response) in [("", &page), (&*file, &response)] {
        assert_eq!(response.header("vary"), Some("accept-encoding"), "{path}");
        let etag = response.header("etag").expect("a validator");
        let condition = format!("If-None-Match: {etag}\r\nAccept-Encoding: {ACCEPTED}\r\n");
        let unchanged = get(server.http(), path, &condition);
        assert_eq!((unchanged.status(), unchanged.body.len()), (304, 0), "{path}");
        let identity = get(server.http(), path, "");
        assert_eq!(identity.header("content-encoding"), None, "{path}");
        assert_eq!(identity.body, response.decoded(), "{path}");
    }
}
