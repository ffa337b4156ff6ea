//! What a probe hit costs here, measured on ourselves with the very probes that a target gets.

use std::{hint::black_box, sync::Arc};

use iced_x86::{Code, Decoder, DecoderOptions};

use crate::{
    clock::monotonic_nanos,
    memory,
    perf::{Mode, PerfOptions, PerfSource, SubscribeError},
    source::EventSource,
    tracefs::{ProbeSite, Tracefs, TracefsError},
};

/// The cost of a hit.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct HitCost {
    /// Nanoseconds that a probed call takes longer than an unprobed one.
    pub hit_nanos: f64,
    /// Nanoseconds that an unprobed call takes.
    pub bare_nanos: f64,
    /// Hits in a round.
    pub hits: u32,
    /// Rounds; the median counts.
    pub rounds: usize,
}

/// Why it could not be measured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CostError {
    /// This program has no instruction of the kind that is probed.
    #[error("this build has no call instruction to probe")]
    Unsupported,
    /// The probe could not be set.
    #[error(transparent)]
    Tracefs(#[from] TracefsError),
    /// The probe could not be listened to.
    #[error(transparent)]
    Subscribe(#[from] SubscribeError),
    /// The kernel's buffers could not be read.
    #[error("cannot read from the kernel")]
    Io(#[from] std::io::Error),
    /// The probe was set but not hit every time.
    #[error("the kernel reported {seen} hits of {expected}")]
    Missed {
        /// Hits reported.
        seen: usize,
        /// Hits made.
        expected: usize,
    },
}

const HITS: u32 = 2_000;
const ROUNDS: usize = 21;

#[inline(never)]
extern "C" fn callee() {
    black_box(());
}

/// The function whose call instruction is probed.
#[inline(never)]
extern "C" fn caller() {
    callee();
    black_box(());
}

fn time_of(calls: u32) -> f64 {
    let began = monotonic_nanos();
    for _ in 0..calls {
        black_box(caller as extern "C" fn())();
    }
    (monotonic_nanos() - began) as f64 / f64::from(calls)
}

/// Measures what a hit costs on this machine, in some 100 ms.
pub fn measure_hit_cost() -> Result<HitCost, CostError> {
    let site = site_of(caller as *const () as u64).ok_or(CostError::Unsupported)?;
    let bare_nanos = median(|| Ok(time_of(HITS)))?;
    let options = PerfOptions {
        mode: Mode::PerThreadAndCpu,
        follow_processes: false,
        syscall_enters: Some(Vec::new()),
        syscall_exits: Some(Vec::new()),
        ring_bytes: None,
    };
    let mut source = PerfSource::new(Arc::new(Tracefs::open()?), options)?;
    let probe = source.define_probe(&[site])?;
    let tid = rustix::thread::gettid().as_raw_nonzero().get();
    source.subscribe_probes(tid, 0, &[probe])?;
    source.enable()?;
    let mut records = Vec::new();
    let probed_nanos = median(|| {
        let nanos = time_of(HITS);
        records.clear();
        source.drain(&mut records)?;
        if records.len() < HITS as usize {
            return Err(CostError::Missed { seen: records.len(), expected: HITS as usize });
        }
        Ok(nanos)
    })?;
    Ok(HitCost { hit_nanos: probed_nanos - bare_nanos, bare_nanos, hits: HITS, rounds: ROUNDS })
}

fn median(mut measure: impl FnMut() -> Result<f64, CostError>) -> Result<f64, CostError> {
    let mut times = (0..ROUNDS).map(|_| measure()).collect::<Result<Vec<f64>, _>>()?;
    times.sort_by(f64::total_cmp);
    Ok(times[ROUNDS / 2])
}

/// The first relative call in the function at `address`, as a place in our own file.
fn site_of(address: u64) -> Option<ProbeSite> {
    let pid = std::process::id() as i32;
    let code = memory::read_u64s(pid, address, 8).ok()?;
    let bytes: Vec<u8> = code.iter().flat_map(|word| word.to_ne_bytes()).collect();
    let mut decoder = Decoder::with_ip(64, &bytes, address, DecoderOptions::NONE);
    let call = decoder
        .iter()
        .take_while(|instruction| !instruction.is_invalid())
        .find(|instruction| matches!(instruction.code(), Code::Call_rel32_64 | Code::Retnq))?;
    if call.code() != Code::Call_rel32_64 {
        return None;
    }
    let mapping = memory::mapping_of(pid, call.ip())?;
    Some(ProbeSite { file: mapping.file, offset: mapping.file_offset, fetch: "%di".to_owned() })
}
