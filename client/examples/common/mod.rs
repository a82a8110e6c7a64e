//! The server that the examples use.

use std::env;

use leasehold_client::testing::TestServer;

/// A running server: the one at `LEASEHOLD_SERVER`, or one within this process.
pub(crate) struct Server {
    pub(crate) addr: String,
    _in_process: Option<TestServer>,
}

impl Server {
    pub(crate) fn find_or_start() -> Self {
        if let Ok(addr) = env::var("LEASEHOLD_SERVER") {
            return Self { addr, _in_process: None };
        }
        let server = TestServer::start();
        Self { addr: server.addr().to_string(), _in_process: Some(server) }
    }
}
