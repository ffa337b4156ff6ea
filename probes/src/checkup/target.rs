//! What a process is, and how it would be probed.

use serde::Serialize;

use super::Finding;
use crate::{
    interpreter::{ImageKind, Interpreter, InterpreterError},
    process,
    session::found_by_name,
    sites::{SiteError, Sites, Stepping},
};

/// What is known of a process that can be traced.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct TargetReport {
    /// The process.
    pub pid: i32,
    /// Its command line.
    pub command: Vec<String>,
    /// Version of its CPython.
    pub version: String,
    /// What `sys.version` says of the build.
    pub build: String,
    /// `executable` or `libpython`.
    pub image: &'static str,
    /// The file that holds the interpreter, as the process sees it.
    pub path: String,
    /// Whether that file was deleted or replaced since.
    pub deleted: bool,
    /// Whether it has no symbols.
    pub stripped: bool,
    /// Number of its threads.
    pub threads: usize,
    /// How the sites were found: `anchors`, `symbols`, `fallback`.
    pub found_by: &'static str,
    /// The sites.
    pub sites: Vec<SiteReport>,
    /// What symbols say about the sites.
    pub cross_check: Vec<String>,
    /// What is lost or costs more than usual.
    pub notes: Vec<String>,
}

/// One probe site.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct SiteReport {
    /// `wait`, `acquire`, `release`.
    pub kind: &'static str,
    /// Address in the file's own address space.
    pub address: u64,
    /// The function that holds it, if the file says.
    pub function: Option<String>,
    /// The instruction.
    pub instruction: String,
    /// Whether the kernel emulates it (cheap) or has to single-step it.
    pub emulated: bool,
}

/// Looks at a process. What can be said before something is in the way is said; then comes the reason.
pub fn check_process(pid: i32) -> (Vec<Finding>, Option<TargetReport>) {
    let interpreter = match Interpreter::of(pid).and_then(|found| found.check_traceable().map(|()| found)) {
        Ok(interpreter) => interpreter,
        Err(error) => return (vec![refuse(&error)], None),
    };
    let mut findings = vec![Finding::ok(
        "interpreter",
        format!(
            "CPython {} in {}{}",
            interpreter.version,
            interpreter.path.display(),
            if interpreter.deleted { " (deleted since)" } else { "" }
        ),
    )];
    let sites = match interpreter.read_elf() {
        Ok(elf) => Sites::find(&elf),
        Err(error) => {
            findings.push(refuse(&error));
            return (findings, None);
        }
    };
    let sites = match sites {
        Ok(sites) => sites,
        Err(error) => {
            findings.push(refuse_sites(&error));
            return (findings, None);
        }
    };
    findings.push(judge_sites(&sites));
    let report = report(pid, &interpreter, &sites);
    (findings, Some(report))
}

fn report(pid: i32, interpreter: &Interpreter, sites: &Sites) -> TargetReport {
    TargetReport {
        pid,
        command: process::command_line(pid),
        version: interpreter.version.to_string(),
        build: interpreter.build.clone(),
        image: match interpreter.kind {
            ImageKind::Executable => "executable",
            ImageKind::Libpython => "libpython",
        },
        path: interpreter.path.to_string_lossy().into_owned(),
        deleted: interpreter.deleted,
        stripped: interpreter.stripped,
        threads: process::threads(pid).len(),
        found_by: found_by_name(sites.found_by),
        sites: sites
            .sites
            .iter()
            .map(|site| SiteReport {
                kind: site.kind.name(),
                address: site.vaddr,
                function: site.function.clone(),
                instruction: site.instruction.clone(),
                emulated: site.stepping == Stepping::Emulated,
            })
            .collect(),
        cross_check: sites.cross_check.clone(),
        notes: sites.notes.clone(),
    }
}

fn judge_sites(sites: &Sites) -> Finding {
    let found = format!(
        "{} found by {}, {} of them single-stepped",
        sites.sites.len(),
        found_by_name(sites.found_by),
        sites.single_stepped()
    );
    match sites.notes.is_empty() {
        true => Finding::ok("probe sites", found),
        false => Finding::warning("probe sites", found, sites.notes.join("; ")),
    }
}

fn refuse(error: &InterpreterError) -> Finding {
    let remedy = match error {
        InterpreterError::NoPermission { command, .. } => command.clone(),
        InterpreterError::NoSuchProcess { .. } | InterpreterError::Zombie { .. } => {
            "find the process with: pgrep -af python".to_owned()
        }
        InterpreterError::NotYetMapped { .. } => "try again in a moment".to_owned(),
        InterpreterError::Shielded { .. } => {
            "find out who denies it: journalctl -k | grep -iE 'denied|lockdown'".to_owned()
        }
        InterpreterError::FreeThreaded { .. } => {
            "nothing to do: threads of this build do not wait for a GIL".to_owned()
        }
        _ => "choose a process that runs CPython 3.8 to 3.15: pgrep -af python".to_owned(),
    };
    Finding::failure("interpreter", error.to_string(), remedy)
}

fn refuse_sites(error: &SiteError) -> Finding {
    Finding::failure(
        "probe sites",
        error.to_string(),
        "report this interpreter: where it comes from, and its `python -VV`",
    )
}
