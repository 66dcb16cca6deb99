//! The signals that ask the command to end, or to read its files again.

use std::io;

/// What was asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Asked {
    Stop(Stop),
    /// SIGHUP. Where it is not asked for, it has no effect.
    #[cfg_attr(not(unix), allow(dead_code, reason = "there is no such signal"))]
    Reload,
}

/// By what the command is to end, which says how it ends when it is asked twice.
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
pub(crate) struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    /// Taken over when it is asked for: a command that has nothing to read again is ended by it, as is usual.
    hangup: Option<tokio::signal::unix::Signal>,
}

#[cfg(unix)]
impl Signals {
    pub(crate) fn new() -> io::Result<Signals> {
        use tokio::signal::unix::{SignalKind, signal};

        let (interrupt, terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        Ok(Signals { interrupt, terminate, hangup: None })
    }

    /// Takes SIGHUP over, too.
    pub(crate) fn with_reload(mut self) -> io::Result<Signals> {
        use tokio::signal::unix::{SignalKind, signal};

        self.hangup = Some(signal(SignalKind::hangup())?);
        Ok(self)
    }

    /// The next one. Cancel safe.
    pub(crate) async fn next(&mut self) -> Asked {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => _ = hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => Asked::Stop(Stop::Interrupt),
            _ = self.terminate.recv() => Asked::Stop(Stop::Terminate),
            () = hangup => Asked::Reload,
        }
    }

    /// The next one that asks to end. Cancel safe.
    pub(crate) async fn next_stop(&mut self) -> Stop {
        loop {
            if let Asked::Stop(stop) = self.next().await {
                return stop;
            }
        }
    }
}

/// Takes Ctrl-C over: from here on it ends nothing by itself.
#[cfg(windows)]
pub(crate) struct Signals(tokio::signal::windows::CtrlC);

#[cfg(windows)]
impl Signals {
    pub(crate) fn new() -> io::Result<Signals> {
        Ok(Signals(tokio::signal::windows::ctrl_c()?))
    }

    pub(crate) fn with_reload(self) -> io::Result<Signals> {
        Ok(self)
    }

    /// The next one. Cancel safe.
    pub(crate) async fn next(&mut self) -> Asked {
        self.0.recv().await;
        Asked::Stop(Stop::Interrupt)
    }

    /// The same.
    pub(crate) async fn next_stop(&mut self) -> Stop {
        self.0.recv().await;
        Stop::Interrupt
    }
}
