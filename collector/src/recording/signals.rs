//! Signals that end a recording.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ},
    flag,
};

/// Ctrl-C and its like ask us to finish; a second one ends us at once.
pub(crate) struct Signals {
    received: Arc<AtomicBool>,
    /// The last signal received; 0 for none.
    last: Arc<AtomicUsize>,
}

impl Signals {
    /// From here on signals no longer end the process. To be called before anything is made that has to be removed again.
    pub(crate) fn install() -> anyhow::Result<Signals> {
        let signals = Signals { received: Arc::default(), last: Arc::default() };
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            flag::register_conditional_shutdown(signal, 128 + signal, signals.received.clone())?;
            flag::register(signal, signals.received.clone())?;
            flag::register_usize(signal, signals.last.clone(), signal as usize)?;
        }
        // A file that grows past a limit is an error of the write that does it (EFBIG), not the end of the process. A handler
        // and not `SIG_IGN`, which a command that we start would inherit.
        flag::register(SIGXFSZ, Arc::default())?;
        Ok(signals)
    }

    /// Whether we are asked to finish.
    pub(crate) fn received(&self) -> bool {
        self.received.load(Ordering::Relaxed)
    }

    /// Whether we are asked by `SIGTERM`, which, unlike those of a terminal, reaches us alone and not our children.
    pub(crate) fn terminated(&self) -> bool {
        self.last.load(Ordering::Relaxed) == SIGTERM as usize
    }
}
