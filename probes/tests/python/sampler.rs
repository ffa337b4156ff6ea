//! The thread that looks into many processes.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use crossbeam_channel::Receiver;
use gilscope_probes::python::{PythonNews, SamplerOptions, SamplerStats, StackSampler};

use crate::puppet::{Puppet, alone, interpreters, under_every, under_every_alone};

/// Takes news until one will do.
fn wait<T>(news: &Receiver<PythonNews>, mut pick: impl FnMut(PythonNews) -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let next = news.recv_deadline(deadline).expect("the news that was waited for");
        if let Some(picked) = pick(next) {
            return picked;
        }
    }
}

fn start(hz: Option<f64>) -> (StackSampler, Receiver<PythonNews>) {
    StackSampler::start(SamplerOptions { hz, ..SamplerOptions::default() }).unwrap()
}

fn stats(news: &Receiver<PythonNews>) -> SamplerStats {
    wait(news, |news| match news {
        PythonNews::Stats(stats) => Some(stats),
        _ => None,
    })
}

#[test]
fn threads_are_told_when_they_come_are_found_out_and_go() {
    under_every(
        |_| true,
        |puppet| {
            let (sampler, news) = start(None);
            sampler.follow(puppet.pid());
            let named = |name: &'static str| {
                move |news| match news {
                    PythonNews::Threads { threads, .. } => {
                        let thread = threads.iter().find(|thread| thread.name.as_deref() == Some(name));
                        thread.map(|thread| thread.tid.unwrap())
                    }
                    _ => None,
                }
            };
            assert_eq!(wait(&news, named("MainThread")), puppet.pid());
            let tid = puppet.tell_tid("start('late', park)");
            assert_eq!(wait(&news, named("late")), tid);
            let foreign = puppet.tell_tid("start_unknown()");
            wait(&news, |news| match news {
                PythonNews::Threads { threads, .. } => {
                    threads.iter().any(|thread| thread.foreign && thread.tid == Some(foreign)).then_some(())
                }
                _ => None,
            });
            puppet.tell("for lock in locks: lock.release()\nlocks.clear()");
            wait(&news, |news| match news {
                PythonNews::Threads { threads, .. } => (threads.len() == 1).then_some(()),
                _ => None,
            });
        },
    );
}

#[test]
fn the_holder_and_the_watched_are_sampled_at_the_rate() {
    under_every_alone(
        |_| true,
        |puppet| {
            let spinner = puppet.tell_tid("start('spinner', spin)");
            let parked = puppet.tell_tid("start('parked', park)");
            let (sampler, news) = start(Some(50.0));
            sampler.watch(puppet.pid(), vec![parked]);
            sampler.follow(puppet.pid());
            let mut last = 0;
            for _ in 0..50 {
                let (begin, end, threads) = wait(&news, |news| match news {
                    PythonNews::Sample {
                        time_begin_nanos,
                        time_end_nanos,
                        threads,
                        on_demand: false,
                        ..
                    } => Some((time_begin_nanos, time_end_nanos, threads)),
                    _ => None,
                });
                assert!(last < begin && begin < end);
                last = end;
                // The main thread holds the GIL now and then until it has gone back to reading.
                for thread in threads.into_iter().filter(|thread| thread.tid != Some(puppet.pid())) {
                    let expected = if thread.tid == Some(spinner) { "spin" } else { "park" };
                    assert!(thread.tid == Some(spinner) || thread.tid == Some(parked));
                    assert_eq!(thread.frames[0].function, expected);
                    assert_eq!(thread.owns_gil, thread.tid == Some(spinner));
                }
            }
            // The first second has the opening in it.
            stats(&news);
            let stats = stats(&news);
            println!("{stats:?}");
            assert!(stats.achieved_hz > 25.0 && stats.achieved_hz < 52.0);
            assert!(stats.cpu_share < 0.06);
        },
    );
}

#[test]
fn a_sample_on_demand_comes_at_once_and_is_marked() {
    under_every(
        |_| true,
        |puppet| {
            let tid = puppet.tell_tid("start('stalled', park_deep, 2)");
            let (sampler, news) = start(Some(0.001));
            sampler.follow(puppet.pid());
            wait(&news, |news| matches!(news, PythonNews::Threads { .. }).then_some(()));
            assert!(sampler.sample_now(puppet.pid(), vec![tid]));
            let frames = wait(&news, |news| match news {
                PythonNews::Sample { mut threads, on_demand: true, .. } => Some(threads.remove(0).frames),
                _ => None,
            });
            assert_eq!(frames[1].function, "park_deep");
            assert!(sampler.names_now(puppet.pid()));
            wait(&news, |news| match news {
                PythonNews::Stats(stats) => (stats.demands == 2).then_some(()),
                _ => None,
            });
        },
    );
}

#[test]
fn several_processes_are_followed_and_their_ends_are_told() {
    let mut puppets: Vec<Puppet> = interpreters().iter().filter_map(|path| Puppet::start(path)).collect();
    let (sampler, news) = start(Some(50.0));
    for puppet in &puppets {
        sampler.follow(puppet.pid());
    }
    let mut opened = Vec::new();
    while opened.len() < puppets.len() {
        opened.push(wait(&news, |news| match news {
            PythonNews::Opened { pid, version } => Some((pid, version)),
            _ => None,
        }));
    }
    for puppet in &puppets {
        let version = &opened.iter().find(|(pid, _)| *pid == puppet.pid()).unwrap().1;
        assert!(version.starts_with(&format!("3.{}.", puppet.minor)));
    }
    let mut pids: Vec<i32> = puppets.iter().map(Puppet::pid).collect();
    puppets.clear();
    while !pids.is_empty() {
        let ended = wait(&news, |news| match news {
            PythonNews::Ended { pid } => Some(pid),
            _ => None,
        });
        pids.retain(|pid| *pid != ended);
    }
}

#[test]
fn a_process_that_begins_another_program_is_opened_again_by_itself() {
    under_every(
        |_| true,
        |puppet| {
            let (sampler, news) = start(Some(50.0));
            sampler.follow(puppet.pid());
            let opened = |news| matches!(news, PythonNews::Opened { .. }).then_some(());
            wait(&news, opened);
            wait(&news, |news| matches!(news, PythonNews::Threads { .. }).then_some(()));
            puppet.tell_and_go("import os; os.execv(sys.executable, [sys.executable, '-c', 'import threading; print(flush=True); input()'])");
            puppet.hear();
            wait(&news, opened);
        },
    );
}

#[test]
fn what_is_no_python_is_trouble_said_once() {
    let mut cat = Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
    let (sampler, news) = start(Some(50.0));
    sampler.follow(i32::try_from(cat.id()).unwrap());
    let sentence = wait(&news, |news| match news {
        PythonNews::Trouble { sentence, .. } => Some(sentence),
        _ => None,
    });
    println!("{sentence}");
    drop(cat.stdin.take());
    cat.wait().unwrap();
    sampler.follow(i32::MAX);
    wait(&news, |news| matches!(news, PythonNews::Ended { pid: i32::MAX }).then_some(()));
}

/// Rates of some seconds, after the credit of the beginning is spent, while so many parked threads of this depth are watched.
fn late_rates(threads: usize, depth: usize) -> (Vec<SamplerStats>, usize) {
    let _alone = alone();
    let interpreter = interpreters().remove(0);
    let mut puppet = Puppet::start(&interpreter).unwrap();
    puppet.tell(&format!("tids = [start('deep %d' % i, park_deep, {depth}) for i in range({threads})]"));
    let tids: Vec<i32> = serde_json::from_value(puppet.tell("say(tids)")).unwrap();
    let (sampler, news) = start(Some(50.0));
    sampler.watch(puppet.pid(), tids);
    sampler.follow(puppet.pid());
    let mut seen = std::collections::BTreeSet::new();
    let mut seconds = Vec::new();
    while seconds.len() < 8 {
        match news.recv().unwrap() {
            PythonNews::Stats(stats) => seconds.push(stats),
            PythonNews::Sample { threads, .. } => seen.extend(threads.into_iter().map(|thread| thread.tid)),
            _ => {}
        }
    }
    (seconds.split_off(4), seen.len())
}

fn mean_share(seconds: &[SamplerStats]) -> f64 {
    seconds.iter().map(|stats| stats.cpu_share).sum::<f64>() / seconds.len() as f64
}

#[test]
fn of_many_waiters_some_are_read_in_each_round_so_that_the_rate_and_the_budget_hold() {
    let (late, seen) = late_rates(60, 30);
    println!("{late:?}");
    assert!(mean_share(&late) < 0.06);
    assert!(late.iter().all(|stats| stats.achieved_hz > 30.0));
    assert_eq!(seen, 60, "each had its turn");
}

#[test]
fn rounds_of_very_deep_stacks_back_off() {
    let (late, _) = late_rates(4, 400);
    println!("{late:?}");
    // What a round costs depends on the machine; that the rounds use the budget up and no more does not.
    let share = mean_share(&late);
    assert!((0.03..0.06).contains(&share), "took {share} of a processor");
    assert!(late.iter().all(|stats| stats.achieved_hz < 40.0));
    assert!(late.last().unwrap().rounds > late[0].rounds);
}
