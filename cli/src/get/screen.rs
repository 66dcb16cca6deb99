//! Standard error: bars, and lines between them.

use std::fmt::Display;
use std::io::{IsTerminal as _, Write as _};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Standard error, for all downloads together.
pub(crate) struct Screen {
    bars: MultiProgress,
    total: Option<ProgressBar>,
    shows_bars: bool,
    speaks: bool,
}

/// What may be shown beside errors.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shown {
    /// How many files are downloaded.
    pub(crate) files: usize,
    pub(crate) silent: bool,
}

/// How far one download is. Shows nothing where there are no bars.
pub(crate) struct Progress {
    bar: ProgressBar,
    total: Option<ProgressBar>,
}

impl Screen {
    pub(crate) fn new(shown: Shown) -> Screen {
        let shows_bars = shown.files > 0 && !shown.silent && std::io::stderr().is_terminal();
        let target = if shows_bars { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bars = MultiProgress::with_draw_target(target);
        let total = (shows_bars && shown.files > 1).then(|| {
            bars.add(
                ProgressBar::new(0).with_style(style(OF_KNOWN_LENGTH)).with_message(format!("{} files", shown.files)),
            )
        });
        Screen { bars, total, shows_bars, speaks: !shown.silent }
    }

    /// A download of this length begins, of which so much is there.
    pub(crate) fn progress(&self, name: &str, there: u64, length: Option<u64>) -> Progress {
        if !self.shows_bars {
            return Progress { bar: ProgressBar::hidden(), total: None };
        }
        let bar = match length {
            Some(length) => ProgressBar::new(length).with_style(style(OF_KNOWN_LENGTH)),
            None => ProgressBar::no_length().with_style(style(OF_UNKNOWN_LENGTH)),
        };
        let bar = bar.with_message(escaped(name)).with_position(there);
        let bar = match &self.total {
            Some(total) => self.bars.insert_before(total, bar),
            None => self.bars.add(bar),
        };
        bar.reset_eta();
        if let Some(total) = &self.total {
            total.inc_length(length.unwrap_or(0));
            total.inc(there);
        }
        Progress { bar, total: self.total.clone() }
    }

    /// A line that --silent keeps back.
    pub(crate) fn note(&self, line: impl Display) {
        if self.speaks {
            self.say(line);
        }
    }

    /// A line, or several, above the bars.
    pub(crate) fn say(&self, lines: impl Display) {
        // An error means that standard error is closed: there is nowhere to report it.
        self.bars.suspend(|| drop(writeln!(std::io::stderr(), "{lines}")));
    }

    pub(crate) fn end(&self) {
        if let Some(total) = &self.total {
            total.finish();
        }
    }
}

impl Progress {
    pub(crate) fn note(&self, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.bar.inc(bytes);
        if let Some(total) = &self.total {
            total.inc(bytes);
        }
    }

    pub(crate) fn done(self) {
        self.bar.finish();
    }

    /// It failed. If it is tried again it gets a new bar, so the total loses its bytes.
    pub(crate) fn broken(self) {
        if let Some(total) = &self.total {
            total.set_length(total.length().unwrap_or(0).saturating_sub(self.bar.length().unwrap_or(0)));
            total.set_position(total.position().saturating_sub(self.bar.position()));
        }
        self.bar.finish_and_clear();
    }
}

const OF_KNOWN_LENGTH: &str = "{msg:24!} [{bar:24}] {bytes:>11}/{total_bytes:<11} {bytes_per_sec:>13} {eta:>4}";
const OF_UNKNOWN_LENGTH: &str = "{msg:24!} {spinner} {bytes:>11} {bytes_per_sec:>13}";

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the template is one").progress_chars("=> ")
}

/// Text of a server without control characters, which could move the cursor or change the title of a
/// terminal.
pub(crate) fn escaped(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { format!("\\u{{{:x}}}", u32::from(c)) } else { c.to_string() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bars_can_be_drawn() {
        let _ = (style(OF_KNOWN_LENGTH), style(OF_UNKNOWN_LENGTH));
    }

    #[test]
    fn a_server_cannot_steer_the_terminal() {
        assert_eq!(escaped("a\x1b[2J\u{9b}b\u{e9}"), "a\\u{1b}[2J\\u{9b}b\u{e9}");
    }
}
