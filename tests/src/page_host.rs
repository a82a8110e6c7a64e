//! A host for the page that is not a lock server: it serves the built page below a path, with the
//! content security policy of the lock server.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// The policy that the lock server sends too: only files of the page may be run and loaded.
const POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; \
     img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; worker-src 'self' blob:; \
     base-uri 'self'; form-action 'none'";

/// A host for the page. It runs until the test process exits.
pub struct PageHost {
    address: SocketAddr,
    path: String,
    is_online: Arc<AtomicBool>,
}

impl PageHost {
    /// Serves the page below this path.
    ///
    /// # Panics
    /// If the page is not built, or no port is free.
    pub fn serve(path: &str) -> Self {
        let root =
            Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a directory").join("dist");
        assert!(root.join("index.html").exists(), "the page is not built: {}", root.display());
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound socket");
        let prefix = format!("/{path}/");
        let is_online = Arc::new(AtomicBool::new(true));
        let answers = Arc::clone(&is_online);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if !answers.load(Ordering::Relaxed) {
                    continue;
                }
                let (root, prefix) = (root.clone(), prefix.clone());
                thread::spawn(move || respond(&stream, &root, &prefix));
            }
        });
        Self { address, path: path.to_owned(), is_online }
    }

    /// Closes every connection from now on without an answer, as if the machine were offline.
    pub fn go_offline(&self) {
        self.is_online.store(false, Ordering::Relaxed);
    }

    /// Returns the URL of the page.
    pub fn url(&self) -> String {
        format!("http://{}/{}/", self.address, self.path)
    }
}

/// Answers one request and closes the connection. Returns `None` if the connection fails.
fn respond(stream: &TcpStream, root: &Path, prefix: &str) -> Option<()> {
    let mut lines = BufReader::new(stream).lines();
    let request = lines.next()?.ok()?;
    while lines.next()?.ok().is_some_and(|line| !line.is_empty()) {}
    let path = request.split(' ').nth(1)?.split('?').next()?;
    let name = path.strip_prefix(prefix).filter(|name| !name.contains("..")).unwrap_or("?");
    let name = if name.is_empty() { "index.html" } else { name };
    let file: PathBuf = root.join(name);
    let (status, body) = match fs::read(&file) {
        Ok(body) => ("200 OK", body),
        Err(_) => ("404 Not Found", Vec::new()),
    };
    let content_type = match file.extension().and_then(|extension| extension.to_str()) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript",
        Some("css") => "text/css",
        Some("wasm") => "application/wasm",
        _ => "application/octet-stream",
    };
    let mut stream = stream;
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\n\
         content-security-policy: {POLICY}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(&body).ok()
}
