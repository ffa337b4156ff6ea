//! A trace that is streamed tells what the whole model holds, wherever its batches end, and keeps little.

use std::{collections::BTreeMap, convert::Infallible, io::Cursor};

use gilscope_analysis::{
    Engine, Model, NONE, State,
    drawn::Drawing,
    holds, state,
    stream::{Outline, Record, Stream},
};
use gilscope_trace::{Batch, Detail, Event, Header, Kind, Next, Reader, Writer, detail};
use proptest::prelude::*;

type Row = (Event, Option<Detail>);

/// The batches of these rows, cut after each place in `cuts`.
fn batches(header: &Header, rows: &[Row], every: usize) -> Vec<Batch> {
    let mut writer = Writer::new(Vec::new(), header).unwrap();
    for (place, (event, detail)) in rows.iter().enumerate() {
        match detail {
            Some(detail) => writer.push_detail(*event, detail).unwrap(),
            None => writer.push(*event).unwrap(),
        }
        if (place + 1) % every == 0 {
            writer.flush().unwrap();
        }
    }
    let mut reader = Reader::new(Cursor::new(writer.finish().unwrap())).unwrap();
    let mut batches = Vec::new();
    while let Next::Batch(batch) = reader.next_batch().unwrap() {
        batches.push(batch);
    }
    batches
}

fn outline(header: &Header, batches: &[Batch]) -> Outline {
    let mut first = Stream::first(header);
    let mut ignore = |_: &Model, _| Ok::<_, Infallible>(());
    for batch in batches {
        first.push(batch, &mut ignore).unwrap();
    }
    first.finish(&mut ignore).unwrap();
    first.outline()
}

fn streamed(header: &Header, batches: &[Batch], from: i64, to: i64) -> Vec<Record> {
    let mut stream = Stream::second(&outline(header, batches), from, to);
    let mut records = Vec::new();
    let mut take = |_: &Model, record| {
        records.push(record);
        Ok::<_, Infallible>(())
    };
    for batch in batches {
        stream.push(batch, &mut take).unwrap();
    }
    stream.finish(&mut take).unwrap();
    records
}

fn whole(header: &Header, batches: &[Batch]) -> Model {
    let mut engine = Engine::new(header);
    batches.iter().for_each(|batch| engine.push(batch));
    engine.finish()
}

/// What the tests hold against each other: everything by thread or GIL, in order.
#[derive(Default, PartialEq, Debug)]
struct Story {
    states: By<(i64, i64, State, u32, i16, i32)>,
    blame: By<Blame>,
    calls: By<(i64, i64, i16, i32)>,
    holds: By<(i64, i64, u32)>,
    samples: By<(i64, u32)>,
}

/// Holders with their ns, free ns, unknown ns.
type Blame = (Vec<(u32, i64)>, i64, i64);
type By<T> = BTreeMap<u32, Vec<T>>;

/// The first difference: of which thread or GIL, and the rows that differ.
fn difference<T: PartialEq + Clone>(told: &By<T>, held: &By<T>) -> Option<(u32, Option<T>, Option<T>)> {
    let none = Vec::new();
    told.keys().chain(held.keys()).find_map(|index| {
        let (told, held) = (told.get(index).unwrap_or(&none), held.get(index).unwrap_or(&none));
        let place = (0..told.len().max(held.len())).find(|&place| told.get(place) != held.get(place))?;
        Some((*index, told.get(place).cloned(), held.get(place).cloned()))
    })
}

fn story_of_records(records: &[Record]) -> Story {
    let mut story = Story::default();
    for record in records {
        match record {
            Record::State(lived) => {
                let (nr, fd) = lived.call.map_or((-1, -1), |call| (call.nr, call.fd));
                let row = (lived.start, lived.end, lived.state, lived.gil, nr, fd);
                story.states.entry(lived.thread).or_default().push(row);
                if let Some(stall) = &lived.stall {
                    let row = (stall.holders.clone(), stall.free_ns, stall.unknown_ns);
                    story.blame.entry(lived.thread).or_default().push(row);
                }
            }
            // The model does not tell of a call that goes on.
            Record::Call(call) if call.open_end => {}
            Record::Call(call) => {
                let row = (call.start, call.end, call.call.nr, call.call.fd);
                story.calls.entry(call.thread).or_default().push(row);
            }
            Record::Hold(held) => {
                story.holds.entry(held.gil).or_default().push((held.start, held.end, held.thread));
            }
            Record::Sample { thread, time, stack } => {
                story.samples.entry(*thread).or_default().push((*time, *stack));
            }
            Record::Waiters { .. } => {}
        }
    }
    story.calls.values_mut().for_each(|calls| calls.sort());
    story
}

fn story_of_model(model: &Model) -> Story {
    let mut story = Story::default();
    for (index, thread) in model.threads.iter().enumerate() {
        let index = index as u32;
        for interval in thread.lane.iter().filter(|interval| interval.start < interval.end) {
            let (mut gil, mut nr, mut fd) = (NONE, -1, -1);
            match interval.state {
                State::Unknown | State::OffGil => {}
                State::Syscall => (nr, fd) = (state::call_nr(interval.arg), state::call_fd(interval.arg)),
                State::Holding | State::Limbo => gil = interval.arg,
                State::Descheduled => gil = interval.arg & !state::PREEMPTED,
                State::Waiting => {
                    let stall = &model.stalls[interval.arg as usize];
                    gil = stall.gil;
                    let blame = model.blame(stall, i64::MIN, i64::MAX);
                    let row = (blame.holders, blame.free_ns, blame.unknown_ns);
                    story.blame.entry(index).or_default().push(row);
                }
            }
            let row = (interval.start, interval.end, interval.state, gil, nr, fd);
            story.states.entry(index).or_default().push(row);
        }
        for (span, arg) in thread.held_calls.range(i64::MIN, i64::MAX) {
            let row = (span.start, span.end, state::call_nr(arg), state::call_fd(arg));
            if span.start < span.end {
                story.calls.entry(index).or_default().push(row);
            }
        }
        for sample in thread.samples.all() {
            story.samples.entry(index).or_default().push((sample.time, sample.stack));
        }
    }
    for (index, gil) in model.gils.iter().enumerate() {
        for hold in gil.holds.iter().filter(|hold| !hold.has(holds::VOID) && hold.duration() > 0) {
            story.holds.entry(index as u32).or_default().push((hold.start, hold.end, hold.thread));
        }
    }
    story.calls.values_mut().for_each(|calls| calls.sort());
    story
}

const START: i64 = 1_000_000_000;

fn header() -> Header {
    Header { start_time: START, targets: vec![1], ..Header::default() }
}

prop_compose! {
    /// Any row of two processes with three threads and two GILs each; the time is the distance to the row before.
    fn row()(
        kind in prop_oneof![
            8 => Just(Kind::Wait), 8 => Just(Kind::Acquire), 8 => Just(Kind::Release),
            4 => Just(Kind::SyscallEnter), 4 => Just(Kind::SyscallExit),
            2 => Just(Kind::SwitchOut), 2 => Just(Kind::SwitchIn), 2 => Just(Kind::Sample),
            1 => Just(Kind::ThreadStart), 1 => Just(Kind::ThreadExit), 1 => Just(Kind::Lost), 1 => Just(Kind::Process),
        ],
        step in prop_oneof![3 => 0..3_i64, 4 => 0..2_000_000_i64, 1 => 4_000_000..12_000_000_i64],
        pid in 1..3, tid in 10..13, cpu in 0..4_u16, gil in 1..3_u64, nr in prop_oneof![Just(44_i16), Just(202)],
        value in 0..2_i64, back in 0..20_000_000_i64,
    ) -> Row {
        let event = Event::new(step, kind, pid, tid * pid).on_cpu(cpu).of_gil(gil).of_syscall(nr, 5).with_value(value);
        let detail = match kind {
            Kind::Lost => Some(detail::Lost { from: -back, until: 0, cpu: (cpu < 3).then_some(cpu), records: 3 }.into()),
            Kind::Process => Some(detail::Process::default().into()),
            _ => None,
        };
        (event, detail)
    }
}

fn timed(rows: Vec<Row>) -> Vec<Row> {
    let mut time = START;
    let at = |(event, detail): Row| {
        time += event.time;
        let detail = match detail {
            Some(Detail::Lost(lost)) => {
                Some(detail::Lost { from: time + lost.from, until: time, ..lost }.into())
            }
            other => other,
        };
        (Event { time, ..event }, detail)
    };
    rows.into_iter().map(at).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn a_stream_tells_what_the_model_holds(rows in prop::collection::vec(row(), 1..400), every in 1..60_usize) {
        let batches = batches(&header(), &timed(rows), every);
        let model = whole(&header(), &batches);
        let records = streamed(&header(), &batches, i64::MIN, i64::MAX);
        let (told, held) = (story_of_records(&records), story_of_model(&model));
        prop_assert_eq!(difference(&told.states, &held.states), None);
        prop_assert_eq!(difference(&told.blame, &held.blame), None);
        prop_assert_eq!(difference(&told.calls, &held.calls), None);
        prop_assert_eq!(difference(&told.holds, &held.holds), None);
        prop_assert_eq!(difference(&told.samples, &held.samples), None);
    }

    #[test]
    fn a_range_of_a_stream_is_the_whole_cut_down(
        rows in prop::collection::vec(row(), 1..300), every in 1..60_usize, from in 0..100_000_000_i64, length in 1..100_000_000_i64,
    ) {
        let batches = batches(&header(), &timed(rows), every);
        let (from, to) = (START + from, START + from + length);
        let all = story_of_records(&streamed(&header(), &batches, i64::MIN, i64::MAX));
        let part = story_of_records(&streamed(&header(), &batches, from, to));
        for (thread, states) in part.states {
            let cut = all.states[&thread].iter().map(|row| (row.0.max(from), row.1.min(to), row.2, row.3, row.4, row.5));
            prop_assert_eq!(states, cut.filter(|row| row.0 < row.1).collect::<Vec<_>>());
        }
    }
}

#[test]
fn each_stall_of_a_convoy_points_to_the_hold_that_caused_it() {
    //  io    waits 5 of 8 ms for cpu, over and over
    let drawing = Drawing::new(
        "io    hsswwwww\n\
         cpu   .hhhhhhh",
    )
    .repeated(50);
    let header = drawing.header();
    let batches = batches(&header, &drawing.events(), 7);
    let records = streamed(&header, &batches, i64::MIN, i64::MAX);
    let mut caused = BTreeMap::new();
    for record in &records {
        if let Record::Hold(held) = record {
            held.stalls.iter().for_each(|&stall| assert!(caused.insert(stall, held.clone()).is_none()));
        }
    }
    let mut stalls = 0;
    for record in &records {
        let Record::State(lived) = record else { continue };
        let Some(stall) = &lived.stall else { continue };
        stalls += 1;
        let hold = &caused[&stall.id];
        let piece = stall.longest().unwrap();
        assert!(hold.thread == piece.thread && hold.start <= piece.start && piece.end <= hold.end);
    }
    assert_eq!(stalls, 50);
}

#[test]
fn waiters_are_counted_up_and_down() {
    let drawing = Drawing::new(
        "a   hhhh......hh\n\
         b   .wwwhhhh....\n\
         c   ..wwwwwwhh..",
    );
    let header = drawing.header();
    for every in 1..20 {
        let records = streamed(&header, &batches(&header, &drawing.events(), every), i64::MIN, i64::MAX);
        let counts: Vec<u32> = records
            .iter()
            .filter_map(|record| match record {
                Record::Waiters { count, .. } => Some(*count),
                _ => None,
            })
            .collect();
        assert_eq!(counts, [1, 2, 1, 0]);
    }
}
