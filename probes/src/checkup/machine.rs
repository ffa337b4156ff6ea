//! What the machine must have.

use super::{CostError, Finding, measure_hit_cost};
use crate::{
    perf::raise_descriptor_limit,
    privilege,
    process::online_cpus,
    tracefs::{Tracefs, TracefsError},
};

/// Checks the machine, the most basic things first.
pub fn check_machine() -> Vec<Finding> {
    let mut findings = vec![check_kernel(), check_privilege()];
    let tracefs = Tracefs::open();
    findings.push(check_tracefs(&tracefs));
    if let Ok(tracefs) = tracefs {
        findings.push(check_uprobes(&tracefs));
        findings.push(check_syscalls(&tracefs));
    }
    findings.push(check_descriptors());
    if findings.iter().all(|finding| finding.outcome != super::Outcome::Failure) {
        findings.push(check_cost());
    }
    findings
}

fn check_kernel() -> Finding {
    let system = rustix::system::uname();
    let release = system.release().to_string_lossy().into_owned();
    let found = format!(
        "Linux {release} on {}, {} processors",
        system.machine().to_string_lossy(),
        online_cpus().len()
    );
    let mut numbers = release.split(['.', '-']).map(|part| part.parse::<u32>().unwrap_or(0));
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if version < (5, 2) {
        return Finding::failure("kernel", found, "use Linux 5.2 or later");
    }
    if version < (5, 13) {
        let remedy = "use Linux 5.13 or later, where probes can be kept from the target's children";
        return Finding::warning("kernel", found, remedy);
    }
    Finding::ok("kernel", found)
}

fn check_privilege() -> Finding {
    let missing = privilege::missing();
    if missing.is_empty() {
        return Finding::ok("privilege", privilege::held().join(", "));
    }
    if !privilege::is_root() && missing.contains(&privilege::SYS_ADMIN) {
        return Finding::failure("privilege", "an ordinary user", "run it as root: sudo gilscope doctor");
    }
    let lacks: Vec<String> =
        missing.iter().map(|lacking| format!("{} ({})", lacking.name, lacking.purpose)).collect();
    let (found, remedy) = (format!("lacks {}", lacks.join(" and ")), privilege::remedy(&missing));
    match missing.contains(&privilege::SYS_ADMIN) {
        true => Finding::failure("privilege", found, remedy),
        false => Finding::warning("privilege", found, remedy),
    }
}

fn check_tracefs(tracefs: &Result<Tracefs, TracefsError>) -> Finding {
    match tracefs {
        Ok(tracefs) => Finding::ok("tracefs", format!("reached by {}", tracefs.how())),
        Err(error) if error.is_permission() => Finding::failure(
            "tracefs",
            "not reachable without privilege",
            "see what to do about the privilege",
        ),
        Err(_) => Finding::failure(
            "tracefs",
            "the kernel has no tracing directory",
            "use a kernel built with CONFIG_FTRACE (every distribution's is)",
        ),
    }
}

fn check_uprobes(tracefs: &Tracefs) -> Finding {
    match tracefs.has("uprobe_events") {
        true => Finding::ok("uprobes", "supported"),
        false => {
            Finding::failure("uprobes", "the kernel has none", "use a kernel built with CONFIG_UPROBE_EVENTS")
        }
    }
}

fn check_syscalls(tracefs: &Tracefs) -> Finding {
    match tracefs.event_id("raw_syscalls/sys_enter") {
        Ok(_) => Finding::ok("system calls", "traceable"),
        Err(_) => Finding::failure(
            "system calls",
            "the kernel cannot trace them",
            "use a kernel built with CONFIG_FTRACE_SYSCALLS, or record with --syscalls none",
        ),
    }
}

fn check_descriptors() -> Finding {
    let events = raise_descriptor_limit();
    let threads = events / (6 * online_cpus().len() as u64);
    let found = format!("{events} perf events, enough for {threads} threads with one on each processor");
    if threads < 200 {
        let remedy = "raise it with ulimit -Hn; with more threads gilscope opens one event per thread and misses the \
                      first moments of new threads";
        return Finding::warning("descriptors", found, remedy);
    }
    Finding::ok("descriptors", found)
}

fn check_cost() -> Finding {
    match measure_hit_cost() {
        Ok(cost) => {
            let found = format!(
                "{:.2} µs a probe hit (median of {} rounds of {} hits), {:.2} µs without",
                cost.hit_nanos / 1000.0,
                cost.rounds,
                cost.hits,
                cost.bare_nanos / 1000.0,
            );
            Finding::ok("cost of a hit", found)
        }
        Err(CostError::Unsupported) => Finding::warning(
            "cost of a hit",
            "not measured",
            "build gilscope for x86-64 with the usual options",
        ),
        Err(error) => Finding::failure(
            "cost of a hit",
            error.to_string(),
            "look at dmesg for what the kernel objects to",
        ),
    }
}
