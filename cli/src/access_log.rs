//! In which form requests are logged: the names of the forms on the command line.

use clap::ValueEnum;
use nethttp::middleware::{AccessLog, LogFormat};

use crate::lines::put_line;

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
        self.format().map(|format| AccessLog::new(format).to(put_line))
    }

    /// The library's form; `None` where there are to be no lines.
    pub(crate) fn format(self) -> Option<LogFormat> {
        match self {
            LogForm::Short => Some(LogFormat::Short),
            LogForm::Common => Some(LogFormat::Common),
            LogForm::Combined => Some(LogFormat::Combined),
            LogForm::Json => Some(LogFormat::Json),
            LogForm::None => None,
        }
    }
}
