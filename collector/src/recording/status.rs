//! The status while recording: one line on a terminal, plain lines elsewhere.

use std::{
    io::IsTerminal,
    path::Path,
    time::{Duration, Instant},
};

use gilscope_trace::detail::Check;
use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressStyle};

use super::Progress;

/// How often a plain line is printed.
const PLAIN: Duration = Duration::from_secs(2);
/// How often the line on a terminal changes.
const LIVE: Duration = Duration::from_millis(100);

pub(super) struct StatusLine {
    bar: Option<ProgressBar>,
    next: Instant,
    last: (Duration, u64),
}

impl StatusLine {
    pub(super) fn new(path: &Path, targets: &[i32]) -> StatusLine {
        let targets: Vec<String> = targets.iter().map(ToString::to_string).collect();
        say!("recording {} to {} (Ctrl-C to stop)", targets.join(", "), path.display());
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{spinner} {msg}")
                .unwrap_or_else(|_| ProgressStyle::default_spinner());
            ProgressBar::new_spinner().with_style(style)
        });
        StatusLine { bar, next: Instant::now(), last: (Duration::ZERO, 0) }
    }

    pub(super) fn update(&mut self, elapsed: Duration, progress: &Progress, check: &Check) {
        if Instant::now() < self.next {
            return;
        }
        self.next = Instant::now() + if self.bar.is_some() { LIVE } else { PLAIN };
        let events = progress.events();
        let (last_elapsed, last_events) = self.last;
        let seconds = (elapsed - last_elapsed).as_secs_f64().max(1e-3);
        let rate = (events.saturating_sub(last_events)) as f64 / seconds;
        // On a terminal the rate is that of the last second or so, not of a tenth.
        if self.bar.is_none() || seconds > 1.0 {
            self.last = (elapsed, events);
        }
        let line = format!(
            "{:.1} s  {} events  {}/s  {}  {} lost",
            elapsed.as_secs_f64(),
            HumanCount(events),
            HumanCount(rate as u64),
            HumanBytes(progress.bytes()),
            HumanCount(check.lost),
        );
        match &self.bar {
            Some(bar) => {
                bar.set_message(line);
                bar.tick();
            }
            None => say!("{line}"),
        }
    }

    pub(super) fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
