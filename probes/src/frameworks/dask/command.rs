//! What a command line says about a process of Dask.

use super::Role;

/// What a command line says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Said {
    pub(super) role: Role,
    /// Where it listens, if it says so itself.
    pub(super) address: Option<String>,
}

/// The role that a command line names, whichever of Dask's many spellings it is.
pub(super) fn role(command: &[String]) -> Option<Said> {
    if let Some(said) = title(command) {
        return Some(said);
    }
    let (program, rest) = program(command)?;
    let role = match program.as_str() {
        "dask-scheduler" | "distributed.cli.dask_scheduler" => Role::Scheduler,
        "dask-worker" | "distributed.cli.dask_worker" | "dask-cuda-worker" | "dask_cuda.cli" => worker(rest),
        "dask-spec" | "distributed.cli.dask_spec" => spec(rest)?,
        "dask" | "dask.__main__" | "dask.cli" => {
            match (rest.first()?.as_str(), rest.get(1).map(String::as_str)) {
                ("scheduler", _) => Role::Scheduler,
                ("worker", _) | ("cuda", Some("worker")) => worker(rest),
                ("spec", _) => spec(rest)?,
                _ => return None,
            }
        }
        _ => return None,
    };
    Some(Said { role, address: None })
}

/// Whether the process was made by `multiprocessing` to run something of its parent's: neither a helper of that module, nor the
/// server that makes the others.
pub(super) fn is_spawned(command: &[String]) -> bool {
    command.iter().any(|word| word == "--multiprocessing-fork")
}

/// Whether the process is the one that forks the others under the start method `forkserver`, or one of those.
pub(super) fn is_of_fork_server(command: &[String]) -> bool {
    command.iter().any(|word| word.contains("from multiprocessing.forkserver import main"))
}

/// The scheme of the addresses of a cluster started so: `tcp` unless it says otherwise.
pub(super) fn scheme(command: &[String]) -> &str {
    let mut words = command.iter();
    while let Some(word) = words.next() {
        let protocol = match word.strip_prefix("--protocol") {
            Some("") => words.next().map(String::as_str),
            Some(value) => value.strip_prefix('='),
            None => word.split_once("://").map(|(scheme, _)| scheme),
        };
        if let Some(protocol @ ("tcp" | "tls" | "ws" | "wss" | "ucx" | "ucxx")) = protocol {
            return protocol;
        }
        if word.starts_with("--tls-") {
            return "tls";
        }
    }
    "tcp"
}

/// Where the package setproctitle is there, a scheduler and a worker write their role and address over their command line
/// (`distributed/proctitle.py`): `dask worker [tcp://10.0.0.7:41223]`.
fn title(command: &[String]) -> Option<Said> {
    let title = command.first()?.strip_prefix("dask ")?;
    let (role, rest) = title.split_once(" [")?;
    let role = match role {
        "scheduler" => Role::Scheduler,
        "worker" => Role::Worker,
        _ => return None,
    };
    let address = rest.split_once(']')?.0;
    Some(Said { role, address: address.contains("://").then(|| address.to_owned()) })
}

/// The program that an interpreter was started with, a script's file name or a module's name, and its arguments. A script that the
/// kernel started by its first line has the interpreter before it as well.
fn program(command: &[String]) -> Option<(String, &[String])> {
    let (first, mut rest) = command.split_first()?;
    if !file_name(first).starts_with("python") {
        return Some((file_name(first).to_owned(), rest));
    }
    loop {
        let (word, after) = rest.split_first()?;
        rest = after;
        match word.as_str() {
            "-m" => {
                let (module, arguments) = rest.split_first()?;
                return Some((module.clone(), arguments));
            }
            "-c" => return None,
            // The options of `python` that take a value.
            "-W" | "-X" | "--check-hash-based-pycs" => rest = rest.get(1..)?,
            _ if word.starts_with('-') => {}
            _ => return Some((file_name(word).to_owned(), rest)),
        }
    }
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// `dask worker` is a nanny, which starts the workers, unless it is told to be one itself.
fn worker(arguments: &[String]) -> Role {
    if arguments.iter().any(|word| word == "--no-nanny") { Role::Worker } else { Role::Nanny }
}

/// `dask spec --spec '{"cls": "dask.distributed.Nanny", …}'`.
fn spec(arguments: &[String]) -> Option<Role> {
    let mut words = arguments.iter();
    let text = words.find_map(|word| match word.strip_prefix("--spec")? {
        "" => Some(""),
        value => value.strip_prefix('='),
    })?;
    let text = if text.is_empty() { words.next()? } else { text };
    let spec: serde_json::Value = serde_json::from_str(text).ok()?;
    // One, or several by name.
    let class =
        spec.get("cls").or_else(|| spec.as_object()?.values().find_map(|one| one.get("cls")))?.as_str()?;
    let class = class.rsplit('.').next()?;
    [("Scheduler", Role::Scheduler), ("Nanny", Role::Nanny), ("Worker", Role::Worker)]
        .into_iter()
        .find_map(|(name, role)| class.ends_with(name).then_some(role))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(command: &str) -> Vec<String> {
        command.split('|').map(str::to_owned).collect()
    }

    fn role_of(command: &str) -> Option<Role> {
        role(&words(command)).map(|said| said.role)
    }

    // Recorded from distributed 2023.5 on 3.8 and 2026.8 on 3.11, words apart by `|`.
    #[test]
    fn a_role_is_told_from_every_spelling_of_the_command() {
        let cases = [
            ("/v/bin/python3|/v/bin/dask-scheduler|--host|127.0.0.1|--port|45111", Role::Scheduler),
            ("/v/bin/python|-m|distributed.cli.dask_scheduler|--host|127.0.0.1|--port|0", Role::Scheduler),
            ("/v/bin/python3.12|-X|dev|/v/bin/dask|scheduler", Role::Scheduler),
            ("python|-m|dask|scheduler", Role::Scheduler),
            ("/v/bin/python3|/v/bin/dask-worker|tcp://127.0.0.1:45111|--nworkers|1", Role::Nanny),
            (
                "/v/bin/python|-m|distributed.cli.dask_worker|--scheduler-file|/tmp/s.json|--nworkers|2",
                Role::Nanny,
            ),
            ("/v/bin/python3|/v/bin/dask|worker|tcp://127.0.0.1:45111|--no-nanny|--nthreads|1", Role::Worker),
            (
                "/v/bin/python3|/v/bin/dask|spec|tcp://127.0.0.1:45111|--spec|{\"cls\":\"dask.distributed.Nanny\",\"opts\":{\"nthreads\":1}}",
                Role::Nanny,
            ),
            (
                "python3|-m|distributed.cli.dask_spec|--spec={\"s\":{\"cls\":\"distributed.Scheduler\"}}",
                Role::Scheduler,
            ),
            ("/v/bin/python|/v/bin/dask-cuda-worker|tcp://10.0.0.1:8786", Role::Nanny),
            ("dask worker [not started]", Role::Worker),
        ];
        for (command, role) in cases {
            assert_eq!(role_of(command), Some(role), "{command}");
        }
    }

    #[test]
    fn what_only_mentions_dask_has_no_role() {
        for command in [
            "grep|dask-worker",
            "timeout|60|/v/bin/python|-m|distributed.cli.dask_worker",
            "/bin/sh|-c|dask worker tcp://10.0.0.1:8786",
            "vim|dask-worker",
            "/v/bin/python|train.py|dask-worker",
            "/v/bin/python|-c|print('dask-worker')",
            "/v/bin/python|-B|-c|from multiprocessing.spawn import spawn_main; spawn_main(tracker_fd=13, pipe_handle=25)|--multiprocessing-fork",
            "/v/bin/python|/v/bin/dask|docs",
            "python|-m",
            "",
        ] {
            assert_eq!(role_of(command), None, "{command}");
        }
        assert_eq!(role(&[]), None, "a kernel thread");
    }

    #[test]
    fn a_process_title_tells_role_and_address() {
        let said = role(&words("dask worker [tls://10.0.0.7:41223]")).unwrap();
        assert_eq!(said, Said { role: Role::Worker, address: Some("tls://10.0.0.7:41223".into()) });
    }

    #[test]
    fn the_scheme_is_tcp_unless_the_command_says_otherwise() {
        let cases = [
            ("dask-worker|tcp://10.0.0.1:8786", "tcp"),
            ("dask-worker|--nworkers|2", "tcp"),
            ("dask-worker|tls://10.0.0.1:8786", "tls"),
            ("dask-scheduler|--protocol|tls", "tls"),
            ("dask-scheduler|--protocol=ws", "ws"),
            ("dask-scheduler|--tls-ca-file|ca.pem", "tls"),
        ];
        for (command, scheme_of) in cases {
            assert_eq!(scheme(&words(command)), scheme_of, "{command}");
        }
    }
}
