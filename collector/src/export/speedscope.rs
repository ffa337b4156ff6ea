//! Speedscope's JSON: a sampled profile for all stall time, and one for each thread that stalled.

use std::{collections::BTreeMap, io::Write};

use gilscope_analysis::{Model, stream::Record};
use serde_json::{Value, json};

use super::{Export, Out, code::Blamed, json::json as text, names::Names};

pub(super) struct Speedscope<'a> {
    names: &'a Names,
    out: Out,
    blamed: Blamed,
}

/// Stacks as indices of frames, outermost first, each with its ns.
type Weighted = BTreeMap<Vec<u64>, i64>;

impl<'a> Speedscope<'a> {
    pub(super) fn new(names: &'a Names, out: Out) -> Speedscope<'a> {
        Speedscope { names, out, blamed: Blamed::default() }
    }

    /// The frames of the stacks, then one for each thread, then the one of whoever was not sampled.
    fn frames(&self) -> Vec<Value> {
        let frames = self.names.frames.iter().map(|frame| {
            let mut value = json!({"name": frame.function, "file": frame.file});
            if frame.line > 0 {
                value["line"] = frame.line.into();
            }
            value
        });
        let threads =
            self.names.threads.iter().map(|thread| json!({"name": format!("thread {}", thread.name)}));
        frames.chain(threads).chain([json!({"name": "[no stack]"})]).collect()
    }
}

impl Export for Speedscope<'_> {
    fn record(&mut self, _: &Model, record: Record) -> anyhow::Result<()> {
        self.blamed.add(&record);
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> anyhow::Result<Vec<String>> {
        let (first_thread, threads) = (self.names.frames.len() as u64, self.names.threads.len() as u64);
        let (mut all, mut by_victim) = (Weighted::new(), BTreeMap::<u32, Weighted>::new());
        self.blamed.tell(|victim, holder, stack, ns| {
            let mut frames = vec![first_thread + u64::from(holder)];
            match stack {
                None => frames.push(first_thread + threads),
                Some(stack) => frames.extend(self.names.stack(stack).iter().map(|&frame| u64::from(frame))),
            }
            *by_victim.entry(victim).or_default().entry(frames.clone()).or_default() += ns;
            *all.entry(frames).or_default() += ns;
        });
        let mut profiles = vec![profile("stall time of all threads, by who held the GIL", &all)];
        for (victim, stacks) in &by_victim {
            let name = format!("stall time of {}, by who held the GIL", self.names.thread(*victim).name);
            profiles.push(profile(&name, stacks));
        }
        let file = json!({
            "$schema": "https://www.speedscope.app/file-format-schema.json",
            "exporter": format!("gilscope@{}", env!("CARGO_PKG_VERSION")),
            "name": "GIL stalls",
            "activeProfileIndex": 0,
            "shared": {"frames": self.frames()},
            "profiles": profiles,
        });
        self.out.write_all(text(&file).as_bytes())?;
        self.out.write_all(b"\n")?;
        self.out.flush()?;
        Ok(self.blamed.notes())
    }
}

fn profile(name: &str, stacks: &Weighted) -> Value {
    json!({
        "type": "sampled",
        "name": name,
        "unit": "nanoseconds",
        "startValue": 0,
        "endValue": stacks.values().sum::<i64>(),
        "samples": stacks.keys().collect::<Vec<_>>(),
        "weights": stacks.values().collect::<Vec<_>>(),
    })
}
