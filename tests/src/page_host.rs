//! A host for the page that is no lock server: it serves the built folder below a path, with the
//! same policy as the lock server, and counts nothing.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;

/// What the lock server says as well: only what the page brings may run.
const POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; \
     img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; worker-src 'self' blob:; \
     base-uri 'self'; form-action 'none'";

/// The host. It ends with the test.
pub struct Pages {
    address: SocketAddr,
    path: String,
}

impl Pages {
    /// Serves the page below this path.
    ///
    /// # Panics
    /// Where it was not built, or no port is free.
    pub fn serve(path: &str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a folder").join("dist");
        assert!(folder.join("index.html").exists(), "the page is not built: {}", folder.display());
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let prefix = format!("/{path}/");
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (folder, prefix) = (folder.clone(), prefix.clone());
                thread::spawn(move || answer(&stream, &folder, &prefix));
            }
        });
        Self { address, path: path.to_owned() }
    }

    /// Where the page is.
    pub fn address(&self) -> String {
        format!("http://{}/{}/", self.address, self.path)
    }
}

/// One request a connection: enough for a page.
fn answer(stream: &TcpStream, folder: &Path, prefix: &str) -> Option<()> {
    let mut lines = BufReader::new(stream).lines();
    let request = lines.next()?.ok()?;
    while lines.next()?.ok().is_some_and(|line| !line.is_empty()) {}
    let path = request.split(' ').nth(1)?.split('?').next()?;
    let name = path.strip_prefix(prefix).filter(|name| !name.contains("..")).unwrap_or("?");
    let name = if name.is_empty() { "index.html" } else { name };
    let file: PathBuf = folder.join(name);
    let (status, body) = match fs::read(&file) {
        Ok(body) => ("200 OK", body),
        Err(_) => ("404 Not Found", Vec::new()),
    };
    let kind = match file.extension().and_then(|ending| ending.to_str()) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript",
        Some("css") => "text/css",
        Some("wasm") => "application/wasm",
        _ => "application/octet-stream",
    };
    let mut stream = stream;
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\
         content-security-policy: {POLICY}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(&body).ok()
}
