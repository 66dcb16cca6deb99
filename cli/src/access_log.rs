//! In which form requests are logged: the names of the forms on the command line.

use clap::ValueEnum;
use nethttp::middleware::{AccessLog, LogFormat};

/// The form of the lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogForm {
    /// Time, peer, method, target, status, bytes and duration
    Short,
    /// The Common Log Format of Apache and NCSA
    Common,
    /// The same with referrer and user agent
    Combined,
    /// An object of JSON
    Json,
    /// No lines at all
    None,
}

impl LogForm {
    /// A log of this form on standard error, unless there is to be none.
    pub(crate) fn log(self) -> Option<AccessLog> {
        let format = match self {
            LogForm::Short => LogFormat::Short,
            LogForm::Common => LogFormat::Common,
            LogForm::Combined => LogFormat::Combined,
            LogForm::Json => LogFormat::Json,
            LogForm::None => return None,
        };
        Some(AccessLog::new(format))
    }
}
