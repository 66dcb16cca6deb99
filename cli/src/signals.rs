//! The signals that ask the command to end.

use std::io;

/// What was asked for, which says how the command ends when it is asked twice.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stop {
    /// Ctrl-C.
    Interrupt,
    /// SIGTERM: what service managers send.
    #[cfg(unix)]
    Terminate,
}

impl Stop {
    /// The exit code of a command that a signal ended, as shells count: 128 and its number.
    pub(crate) fn exit_code(self) -> i32 {
        match self {
            Stop::Interrupt => 130,
            #[cfg(unix)]
            Stop::Terminate => 143,
        }
    }
}

/// Takes the signals over: from here on they end nothing by themselves.
#[cfg(unix)]
pub(crate) struct StopSignals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl StopSignals {
    pub(crate) fn new() -> io::Result<StopSignals> {
        use tokio::signal::unix::{SignalKind, signal};

        Ok(StopSignals { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// The next one. Cancel safe.
    pub(crate) async fn next(&mut self) -> Stop {
        tokio::select! {
            _ = self.interrupt.recv() => Stop::Interrupt,
            _ = self.terminate.recv() => Stop::Terminate,
        }
    }
}

/// Takes Ctrl-C over: from here on it ends nothing by itself.
#[cfg(windows)]
pub(crate) struct StopSignals(tokio::signal::windows::CtrlC);

#[cfg(windows)]
impl StopSignals {
    pub(crate) fn new() -> io::Result<StopSignals> {
        Ok(StopSignals(tokio::signal::windows::ctrl_c()?))
    }

    /// The next one. Cancel safe.
    pub(crate) async fn next(&mut self) -> Stop {
        self.0.recv().await;
        Stop::Interrupt
    }
}
