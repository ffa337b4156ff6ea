//! `gilscope report` and `gilscope compare`: what a trace says, in words and figures or as JSON.
//!
//! [`load`] reads a file into a model and says what is wrong with it, [`options`] is what can be typed, [`text`] renders for a
//! terminal. What it all means is decided in `gilscope-analysis`.

mod html;
mod load;
mod options;
mod text;

use std::{path::Path, process::ExitCode};

use anyhow::bail;
use gilscope_analysis::{Model, Query, Report, clean::clean, compare::compare, summarize};

use self::load::Loaded;
pub(crate) use self::options::{CompareArguments, Offset, ReportArguments};
use crate::{
    recording::Output,
    terminal::{columns, print, print_json},
};

/// `gilscope report FILE`. Fails if the file is not readable; a file that was cut off is reported on, with a warning. One that is
/// damaged is reported on up to the damage, and the exit status says so.
pub(crate) fn report(arguments: &ReportArguments) -> anyhow::Result<ExitCode> {
    let loaded = load::load(&arguments.file)?;
    let query = query(&loaded.model, arguments)?;
    let mut report = summarize(&loaded.model, &query);
    finish(&mut report, &loaded);
    warn(&loaded.warnings);
    if let Some(path) = &arguments.html {
        let page = html::page(&loaded.model, &report, arguments.top);
        if path == Path::new("-") {
            print(&page)?;
        } else {
            Output::create_at(path, arguments.force)?.write(page.as_bytes())?;
            say!("gilscope: wrote {}", clean(&path.to_string_lossy()));
        }
    } else if arguments.json {
        print_json(&report)?;
    } else {
        print(&text::report(&report, arguments.top, columns()))?;
    }
    Ok(status(&[&loaded]))
}

/// The report of a trace as it comes, without options.
pub(crate) fn report_file(file: &Path) -> anyhow::Result<ExitCode> {
    report(&ReportArguments::of(file))
}

/// `gilscope compare BEFORE AFTER`.
pub(crate) fn compare_files(arguments: &CompareArguments) -> anyhow::Result<ExitCode> {
    let (before, after) = (load::load(&arguments.before)?, load::load(&arguments.after)?);
    let of = |loaded: &Loaded| {
        let mut report = summarize(&loaded.model, &Query { top: 0, ..Query::default() });
        finish(&mut report, loaded);
        report
    };
    let comparison = compare(&of(&before), &of(&after));
    warn(&before.warnings);
    warn(&after.warnings);
    if arguments.json {
        print_json(&comparison)?;
    } else {
        print(&text::comparison(&comparison, columns()))?;
    }
    Ok(status(&[&before, &after]))
}

/// What was typed, held against the trace.
fn query(model: &Model, arguments: &ReportArguments) -> anyhow::Result<Query> {
    let length = model.end.saturating_sub(model.start);
    let at = |offset: i64| model.start.saturating_add(offset);
    let (from, to) = (arguments.from.map_or(0, |from| from.0), arguments.to.map_or(length, |to| to.0));
    if from >= to && arguments.to.is_some() {
        bail!("--from {} is not before --to {}", options::Offset(from), options::Offset(to));
    }
    if from > 0 && from >= length {
        bail!(
            "nothing to report from {} on: the trace is {} long",
            options::Offset(from),
            options::Offset(length)
        );
    }
    if let Some(pid) = arguments.pid
        && !model.processes.iter().any(|process| process.pid == pid)
    {
        let known: Vec<String> = model.processes.iter().map(|process| process.pid.to_string()).collect();
        bail!("process {pid} is not in the trace: it has {}", known.join(", "));
    }
    if let Some(name) = &arguments.thread
        && !model.threads.iter().any(|thread| name.parse() == Ok(thread.tid) || thread.name() == *name)
    {
        bail!("no thread in the trace is called {} or has that ID", clean(name));
    }
    Ok(Query {
        from: at(from),
        to: at(to),
        pid: arguments.pid,
        thread: arguments.thread.clone(),
        top: arguments.top,
    })
}

fn finish(report: &mut Report, loaded: &Loaded) {
    report.trace.path = clean(&loaded.path.to_string_lossy()).into_owned();
    report.trace.complete &= loaded.complete;
    report.notes.extend(loaded.warnings.iter().cloned());
}

fn warn(warnings: &[String]) {
    for warning in warnings {
        say!("gilscope: {warning}");
    }
}

fn status(loaded: &[&Loaded]) -> ExitCode {
    match loaded.iter().any(|loaded| loaded.damaged) {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    }
}
