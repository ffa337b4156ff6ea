//! Whatever the events: states partition each lifetime, holders never overlap, totals add up, nothing panics.

use gilscope_analysis::{Engine, Model, NONE, State, holds, stall};
use gilscope_trace::{Detail, Event, Header, Kind, detail};
use proptest::prelude::*;

/// Any row of two processes with three threads and two GILs each.
fn row() -> impl Strategy<Value = (i64, Event, Option<Detail>)> {
    let kind = prop_oneof![
        8 => Just(Kind::Wait), 8 => Just(Kind::Acquire), 8 => Just(Kind::Release),
        4 => Just(Kind::SyscallEnter), 4 => Just(Kind::SyscallExit),
        2 => Just(Kind::SwitchOut), 2 => Just(Kind::SwitchIn),
        1 => Just(Kind::ThreadStart), 1 => Just(Kind::ThreadExit), 1 => Just(Kind::Sample),
        1 => Just(Kind::Lost), 1 => Just(Kind::Process), 1 => Just(Kind::ProcessEnd), 1 => Just(Kind::Thread),
        1 => Just(Kind::Gil),
    ];
    let step = prop_oneof![3 => 0..3_i64, 4 => 0..2_000_000_i64, 1 => 4_000_000..12_000_000_i64];
    (
        step,
        kind,
        1..3,
        10..13,
        0..4_u16,
        1..3_u64,
        prop_oneof![Just(44_i16), Just(202), Just(-1)],
        0..2_i64,
        0..20_000_000_i64,
    )
        .prop_map(|(step, kind, pid, tid, cpu, gil, nr, value, back)| {
            let event = Event::new(0, kind, pid, tid * pid)
                .on_cpu(cpu)
                .of_gil(gil)
                .of_syscall(nr, 5)
                .with_value(value);
            let detail = match kind {
                Kind::Lost => Some(
                    detail::Lost { from: -back, until: 0, cpu: (cpu < 3).then_some(cpu), records: 3 }.into(),
                ),
                Kind::Process => Some(detail::Process::default().into()),
                Kind::ProcessEnd => Some(detail::ProcessEnd::default().into()),
                Kind::Thread => Some(detail::Thread::default().into()),
                Kind::Gil => {
                    Some(detail::Gil { interpreter: None, interval_us: Some(back as u64 / 2000) }.into())
                }
                _ => None,
            };
            (step, event, detail)
        })
}

const START: i64 = 1_000_000_000;

fn model(rows: Vec<(i64, Event, Option<Detail>)>, settle_every: usize) -> Model {
    let mut engine = Engine::new(&Header { start_time: START, targets: vec![1], ..Header::default() });
    let mut time = START;
    for (count, (step, event, detail)) in rows.into_iter().enumerate() {
        time += step;
        let detail = detail.map(|detail| match detail {
            Detail::Lost(lost) => Detail::Lost(detail::Lost { from: time + lost.from, until: time, ..lost }),
            other => other,
        });
        engine.push_event(&Event { time, ..event }, detail);
        if count % settle_every == 0 {
            engine.settle();
            check(engine.model());
        }
    }
    engine.finish()
}

fn check(model: &Model) {
    for (index, thread) in model.threads.iter().enumerate() {
        let lane = &thread.lane;
        assert!(!lane.is_empty());
        assert!(lane.starts().windows(2).all(|pair| pair[0] < pair[1]), "starts ascend");
        assert!(
            lane.starts()[lane.len() - 1] <= lane.end(),
            "the last interval has not ended before it began"
        );
        assert!(lane.iter().collect::<Vec<_>>().windows(2).all(|pair| {
            pair[0].end == pair[1].start && (pair[0].state, pair[0].arg) != (pair[1].state, pair[1].arg)
        }));
        let total: i64 = lane.iter().map(|interval| interval.duration()).sum();
        assert_eq!(total, lane.end() - lane.start(), "states partition the lifetime");
        assert!(lane.start() >= model.start && lane.end() <= model.end);

        let owned: i64 =
            lane.iter().filter(|interval| interval.state.owns()).map(|interval| interval.duration()).sum();
        let held: i64 = model
            .gils
            .iter()
            .flat_map(|gil| gil.holds.iter())
            .filter(|hold| hold.thread as usize == index)
            .map(|hold| hold.duration())
            .sum();
        assert_eq!(owned, held, "the lane of thread {index} and the holds agree");

        let waiting: i64 =
            lane.iter().filter(|i| i.state == State::Waiting).map(|interval| interval.duration()).sum();
        let stalled: i64 = model
            .stalls
            .iter()
            .filter(|stall| stall.thread as usize == index)
            .map(|stall| stall.duration())
            .sum();
        assert_eq!(waiting, stalled, "the lane of thread {index} and the stalls agree");
        assert!(thread.held_calls.range(i64::MIN, i64::MAX).all(|(span, _)| span.start <= span.end));
        assert!(thread.runnable.windows(2).all(|pair| pair[0].end <= pair[1].start));
    }
    for gil in &model.gils {
        let holds: Vec<_> = gil.holds.iter().collect();
        assert!(holds.iter().all(|hold| hold.start <= hold.end));
        assert!(holds.windows(2).all(|pair| pair[0].end <= pair[1].start), "holders never overlap");
        assert!(holds.iter().all(|hold| !(hold.has(holds::FORCED) && hold.has(holds::VOLUNTARY))));
        assert!(gil.unknown.windows(2).all(|pair| pair[0].end <= pair[1].start));
        assert!(gil.unknown.iter().all(|span| span.start <= span.end));
    }
    for stall in &model.stalls {
        assert!(stall.start <= stall.end);
        if !stall.has(stall::VOID) {
            let blame = model.blame(stall, i64::MIN, i64::MAX);
            let sum: i64 = blame.holders.iter().map(|(_, ns)| ns).sum();
            assert_eq!(
                sum + blame.free_ns + blame.unknown_ns,
                stall.duration(),
                "blame adds up to the stall"
            );
        }
        assert!(stall.convoy == NONE || (stall.convoy as usize) < model.convoys.len());
    }
    assert!(model.stalls.windows(2).all(|pair| pair[0].start <= pair[1].start));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_stream_adds_up(rows in prop::collection::vec(row(), 0..120), settle_every in 1..40_usize) {
        check(&model(rows, settle_every));
    }

    #[test]
    fn times_of_any_kind_do_no_harm(rows in prop::collection::vec((any::<i64>(), row()), 0..60)) {
        let mut engine = Engine::new(&Header::default());
        for (time, (_, event, detail)) in rows {
            engine.push_event(&Event { time, ..event }, detail);
        }
        let _ = engine.finish();
    }

    #[test]
    fn provisional_ends_leave_no_trace(rows in prop::collection::vec(row(), 0..120)) {
        let (often, once) = (model(rows.clone(), 1), model(rows, usize::MAX));
        for (a, b) in often.threads.iter().zip(&once.threads) {
            prop_assert_eq!(a.lane.starts(), b.lane.starts());
            prop_assert_eq!(a.lane.states(), b.lane.states());
            prop_assert_eq!(a.lane.args(), b.lane.args());
        }
        prop_assert_eq!(often.stalls, once.stalls);
        for (a, b) in often.gils.iter().zip(&once.gils) {
            prop_assert_eq!(&a.holds, &b.holds);
            prop_assert_eq!(&a.unknown, &b.unknown);
        }
    }
}
