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
pub(super) struct Door {
    listener: TcpListener,
    seats: Arc<Semaphore>,
    idle_max: Duration,
}

/// A connection that was let in.
pub(super) struct Visitor {
    stream: TcpStream,
    idle_max: Duration,
    idle: Pin<Box<Sleep>>,
    _seat: OwnedSemaphorePermit,
}

impl Door {
    /// A connection on which nothing moves for `idle_max` is closed.
    pub(super) fn new(listener: TcpListener, seats: usize, idle_max: Duration) -> Self {
        Self { listener, seats: Arc::new(Semaphore::new(seats)), idle_max }
    }
}

impl Listener for Door {
    type Io = Visitor;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Visitor, SocketAddr) {
        let seat = Arc::clone(&self.seats).acquire_owned().await;
        let seat = seat.expect("the seats are there as long as the door");
        let (stream, address) = Listener::accept(&mut self.listener).await;
        // Messages of the stream are whole, and wanted at once.
        let _ = stream.set_nodelay(true);
        let idle = Box::pin(sleep(self.idle_max));
        (Visitor { stream, idle_max: self.idle_max, idle, _seat: seat }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl Visitor {
    /// Passes `polled` on, unless nothing has moved for too long.
    fn unless_idle<T>(
        &mut self,
        context: &mut Context<'_>,
        polled: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            let until = Instant::now() + self.idle_max;
            self.idle.as_mut().reset(until);
            return polled;
        }
        ready!(self.idle.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Visitor {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.unless_idle(context, polled)
    }
}

impl AsyncWrite for Visitor {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.unless_idle(context, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.unless_idle(context, polled)
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

    const IDLE_MAX: Duration = Duration::from_millis(400);

    async fn door(seats: usize) -> (Door, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (Door::new(listener, seats, IDLE_MAX), address)
    }

    #[tokio::test]
    async fn who_comes_when_it_is_full_waits_until_somebody_leaves() {
        let (mut door, address) = door(1).await;
        let _outside = [TcpStream::connect(address).await, TcpStream::connect(address).await];
        let (first, _) = door.accept().await;
        assert!(timeout(Duration::from_millis(100), door.accept()).await.is_err());
        drop(first);
        assert!(timeout(Duration::from_secs(5), door.accept()).await.is_ok());
    }

    #[tokio::test]
    async fn a_connection_on_which_nothing_moves_is_closed() {
        let (mut door, address) = door(2).await;
        let mut busy = TcpStream::connect(address).await.unwrap();
        let (mut first, _) = door.accept().await;
        let mut quiet = TcpStream::connect(address).await.unwrap();
        let (mut second, _) = door.accept().await;
        let read = tokio::spawn(async move {
            let error = second.read_u8().await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        });
        for _ in 0..8 {
            busy.write_all(b"a").await.unwrap();
            assert_eq!(first.read_u8().await.unwrap(), b'a', "it moves");
            sleep(IDLE_MAX / 4).await;
        }
        timeout(Duration::from_secs(5), read).await.unwrap().unwrap();
        assert_eq!(quiet.read(&mut [0]).await.unwrap(), 0, "closed");
    }
}
