//! From the bytes of a perf record to a [`Record`]. Pure.
//!
//! The layout is that of `include/uapi/linux/perf_event.h` for the sample type that [`super::open`] asks for: identifier, thread,
//! time, processor, raw data. Records that are not samples carry the same in a trailer, identifier last.

use crate::{
    source::{Body, Origin, Record},
    tracefs::Field,
};

/// What a perf event was opened for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum What {
    /// The life of the thread: switches, forks, exits, names, mappings.
    Life,
    /// A named uprobe; the place of its fetched value.
    Probe(u16, Field),
    /// `raw_syscalls:sys_enter`: places of number and arguments.
    SyscallEnter { id: Field, args: Field },
    /// `raw_syscalls:sys_exit`: places of number and result.
    SyscallExit { id: Field, ret: Field },
}

/// Who gets the records of a perf event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Subscription {
    pub(super) origin: Origin,
    pub(super) what: What,
}

// include/uapi/linux/perf_event.h, enum perf_event_type
const LOST: u32 = 2;
const COMM: u32 = 3;
const EXIT: u32 = 4;
const FORK: u32 = 7;
const SAMPLE: u32 = 9;
const MMAP2: u32 = 10;
const SWITCH: u32 = 14;
// ... and PERF_RECORD_MISC_*
const MISC_COMM_EXEC: u16 = 1 << 13;
const MISC_SWITCH_OUT: u16 = 1 << 13;
const MISC_SWITCH_OUT_PREEMPT: u16 = 1 << 14;

/// Bytes of the trailer of records that are not samples.
const TRAILER: usize = 32;

/// Reads one record. `None` for one that is of no interest or not understood.
///
/// `data` is what follows the header. `since` is the time of the last record in the same ring, for losses.
pub(super) fn parse(
    kind: u32,
    misc: u16,
    data: &[u8],
    since: i64,
    subscription: impl Fn(u64) -> Option<Subscription>,
) -> Option<Record> {
    let bytes = Bytes(data);
    let (common, body) = if kind == SAMPLE { (0, data.get(TRAILER..)?) } else { (trailer(data)?, data) };
    let (identifier, thread) =
        if kind == SAMPLE { (bytes.u64(0)?, 8) } else { (bytes.u64(common + 24)?, common) };
    let subscribed = subscription(identifier);
    let fields = Bytes(body);
    let body = match kind {
        SAMPLE => parse_sample(subscribed?.what, Bytes(raw_data(body)?))?,
        LOST => Body::Lost { records: fields.u64(8)?, since },
        SWITCH if misc & MISC_SWITCH_OUT != 0 => {
            Body::SwitchOut { preempted: misc & MISC_SWITCH_OUT_PREEMPT != 0 }
        }
        SWITCH => Body::SwitchIn,
        // pid, ppid, tid, ptid, time
        FORK => Body::Fork { child_pid: fields.i32(0)?, child_tid: fields.i32(8)? },
        EXIT => Body::Exit,
        COMM => Body::Name { name: text(body.get(8..common)?), exec: misc & MISC_COMM_EXEC != 0 },
        // pid, tid, addr, len, pgoff, 24 bytes that tell the file, prot, flags
        MMAP2 => Body::Map { path: text(body.get(64..common)?) },
        _ => return None,
    };
    let mut record = Record {
        time: i64::try_from(bytes.u64(thread + 8)?).ok()?,
        pid: bytes.i32(thread)?,
        tid: bytes.i32(thread + 4)?,
        cpu: u16::try_from(bytes.u32(thread + 16)?).ok()?,
        // A loss concerns everybody on that ring, whichever event reports it.
        origin: subscribed.map_or(Origin { tid: 0, group: crate::source::Group::Base }, |to| to.origin),
        body,
    };
    if kind == EXIT {
        // Written by whoever the kernel runs then; the payload tells who ended.
        (record.pid, record.tid) = (fields.i32(0)?, fields.i32(8)?);
    }
    Some(record)
}

fn parse_sample(what: What, raw: Bytes) -> Option<Body> {
    match what {
        What::Life => None,
        What::Probe(probe, argument) => Some(Body::Probe { probe, argument: raw.u64(argument.offset)? }),
        What::SyscallEnter { id, args } => Some(Body::SyscallEnter {
            nr: raw.i64(id.offset)?,
            arguments: [raw.u64(args.offset)?, raw.u64(args.offset + 8)?],
        }),
        What::SyscallExit { id, ret } => {
            Some(Body::SyscallExit { nr: raw.i64(id.offset)?, result: raw.i64(ret.offset)? })
        }
    }
}

fn trailer(data: &[u8]) -> Option<usize> {
    data.len().checked_sub(TRAILER)
}

/// `PERF_SAMPLE_RAW`: a length and as many bytes.
fn raw_data(body: &[u8]) -> Option<&[u8]> {
    let length = Bytes(body).u32(0)?;
    body.get(4..)?.get(..length as usize)
}

/// Text up to the first NUL.
fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// Numbers in the byte order of this machine.
#[derive(Clone, Copy)]
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn take<const N: usize>(self, offset: usize) -> Option<[u8; N]> {
        self.0.get(offset..)?.first_chunk().copied()
    }

    fn u32(self, offset: usize) -> Option<u32> {
        self.take(offset).map(u32::from_ne_bytes)
    }

    fn i32(self, offset: usize) -> Option<i32> {
        self.take(offset).map(i32::from_ne_bytes)
    }

    fn u64(self, offset: usize) -> Option<u64> {
        self.take(offset).map(u64::from_ne_bytes)
    }

    fn i64(self, offset: usize) -> Option<i64> {
        self.take(offset).map(i64::from_ne_bytes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::source::Group;

    const ORIGIN: Origin = Origin { tid: 12, group: Group::Base };

    fn subscription(what: What) -> impl Fn(u64) -> Option<Subscription> {
        move |id| (id == 77).then_some(Subscription { origin: ORIGIN, what })
    }

    /// Identifier 77, process 11, thread 12, time 5000, processor 3, as a sample begins.
    fn sample(raw: &[u8]) -> Vec<u8> {
        let mut data = 77_u64.to_ne_bytes().to_vec();
        data.extend(thread());
        data.extend((raw.len() as u32).to_ne_bytes());
        data.extend(raw);
        data
    }

    fn thread() -> Vec<u8> {
        let mut data = Vec::new();
        data.extend(11_i32.to_ne_bytes());
        data.extend(12_i32.to_ne_bytes());
        data.extend(5000_u64.to_ne_bytes());
        data.extend(3_u64.to_ne_bytes());
        data
    }

    fn with_trailer(mut payload: Vec<u8>) -> Vec<u8> {
        payload.extend(thread());
        payload.extend(77_u64.to_ne_bytes());
        payload
    }

    fn record(body: Body) -> Option<Record> {
        Some(Record { time: 5000, pid: 11, tid: 12, cpu: 3, origin: ORIGIN, body })
    }

    #[test]
    fn a_probe_hit_carries_the_fetched_value() {
        let mut raw = vec![0; 16];
        raw.extend(0xdead_beef_u64.to_ne_bytes());
        raw.extend([0; 4]);
        let what = What::Probe(4, Field { offset: 16, size: 8 });
        let parsed = parse(SAMPLE, 0, &sample(&raw), 0, subscription(what));
        assert_eq!(parsed, record(Body::Probe { probe: 4, argument: 0xdead_beef }));
    }

    #[test]
    fn a_switch_out_tells_whether_the_thread_was_preempted() {
        let data = with_trailer(Vec::new());
        let switch = |misc| parse(SWITCH, misc, &data, 0, subscription(What::Life));
        assert_eq!(switch(MISC_SWITCH_OUT), record(Body::SwitchOut { preempted: false }));
        let preempted = MISC_SWITCH_OUT | MISC_SWITCH_OUT_PREEMPT;
        assert_eq!(switch(preempted), record(Body::SwitchOut { preempted: true }));
        assert_eq!(switch(0), record(Body::SwitchIn));
    }

    #[test]
    fn a_loss_spans_from_the_record_before_it() {
        let mut payload = 99_u64.to_ne_bytes().to_vec();
        payload.extend(1234_u64.to_ne_bytes());
        let parsed = parse(LOST, 0, &with_trailer(payload), 4000, subscription(What::Life));
        assert_eq!(parsed.unwrap().body, Body::Lost { records: 1234, since: 4000 });
    }

    #[test]
    fn a_name_ends_at_its_first_nul() {
        let mut payload = vec![0; 8];
        payload.extend(b"worker-1\0\0\0\0\0\0\0\0");
        let parsed = parse(COMM, MISC_COMM_EXEC, &with_trailer(payload), 0, subscription(What::Life));
        assert_eq!(parsed.unwrap().body, Body::Name { name: "worker-1".into(), exec: true });
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic(
            kind in 0..20_u32, misc: u16, data in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let what = What::SyscallEnter { id: Field { offset: 8, size: 8 }, args: Field { offset: 16, size: 48 } };
            let _ = parse(kind, misc, &data, 0, |_| Some(Subscription { origin: ORIGIN, what }));
        }
    }
}
