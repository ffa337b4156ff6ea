//! Collapsed stacks, for flamegraph.pl, inferno and speedscope: `holder;outermost frame;…;innermost frame ns`, a line a stack.

use std::{collections::BTreeMap, io::Write};

use gilscope_analysis::{Model, stream::Record};

use super::{Export, Out, code::Blamed, names::Names};

pub(super) struct Collapsed<'a> {
    names: &'a Names,
    out: Out,
    blamed: Blamed,
}

impl<'a> Collapsed<'a> {
    pub(super) fn new(names: &'a Names, out: Out) -> Collapsed<'a> {
        Collapsed { names, out, blamed: Blamed::default() }
    }
}

impl Export for Collapsed<'_> {
    fn record(&mut self, _: &Model, record: Record) -> anyhow::Result<()> {
        self.blamed.add(&record);
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> anyhow::Result<Vec<String>> {
        // A semicolon separates frames.
        let plain = |text: &str| text.replace(';', ":");
        let mut lines: BTreeMap<String, i64> = BTreeMap::new();
        self.blamed.tell(|_, holder, stack, ns| {
            let mut line = plain(&self.names.thread(holder).name);
            match stack {
                None => line.push_str(";[no stack]"),
                Some(stack) => {
                    for &frame in self.names.stack(stack) {
                        line.push(';');
                        line.push_str(&plain(&self.names.frame(frame)));
                    }
                }
            }
            *lines.entry(line).or_default() += ns;
        });
        for (line, ns) in lines {
            writeln!(self.out, "{line} {ns}")?;
        }
        self.out.flush()?;
        Ok(self.blamed.notes())
    }
}
