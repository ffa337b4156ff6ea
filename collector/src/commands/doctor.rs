//! `gilscope doctor`: can this machine trace, can this process be traced, and how.

use std::{
    fmt::{self, Display, Formatter},
    process::ExitCode,
};

use anstyle::{AnsiColor, Style};
use gilscope_analysis::clean::clean;
use gilscope_probes::checkup::{Finding, Outcome, TargetReport, check_machine, check_process};
use serde::Serialize;

use crate::{
    args::DoctorArguments,
    terminal::{print, print_json},
};

#[derive(Serialize)]
struct Diagnosis {
    /// Whether nothing stands in the way.
    ok: bool,
    machine: Vec<Finding>,
    process: Vec<Finding>,
    target: Option<TargetReport>,
}

pub(crate) fn run(arguments: &DoctorArguments) -> anyhow::Result<ExitCode> {
    let machine = check_machine();
    let (process, target) = arguments.pid.map(check_process).unwrap_or_default();
    let ok = machine.iter().chain(&process).all(|finding| finding.outcome != Outcome::Failure);
    let diagnosis = Diagnosis { ok, machine, process, target };
    if arguments.json {
        print_json(&diagnosis)?;
    } else {
        print(&Text { diagnosis: &diagnosis, pid: arguments.pid }.to_string())?;
    }
    Ok(if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A diagnosis as text, coloured.
struct Text<'a> {
    diagnosis: &'a Diagnosis,
    pid: Option<i32>,
}

impl Display for Text<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Text { diagnosis, pid } = self;
        writeln!(f, "this machine")?;
        diagnosis.machine.iter().try_for_each(|finding| write_finding(f, finding))?;
        if let Some(pid) = pid {
            writeln!(f, "\nprocess {pid}")?;
            diagnosis.process.iter().try_for_each(|finding| write_finding(f, finding))?;
        }
        if let Some(target) = &diagnosis.target {
            write_target(f, target)?;
        }
        match (diagnosis.ok, pid) {
            (true, Some(pid)) => writeln!(f, "\ngilscope attach -p {pid} will work"),
            (true, None) => {
                writeln!(f, "\nthis machine can trace; gilscope doctor -p PID looks at a process")
            }
            (false, _) => writeln!(f, "\nnot yet: see what to do above"),
        }
    }
}

fn write_finding(f: &mut Formatter<'_>, finding: &Finding) -> fmt::Result {
    let (mark, color) = match finding.outcome {
        Outcome::Ok => ("ok  ", AnsiColor::Green),
        Outcome::Warning => ("warn", AnsiColor::Yellow),
        Outcome::Failure => ("fail", AnsiColor::Red),
    };
    let style = Style::new().fg_color(Some(color.into()));
    writeln!(f, "  {style}{mark}{style:#}  {:<14} {}", finding.check, clean(&finding.found))?;
    match &finding.remedy {
        Some(remedy) => writeln!(f, "        {:<14} -> {}", "", clean(remedy)),
        None => Ok(()),
    }
}

fn write_target(f: &mut Formatter<'_>, target: &TargetReport) -> fmt::Result {
    let symbols = if target.stripped { "stripped" } else { "with symbols" };
    writeln!(f, "        {:<14} {}", "build", clean(&target.build))?;
    writeln!(f, "        {:<14} {}, {symbols}", "image", target.image)?;
    writeln!(f, "        {:<14} {}", "threads", target.threads)?;
    writeln!(f, "\n  {:<8} {:>10}  {:<14} {:<34} function", "site", "address", "stepping", "instruction")?;
    for site in &target.sites {
        writeln!(
            f,
            "  {:<8} {:>#10x}  {:<14} {:<34} {}",
            site.kind,
            site.address,
            if site.emulated { "emulated" } else { "single-stepped" },
            site.instruction,
            site.function.as_deref().map_or("-".into(), clean),
        )?;
    }
    target
        .cross_check
        .iter()
        .chain(&target.notes)
        .try_for_each(|sentence| writeln!(f, "  {}", clean(sentence)))
}
