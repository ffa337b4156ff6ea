//! What the engine remembers of a thread and of a GIL until their next event.

use crate::NONE;

/// A thread between two events.
#[derive(Clone, Debug)]
pub(super) struct Live {
    pub(super) alive: bool,
    /// Whether it is known if the thread holds a GIL.
    pub(super) known: bool,
    /// Whether it had an event since `known_from`.
    pub(super) seen: bool,
    /// Since when its records are complete.
    pub(super) known_from: i64,
    /// The processor of its last event, and the one before it moved there.
    pub(super) cpu: u16,
    pub(super) moved_from: u16,
    pub(super) moved_at: i64,
    /// The GIL it holds, and the place of that hold.
    pub(super) holds: u32,
    pub(super) hold: u32,
    /// The stall it is in, and when it last began to sleep for an interval.
    pub(super) waits: u32,
    pub(super) slept: i64,
    /// Since when it has no processor, and whether it was preempted.
    pub(super) off_cpu: Option<(i64, bool)>,
    /// When it last got a processor.
    pub(super) on_cpu: i64,
    /// Begin and packed argument of the system call it is in.
    pub(super) call: Option<(i64, u32)>,
    pub(super) after: After,
    /// Voluntary releases so far.
    pub(super) voluntary: u64,
    pub(super) run: Option<super::convoys::Run>,
    pub(super) last_address: u64,
    pub(super) last_gil: u32,
}

impl Live {
    pub(super) fn new(known_from: i64, known: bool) -> Live {
        Live {
            alive: true,
            known,
            seen: false,
            known_from,
            cpu: u16::MAX,
            moved_from: u16::MAX,
            moved_at: i64::MIN,
            holds: NONE,
            hold: NONE,
            waits: NONE,
            slept: i64::MIN,
            off_cpu: None,
            on_cpu: i64::MIN,
            call: None,
            after: After::NOTHING,
            voluntary: 0,
            run: None,
            last_address: 0,
            last_gil: NONE,
        }
    }
}

/// What a thread did since it last released a GIL.
#[derive(Clone, Copy, Debug)]
pub(super) struct After {
    /// When; `i64::MIN` if it has not.
    pub(super) time: i64,
    pub(super) gil: u32,
    /// Place of the hold that ended so, or [`NONE`].
    pub(super) hold: u32,
    /// Whether another thread had asked for the GIL.
    pub(super) requested: bool,
    /// When another thread took it; `i64::MAX` if none has.
    pub(super) taken: i64,
    /// Whether it made a system call other than those of the GIL itself.
    pub(super) called: bool,
    /// Whether the release is known to be forced or voluntary.
    pub(super) verdict: Option<Release>,
    pub(super) io_ns: i64,
    pub(super) last_call: u32,
}

impl After {
    pub(super) const NOTHING: After = After {
        time: i64::MIN,
        gil: NONE,
        hold: NONE,
        requested: false,
        taken: i64::MAX,
        called: false,
        verdict: None,
        io_ns: 0,
        last_call: NONE,
    };
}

/// Why a thread released the GIL.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Release {
    Forced,
    Voluntary,
}

/// Who owns a GIL.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(super) enum Holder {
    /// The next event decides. The last span of `Gil::unknown` is open.
    #[default]
    Unknown,
    Free,
    Thread(u32),
}

/// A GIL between two events.
#[derive(Clone, Default, Debug)]
pub(super) struct Owner {
    pub(super) holder: Holder,
    /// Threads that wait for it.
    pub(super) waiters: Vec<u32>,
    /// Threads that released it on request and are not known to be through.
    pub(super) limbo: Vec<u32>,
}

impl Owner {
    pub(super) fn is_unknown(&self) -> bool {
        self.holder == Holder::Unknown
    }
}
