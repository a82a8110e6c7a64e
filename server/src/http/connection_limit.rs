//! Who may come in: a bounded number of connections, none of which may sit there and do nothing.
//!
//! It isn't for the page's sake but for the lock service's, which shares file descriptors with it.

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

/// Lets connections in as long as there is room. Others wait outside, in the kernel's queue.
pub(super) struct ConnectionLimiter {
    listener: TcpListener,
    permits: Arc<Semaphore>,
    idle_timeout: Duration,
}

/// A connection that was let in.
pub(super) struct ConnectionPermit {
    stream: TcpStream,
    idle_timeout: Duration,
    idle_timer: Pin<Box<Sleep>>,
    _permit: OwnedSemaphorePermit,
}

impl ConnectionLimiter {
    /// A connection on which nothing moves for `idle_max` is closed.
    pub(super) fn new(listener: TcpListener, permits: usize, idle_timeout: Duration) -> Self {
        Self { listener, permits: Arc::new(Semaphore::new(permits)), idle_timeout }
    }
}

impl Listener for ConnectionLimiter {
    type Io = ConnectionPermit;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (ConnectionPermit, SocketAddr) {
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let seat = permit.expect("the seats are there as long as the door");
        let (stream, address) = Listener::accept(&mut self.listener).await;
        // Messages of the stream are whole, and wanted at once.
        let _ = stream.set_nodelay(true);
        let idle_timer = Box::pin(sleep(self.idle_timeout));
        (
            ConnectionPermit { stream, idle_timeout: self.idle_timeout, idle_timer, _permit: seat },
            address,
        )
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl ConnectionPermit {
    /// Passes `polled` on, unless nothing has moved for too long.
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
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::time::timeout;

    use super::*;

    const IDLE_TIMEOUT: Duration = Duration::from_millis(400);

    async fn limiter(permits: usize) -> (ConnectionLimiter, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (ConnectionLimiter::new(listener, permits, IDLE_TIMEOUT), address)
    }

    #[tokio::test]
    async fn connection_over_the_limit_waits_for_a_free_permit() {
        let (mut limiter, address) = limiter(1).await;
        let _waiting = [TcpStream::connect(address).await, TcpStream::connect(address).await];
        let (first, _) = limiter.accept().await;
        assert!(timeout(Duration::from_millis(100), limiter.accept()).await.is_err());
        drop(first);
        assert!(timeout(Duration::from_secs(5), limiter.accept()).await.is_ok());
    }

    #[tokio::test]
    async fn idle_connection_is_closed() {
        let (mut limiter, address) = limiter(2).await;
        let mut busy = TcpStream::connect(address).await.unwrap();
        let (mut first, _) = limiter.accept().await;
        let mut quiet = TcpStream::connect(address).await.unwrap();
        let (mut second, _) = limiter.accept().await;
        let read = tokio::spawn(async move {
            let error = second.read_u8().await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        });
        for _ in 0..8 {
            busy.write_all(b"a").await.unwrap();
            assert_eq!(first.read_u8().await.unwrap(), b'a', "it moves");
            sleep(IDLE_TIMEOUT / 4).await;
        }
        timeout(Duration::from_secs(5), read).await.unwrap().unwrap();
        assert_eq!(quiet.read(&mut [0]).await.unwrap(), 0, "closed");
    }
}
