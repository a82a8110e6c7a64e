//! The signals that this process receives while it supervises a command, in their order.
//!
//! On Linux all signals are blocked, and a thread reads them from a descriptor (signalfd). So each
//! signal that can be caught is received, with its sender. Elsewhere the named signals are received
//! through handlers.

use rustix::process::Signal;

use crate::command::error::CommandError;
use crate::command::inherited_signals::InheritedSignals;

/// A signal, and the process that sent it: `None` for the kernel, or if it is unknown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Received {
    pub(super) signal: Signal,
    pub(super) sender: Option<i32>,
}

impl Received {
    #[cfg(target_os = "linux")]
    fn new(info: &nix::libc::signalfd_siginfo) -> Option<Self> {
        use rustix_libc_wrappers::process::SignalExt as _;

        let signal = Signal::from_raw(info.ssi_signo.try_into().ok()?)?;
        // The codes of signals that a process sends are not positive; see sigaction(2).
        let sender = (info.ssi_code <= 0).then(|| i32::try_from(info.ssi_pid).ok()).flatten();
        Some(Self { signal, sender })
    }

    #[cfg(target_os = "linux")]
    fn number(&self) -> i32 {
        self.signal.as_raw()
    }

    /// Whether this process sent the signal: to its own process group, or by writing to a pipe
    /// without a reader.
    pub(super) fn is_own(&self) -> bool {
        self.sender.and_then(rustix::process::Pid::from_raw) == Some(rustix::process::getpid())
    }
}

fn cannot_receive(error: impl std::fmt::Display) -> CommandError {
    CommandError::refused(format!("cannot receive signals: {error}"))
}

/// Replaces an inherited ignored SIGCHLD: while it is ignored, the kernel discards exit codes.
fn reset_child_signal() -> Result<tokio::signal::unix::Signal, CommandError> {
    use tokio::signal::unix::{SignalKind, signal};
    signal(SignalKind::child()).map_err(cannot_receive)
}

#[cfg(target_os = "linux")]
pub(super) struct SignalQueue {
    receiver: tokio::sync::mpsc::UnboundedReceiver<Received>,
}

#[cfg(target_os = "linux")]
impl SignalQueue {
    /// Blocks all signals, and starts a thread that receives them. To be called before another
    /// thread is started: it would not block them.
    pub(super) fn open() -> Result<Self, CommandError> {
        use nix::sys::signal::SigSet;
        use nix::sys::signalfd::{SfdFlags, SignalFd};

        let inherited = InheritedSignals::get();
        // The handler remains installed.
        drop(reset_child_signal()?);
        let all = SigSet::all();
        all.thread_block().map_err(cannot_receive)?;
        let descriptor =
            SignalFd::with_flags(&all, SfdFlags::SFD_CLOEXEC).map_err(cannot_receive)?;
        let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
        let receive = move || {
            while let Ok(Some(info)) = descriptor.read_signal() {
                let received = Received::new(&info).filter(|it| !inherited.is_ignored(it.number()));
                if received.is_some_and(|received| sender.send(received).is_err()) {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new().name("signals".to_owned());
        thread.spawn(receive).map_err(cannot_receive)?;
        Ok(Self { receiver })
    }

    /// Waits for the next signal that was not ignored at the start.
    pub(super) async fn next(&mut self) -> Received {
        match self.receiver.recv().await {
            Some(received) => received,
            // Reading the descriptor has failed, which it does not.
            None => std::future::pending().await,
        }
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) struct SignalQueue {
    receivers: Vec<(Signal, tokio::signal::unix::Signal)>,
}

#[cfg(not(target_os = "linux"))]
impl SignalQueue {
    /// Begins to receive the signals that can be caught and are not ignored.
    pub(super) fn open() -> Result<Self, CommandError> {
        use tokio::signal::unix::{SignalKind, signal};

        const SIGNALS: [Signal; 20] = [
            Signal::HUP,
            Signal::INT,
            Signal::QUIT,
            Signal::ABORT,
            Signal::USR1,
            Signal::USR2,
            Signal::ALARM,
            Signal::TERM,
            Signal::CONT,
            Signal::TSTP,
            Signal::TTIN,
            Signal::TTOU,
            Signal::URG,
            Signal::XCPU,
            Signal::XFSZ,
            Signal::VTALARM,
            Signal::PROF,
            Signal::WINCH,
            Signal::IO,
            Signal::SYS,
        ];
        let inherited = InheritedSignals::get();
        let mut receivers = vec![(Signal::CHILD, reset_child_signal()?)];
        for number in SIGNALS.into_iter().filter(|it| !inherited.is_ignored(it.as_raw())) {
            let kind = SignalKind::from_raw(number.as_raw());
            receivers.push((number, signal(kind).map_err(cannot_receive)?));
        }
        Ok(Self { receivers })
    }

    /// Waits for the next signal that was not ignored at the start.
    pub(super) async fn next(&mut self) -> Received {
        std::future::poll_fn(|context| {
            for (signal, receiver) in &mut self.receivers {
                if receiver.poll_recv(context).is_ready() {
                    return std::task::Poll::Ready(Received { signal: *signal, sender: None });
                }
            }
            std::task::Poll::Pending
        })
        .await
    }
}
