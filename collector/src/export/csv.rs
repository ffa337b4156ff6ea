//! The table of intervals as text (RFC 4180, `\n` at line ends, an empty field for what is not known or does not apply).

use std::io::Write;

use gilscope_analysis::{Model, stream::Record};

use super::{Export, Out, names::Names, rows::Row, text::no_formula};

const HEAD: &str = "pid,tid,thread,start_ns,end_ns,wall_start_ns,state,gil,syscall,fd,descriptor,result,preempted,\
                    blamed_tid,blamed_thread,blamed_ns,held_ns,free_ns,convoy,open_start,open_end";

pub(super) struct Csv<'a> {
    names: &'a Names,
    out: Out,
    line: String,
}

impl<'a> Csv<'a> {
    pub(super) fn new(names: &'a Names, mut out: Out) -> anyhow::Result<Csv<'a>> {
        writeln!(out, "{HEAD}")?;
        Ok(Csv { names, out, line: String::new() })
    }
}

impl Export for Csv<'_> {
    fn record(&mut self, model: &Model, record: Record) -> anyhow::Result<()> {
        let Some(row) = Row::of(self.names, model, &record) else {
            return Ok(());
        };
        let line = &mut self.line;
        line.clear();
        number(line, Some(row.pid));
        number(line, Some(row.tid));
        text(line, Some(row.thread));
        number(line, Some(row.start_ns));
        number(line, Some(row.end_ns));
        number(line, Some(row.wall_start_ns));
        text(line, Some(row.state));
        text(line, row.gil);
        text(line, row.syscall.as_deref());
        number(line, row.fd);
        text(line, row.descriptor.as_deref());
        number(line, row.result);
        number(line, Some(row.preempted));
        number(line, row.blamed_tid);
        text(line, row.blamed_thread);
        number(line, row.blamed_ns);
        number(line, row.held_ns);
        number(line, row.free_ns);
        number(line, row.convoy);
        number(line, Some(row.open_start));
        number(line, Some(row.open_end));
        line.pop();
        line.push('\n');
        Ok(self.out.write_all(line.as_bytes())?)
    }

    fn finish(mut self: Box<Self>) -> anyhow::Result<Vec<String>> {
        self.out.flush()?;
        Ok(Vec::new())
    }
}

fn number(line: &mut String, value: Option<impl ToString>) {
    if let Some(value) = value {
        line.push_str(&value.to_string());
    }
    line.push(',');
}

fn text(line: &mut String, value: Option<&str>) {
    let value = no_formula(value.unwrap_or(""));
    if value.contains([',', '"', '\n', '\r']) {
        line.push('"');
        line.push_str(&value.replace('"', "\"\""));
        line.push('"');
    } else {
        line.push_str(&value);
    }
    line.push(',');
}
