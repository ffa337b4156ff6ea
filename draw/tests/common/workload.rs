//! Traces as gilscope records them, of a simulated interpreter: threads compute, call and sleep as their programs say, and a
//! GIL with CPython's rules (a waiter asks for it after a switch interval, the holder lets go at once, a released GIL goes to
//! whoever comes first) decides the rest. What comes out is a convoy where a convoy would be, not where a test drew one.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
};

use gilscope_trace::{
    Detail, Event, Header, Kind, Writer,
    detail::{self, Descriptor, Frame, Gil, Process, Stack, Thread},
};

/// A switch interval, ns.
const INTERVAL: i64 = 5_000_000;
/// Begin of every trace, ns of the trace clock.
pub(crate) const START: i64 = 86_400_000_000_000;
/// PID of the first process.
pub(crate) const PID: i32 = 4711;

/// One step of a program. Lengths are means, ns; the real ones vary by half.
#[derive(Clone, Copy)]
pub(crate) enum Step {
    /// Runs Python.
    Compute(i64),
    /// Releases the GIL around a system call.
    Call(i16, i32, i64),
    /// Releases the GIL for something that is not traced.
    Away(i64),
}

/// A thread that repeats its steps from `begin` to `end`, ns after the start.
#[derive(Clone)]
pub(crate) struct Program {
    pub(crate) process: usize,
    pub(crate) name: String,
    pub(crate) begin: i64,
    pub(crate) end: i64,
    pub(crate) steps: Vec<Step>,
}

impl Program {
    pub(crate) fn new(name: &str, begin: i64, end: i64, steps: &[Step]) -> Program {
        Program { process: 0, name: name.into(), begin, end, steps: steps.to_vec() }
    }

    pub(crate) fn in_process(self, process: usize) -> Program {
        Program { process, ..self }
    }
}

/// Serves one request after another: two short calls on a socket.
pub(crate) const SERVER: &[Step] = &[
    Step::Compute(40_000),
    Step::Call(45, 9, 6_000),
    Step::Compute(60_000),
    Step::Call(44, 9, 14_000),
    Step::Compute(15_000),
    Step::Call(232, 4, 3_000),
];
/// Never lets go.
pub(crate) const SPINNER: &[Step] = &[Step::Compute(3_600_000_000_000)];
/// A worker that mostly sleeps.
pub(crate) const WORKER: &[Step] =
    &[Step::Compute(70_000), Step::Away(90_000_000), Step::Call(0, 12, 40_000), Step::Away(310_000_000)];

/// The echo server beside one busy thread: the server alone, then both, then the server alone again.
pub(crate) fn convoy(duration: i64) -> Vec<u8> {
    let calm = &[
        Step::Compute(45_000),
        Step::Call(45, 9, 6_000),
        Step::Compute(60_000),
        Step::Call(44, 9, 14_000),
        Step::Call(232, 4, 700_000),
    ];
    simulate(
        &[
            Program::new("MainThread", 0, duration / 5, calm),
            Program::new("spinner", duration / 5, duration * 4 / 5, SPINNER),
            Program::new("asyncio_0", 0, duration, &[Step::Compute(30_000), Step::Away(60_000_000)]),
            Program::new("MainThread", duration / 5, duration * 4 / 5, SERVER),
            Program::new("MainThread", duration * 4 / 5, duration, calm),
        ],
        Some((duration * 68 / 100, duration * 69 / 100)),
    )
}

/// Many threads in two processes, one of which suffers a convoy.
pub(crate) fn crowd(threads: usize, duration: i64) -> Vec<u8> {
    let mut programs = vec![
        Program::new("event-loop", 0, duration, SERVER),
        Program::new("tokeniser", duration / 3, duration * 2 / 3, SPINNER),
    ];
    for number in 2..threads {
        let process = usize::from(number >= threads * 3 / 4);
        let begin = duration * (number as i64 % 7) / 40;
        programs.push(Program::new(&format!("worker-{number}"), begin, duration, WORKER).in_process(process));
    }
    simulate(&programs, None)
}

/// A thread that hardly does anything, for as long as wanted.
pub(crate) fn sleepy(duration: i64) -> Vec<u8> {
    let steps = &[Step::Compute(2_000_000), Step::Away(duration / 400)];
    simulate(
        &[Program::new("MainThread", 0, duration, steps), Program::new("other", 0, duration, steps)],
        None,
    )
}

/// One thread alone.
pub(crate) fn alone(duration: i64) -> Vec<u8> {
    simulate(&[Program::new("MainThread", 0, duration, SERVER)], None)
}

/// A trace that ended before anything was recorded.
#[allow(clippy::allow_attributes, dead_code, reason = "used by one of those who share this file")]
pub(crate) fn nothing() -> Vec<u8> {
    Writer::new(Vec::new(), &header()).unwrap().finish().unwrap()
}

/// The trace of these programs, as the bytes of a file; records of all threads of the first process are lost in `lost`
/// (ns after the start).
pub(crate) fn simulate(programs: &[Program], lost: Option<(i64, i64)>) -> Vec<u8> {
    let mut events = Simulation::new(programs).run();
    let mut writer = Writer::new(Vec::new(), &header()).unwrap();
    for (event, detail) in preamble(programs) {
        writer.push_detail(event, &detail).unwrap();
    }
    // What happens at once in the simulation is told in the order of time.
    events.sort_by_key(|event| event.time);
    let mut told = lost.is_none();
    let last = events.last().map_or(START, |event| event.time);
    for event in events {
        if let Some((from, until)) = lost {
            let (from, until) = (START + from, START + until);
            if event.time >= until && !told {
                told = true;
                let detail = detail::Lost { from, until, cpu: None, records: 1234 };
                writer.push_detail(Event::new(until, Kind::Lost, PID, 0), &detail.into()).unwrap();
            }
            if (from..until).contains(&event.time) {
                continue;
            }
        }
        writer.push(event).unwrap();
    }
    let end = detail::End { reason: "duration".into() };
    writer.push_detail(Event::new(last, Kind::End, 0, 0), &end.into()).unwrap();
    writer.finish().unwrap()
}

pub(crate) fn header() -> Header {
    Header {
        gilscope: "0.1.0".into(),
        host: "example".into(),
        kernel: "6.18".into(),
        arch: "x86_64".into(),
        cpus: 2,
        start_time: START,
        utc_offset: 1_780_000_000_000_000_000 - START,
        command: vec!["gilscope".into(), "attach".into()],
        targets: vec![PID],
        syscalls: "socket".into(),
        switches: true,
        ..Header::default()
    }
}

fn pid(process: usize) -> i32 {
    PID + 100 * process as i32
}

/// Programs of the same name and process are the same thread, one after the other.
fn tid(programs: &[Program], place: usize) -> i32 {
    let this = &programs[place];
    let first = programs
        .iter()
        .position(|other| other.name == this.name && other.process == this.process)
        .unwrap_or(place);
    pid(this.process) + first as i32
}

fn gil(process: usize) -> u64 {
    0x7f12_3456_0000 + 0x1000 * process as u64
}

fn preamble(programs: &[Program]) -> Vec<(Event, Detail)> {
    let mut rows: Vec<(Event, Detail)> = Vec::new();
    let processes = programs.iter().map(|program| program.process).max().unwrap_or(0) + 1;
    for process in 0..processes {
        let at = |kind| Event::new(START, kind, pid(process), 0);
        let detail = Process {
            command: vec!["python3".into(), "server.py".into()],
            python: Some("3.13.1".into()),
            ..Process::default()
        };
        rows.push((at(Kind::Process), detail.into()));
        let detail = Gil { interpreter: Some(0), interval_us: Some(INTERVAL as u64 / 1000) };
        rows.push((at(Kind::Gil).of_gil(gil(process)), detail.into()));
        for (fd, kind, peer) in [(4, "epoll", None), (9, "tcp", Some("127.0.0.1:52114")), (12, "file", None)]
        {
            let detail =
                Descriptor { kind: kind.into(), peer: peer.map(Into::into), ..Descriptor::default() };
            rows.push((at(Kind::Descriptor).of_syscall(-1, fd), detail.into()));
        }
    }
    let frame = |function: &str, file: &str, line| Frame {
        function: function.into(),
        file: file.into(),
        line,
        library: false,
    };
    let stacks = [
        vec![
            frame("fibonacci", "spin.py", 7),
            frame("spin", "spin.py", 12),
            frame("run", "threading.py", 1012),
        ],
        vec![
            frame("_write_send", "asyncio/selector_events.py", 1073),
            frame("_run_once", "asyncio/base_events.py", 2046),
            frame("main", "server.py", 31),
        ],
    ];
    for (id, frames) in stacks.into_iter().enumerate() {
        let detail = Stack { id: id as u32, frames };
        rows.push((Event::new(START, Kind::Stack, PID, 0), detail.into()));
    }
    for (place, program) in programs.iter().enumerate() {
        let tid = tid(programs, place);
        let detail = Thread {
            name: Some(program.name.clone()),
            os_name: Some("python3".into()),
            foreign: Some(false),
        };
        rows.push((Event::new(START, Kind::Thread, pid(program.process), tid), detail.into()));
    }
    rows
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    /// The step of the thread is over.
    Done,
    /// The thread wakes up to take a GIL that was free.
    Wake,
    /// A switch interval of its wait has passed.
    Timeout,
    /// The thread's Python stack is looked at.
    Look,
}

/// When, in which order, to which thread, what, and at which age of the thread it was due.
type Due = (i64, u64, usize, What, u64);

struct Actor {
    step: usize,
    /// What is left of a computation that was interrupted.
    left: i64,
    since: i64,
    /// Grows with every change, so that what was scheduled before can be told.
    age: u64,
    done: bool,
}

struct Simulation<'a> {
    programs: &'a [Program],
    actors: Vec<Actor>,
    holders: Vec<Option<usize>>,
    waiters: Vec<VecDeque<usize>>,
    queue: BinaryHeap<Reverse<Due>>,
    sequence: u64,
    noise: u64,
    events: Vec<Event>,
}

impl<'a> Simulation<'a> {
    fn new(programs: &'a [Program]) -> Simulation<'a> {
        let processes = programs.iter().map(|program| program.process).max().unwrap_or(0) + 1;
        Simulation {
            programs,
            actors: programs
                .iter()
                .map(|_| Actor { step: 0, left: 0, since: 0, age: 0, done: false })
                .collect(),
            holders: vec![None; processes],
            waiters: vec![VecDeque::new(); processes],
            queue: BinaryHeap::new(),
            sequence: 0,
            noise: 0x2545_f491_4f6c_dd1d,
            events: Vec::new(),
        }
    }

    fn run(mut self) -> Vec<Event> {
        for place in 0..self.programs.len() {
            let begin = START + self.programs[place].begin;
            let offset = self.varied(20_000);
            self.schedule(begin + offset, place, What::Done);
            self.schedule(begin + 3_000_000, place, What::Look);
        }
        while let Some(Reverse((now, _, place, what, age))) = self.queue.pop() {
            match what {
                What::Look => self.look(now, place),
                _ if self.actors[place].age != age || self.actors[place].done => {}
                What::Done => self.done(now, place),
                What::Wake => self.wake(now, place),
                What::Timeout => self.timeout(now, place),
            }
        }
        self.events
    }

    fn varied(&mut self, mean: i64) -> i64 {
        self.noise ^= self.noise << 13;
        self.noise ^= self.noise >> 7;
        self.noise ^= self.noise << 17;
        mean / 2 + (self.noise % mean.max(1) as u64) as i64
    }

    fn schedule(&mut self, time: i64, place: usize, what: What) {
        self.sequence += 1;
        self.queue.push(Reverse((time, self.sequence, place, what, self.actors[place].age)));
    }

    fn event(&self, time: i64, kind: Kind, place: usize) -> Event {
        let process = self.programs[place].process;
        let event =
            Event::new(time, kind, pid(process), tid(self.programs, place)).on_cpu((place % 2) as u16);
        match kind {
            Kind::Wait | Kind::Acquire | Kind::Release => event.of_gil(gil(process)),
            _ => event,
        }
    }

    fn tell(&mut self, time: i64, kind: Kind, place: usize) {
        let event = self.event(time, kind, place);
        self.events.push(event);
    }

    /// The current step of a thread is over: the next one.
    fn done(&mut self, now: i64, place: usize) {
        let program = &self.programs[place];
        let process = program.process;
        let holds = self.holders[process] == Some(place);
        if now >= START + program.end {
            if holds {
                self.give_away(now, place);
            }
            self.actors[place].done = true;
            return;
        }
        if !holds {
            // Back from a call: the next step needs the GIL.
            return self.want(now, place);
        }
        self.actors[place].step += 1;
        match program.steps[self.actors[place].step % program.steps.len()] {
            Step::Compute(mean) => self.compute(now, place, mean),
            Step::Call(nr, fd, mean) => {
                self.give_away(now, place);
                let nanos = self.varied(mean);
                let enter = self.event(now + 1_500, Kind::SyscallEnter, place).of_syscall(nr, fd);
                let exit = self
                    .event(now + 1_500 + nanos, Kind::SyscallExit, place)
                    .of_syscall(nr, -1)
                    .with_value(100);
                self.events.extend([enter, exit]);
                self.schedule(now + 3_000 + nanos, place, What::Done);
            }
            Step::Away(mean) => {
                self.give_away(now, place);
                let nanos = self.varied(mean);
                self.schedule(now + nanos, place, What::Done);
            }
        }
    }

    fn compute(&mut self, now: i64, place: usize, mean: i64) {
        let nanos = self.varied(mean).min(START + self.programs[place].end - now).max(1);
        self.actors[place].left = nanos;
        self.actors[place].since = now;
        self.schedule(now + nanos, place, What::Done);
    }

    fn want(&mut self, now: i64, place: usize) {
        let process = self.programs[place].process;
        self.actors[place].age += 1;
        if self.holders[process].is_none() {
            self.acquire(now, place);
        } else {
            self.tell(now, Kind::Wait, place);
            self.waiters[process].push_back(place);
            self.schedule(now + INTERVAL, place, What::Timeout);
        }
    }

    fn acquire(&mut self, now: i64, place: usize) {
        let process = self.programs[place].process;
        self.waiters[process].retain(|&other| other != place);
        self.holders[process] = Some(place);
        self.actors[place].age += 1;
        self.tell(now, Kind::Acquire, place);
        let left = self.actors[place].left;
        self.actors[place].since = now;
        if left > 0 {
            self.schedule(now + left, place, What::Done);
        } else {
            self.done(now + 300, place);
        }
    }

    /// Releases the GIL and wakes a waiter, who comes some tens of microseconds later.
    fn give_away(&mut self, now: i64, place: usize) {
        let process = self.programs[place].process;
        self.tell(now, Kind::Release, place);
        self.holders[process] = None;
        self.actors[place].left = 0;
        self.actors[place].age += 1;
        if let Some(&waiter) = self.waiters[process].front() {
            let latency = self.varied(16_000);
            self.schedule(now + latency, waiter, What::Wake);
        }
    }

    fn wake(&mut self, now: i64, place: usize) {
        if self.holders[self.programs[place].process].is_none() {
            self.acquire(now, place);
        }
    }

    /// A waiter asks for the GIL; the holder lets go at once and waits in its turn.
    fn timeout(&mut self, now: i64, place: usize) {
        let process = self.programs[place].process;
        // Nobody has it, or somebody is just getting it: the wait begins anew.
        let holder = self.holders[process].filter(|&holder| self.actors[holder].since < now);
        let Some(holder) = holder else {
            return self.schedule(now + INTERVAL, place, What::Timeout);
        };
        self.tell(now, Kind::Wait, place);
        let release = now + self.varied(20_000);
        self.tell(release, Kind::Release, holder);
        let since = self.actors[holder].since;
        self.actors[holder].left = (self.actors[holder].left - (release - since)).max(1);
        self.actors[holder].age += 1;
        let taken = release + self.varied(30_000);
        self.acquire(taken, place);
        self.tell(taken + 9_000, Kind::Wait, holder);
        self.waiters[process].push_back(holder);
        self.schedule(taken + 9_000 + INTERVAL, holder, What::Timeout);
    }

    fn look(&mut self, now: i64, place: usize) {
        let program = &self.programs[place];
        if now >= START + program.end {
            return;
        }
        let spins = program.steps.len() == 1;
        let holds = self.holders[program.process] == Some(place);
        if holds || self.waiters[program.process].contains(&place) {
            let sample = self.event(now, Kind::Sample, place).with_value(i64::from(!spins));
            self.events.push(sample);
        }
        let period = 20_000_000.max((program.end - program.begin) / 500);
        self.schedule(now + period, place, What::Look);
    }
}
