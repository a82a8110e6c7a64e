//! Limits the number of connections, and closes idle ones.
//!
//! This protects the lock service, which shares the process's file descriptors with HTTP.

use std::future::Future as _;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep};

/// Accepts connections up to a limit. Further ones wait in the kernel's queue.
pub(super) struct ConnectionLimiter {
    listener: TcpListener,
    permits: Arc<Semaphore>,
    idle_timeout: Duration,
}

/// An accepted connection, which counts against the limit until it is dropped.
pub(super) struct ConnectionPermit {
    stream: TcpStream,
    idle_timeout: Duration,
    idle_timer: Pin<Box<Sleep>>,
    _permit: OwnedSemaphorePermit,
}

impl ConnectionLimiter {
    /// Returns a listener that allows `permits` connections and closes each after `idle_timeout`
    /// without traffic.
    pub(super) fn new(listener: TcpListener, permits: usize, idle_timeout: Duration) -> Self {
        Self { listener, permits: Arc::new(Semaphore::new(permits)), idle_timeout }
    }
}

impl Listener for ConnectionLimiter {
    type Io = ConnectionPermit;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (ConnectionPermit, SocketAddr) {
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let permit = permit.expect("the semaphore is never closed");
        let (stream, address) = Listener::accept(&mut self.listener).await;
        // Messages of the event stream are complete and should not be delayed.
        let _ = stream.set_nodelay(true);
        let idle_timer = Box::pin(sleep(self.idle_timeout));
        (
            ConnectionPermit {
                stream,
                idle_timeout: self.idle_timeout,
                idle_timer,
                _permit: permit,
            },
            address,
        )
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl ConnectionPermit {
    /// Returns `result`, or an error if the connection has been idle for too long.
    fn check_idle<T>(
        &mut self,
        context: &mut Context<'_>,
        result: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if result.is_ready() {
            let deadline = Instant::now() + self.idle_timeout;
            self.idle_timer.as_mut().reset(deadline);
            return result;
        }
        ready!(self.idle_timer.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for ConnectionPermit {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.check_idle(context, result)
    }
}

impl AsyncWrite for ConnectionPermit {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.check_idle(context, result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.check_idle(context, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::Waker;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::time::timeout;

    use super::*;

    /// The limit for events that must happen.
    const TEST_TIMEOUT: Duration = Duration::from_secs(20);

    async fn limiter(permits: usize, idle_timeout: Duration) -> (ConnectionLimiter, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (ConnectionLimiter::new(listener, permits, idle_timeout), address)
    }

    #[tokio::test]
    async fn connection_over_the_limit_waits_for_a_free_permit() {
        let (mut limiter, address) = limiter(1, TEST_TIMEOUT).await;
        let _waiting = [TcpStream::connect(address).await, TcpStream::connect(address).await];
        let (first, _) = limiter.accept().await;
        let mut accept = pin!(limiter.accept());
        let mut context = Context::from_waker(Waker::noop());
        assert!(accept.as_mut().poll(&mut context).is_pending(), "the only permit is in use");
        drop(first);
        assert!(timeout(TEST_TIMEOUT, accept).await.is_ok());
    }

    #[tokio::test]
    async fn idle_connection_is_closed() {
        let (mut limiter, address) = limiter(1, Duration::from_millis(10)).await;
        let mut client = TcpStream::connect(address).await.unwrap();
        let (mut connection, _) = limiter.accept().await;
        let result = timeout(TEST_TIMEOUT, connection.read_u8()).await.unwrap();
        assert_eq!(result.unwrap_err().kind(), io::ErrorKind::TimedOut);
        drop(connection);
        let result = timeout(TEST_TIMEOUT, client.read(&mut [0])).await.unwrap();
        assert_eq!(result.unwrap(), 0, "the idle connection is closed");
    }

    #[tokio::test]
    async fn traffic_postpones_the_idle_timeout() {
        let (mut limiter, address) = limiter(1, TEST_TIMEOUT).await;
        let mut client = TcpStream::connect(address).await.unwrap();
        let (mut connection, _) = limiter.accept().await;
        let accepted = connection.idle_timer.deadline();
        client.write_all(b"a").await.unwrap();
        assert_eq!(connection.read_u8().await.unwrap(), b'a');
        let received = connection.idle_timer.deadline();
        assert!(received > accepted, "received bytes are traffic");
        connection.write_all(b"b").await.unwrap();
        assert!(connection.idle_timer.deadline() > received, "sent bytes are traffic");
    }
}
