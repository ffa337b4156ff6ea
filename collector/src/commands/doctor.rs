//! `gilscope doctor`: can this machine trace, can this process be traced, and how.

use std::process::ExitCode;

use anstream::println;
use anstyle::{AnsiColor, Style};
use gilscope_probes::checkup::{Finding, Outcome, TargetReport, check_machine, check_process};
use serde::Serialize;

use crate::args::DoctorArguments;

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
        println!("{}", serde_json::to_string_pretty(&diagnosis)?);
    } else {
        print(&diagnosis, arguments.pid);
    }
    Ok(if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print(diagnosis: &Diagnosis, pid: Option<i32>) {
    println!("this machine");
    diagnosis.machine.iter().for_each(print_finding);
    if let Some(pid) = pid {
        println!("\nprocess {pid}");
        diagnosis.process.iter().for_each(print_finding);
    }
    if let Some(target) = &diagnosis.target {
        print_target(target);
    }
    let sentence = match (diagnosis.ok, pid) {
        (true, Some(pid)) => format!("gilscope attach -p {pid} will work"),
        (true, None) => "this machine can trace; gilscope doctor -p PID looks at a process".to_owned(),
        (false, _) => "not yet: see what to do above".to_owned(),
    };
    println!("\n{sentence}");
}

fn print_finding(finding: &Finding) {
    let (mark, color) = match finding.outcome {
        Outcome::Ok => ("ok  ", AnsiColor::Green),
        Outcome::Warning => ("warn", AnsiColor::Yellow),
        Outcome::Failure => ("fail", AnsiColor::Red),
    };
    let style = Style::new().fg_color(Some(color.into()));
    println!("  {style}{mark}{style:#}  {:<14} {}", finding.check, finding.found);
    if let Some(remedy) = &finding.remedy {
        println!("        {:<14} -> {remedy}", "");
    }
}

fn print_target(target: &TargetReport) {
    println!("        {:<14} {}", "build", target.build);
    println!(
        "        {:<14} {}, {}",
        "image",
        target.image,
        if target.stripped { "stripped" } else { "with symbols" }
    );
    println!("        {:<14} {}", "threads", target.threads);
    println!("\n  {:<8} {:>10}  {:<14} {:<34} function", "site", "address", "stepping", "instruction");
    for site in &target.sites {
        println!(
            "  {:<8} {:>#10x}  {:<14} {:<34} {}",
            site.kind,
            site.address,
            if site.emulated { "emulated" } else { "single-stepped" },
            site.instruction,
            site.function.as_deref().unwrap_or("-"),
        );
    }
    for sentence in target.cross_check.iter().chain(&target.notes) {
        println!("  {sentence}");
    }
}
