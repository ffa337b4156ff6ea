//! What can be typed: every command's help as it reads, and what is said of what makes no sense.

use std::{
    fs::OpenOptions,
    process::{Command, Output, Stdio},
};

fn gilscope(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gilscope"));
    command.args(arguments).env_remove("COLUMNS").output().unwrap()
}

fn help(arguments: &[&str]) -> String {
    let output = gilscope(arguments);
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_help_of_every_command_reads_so() {
    let overview = help(&["--help"]);
    insta::assert_snapshot!("help", overview);
    let commands = overview.lines().skip_while(|line| *line != "Commands:").skip(1);
    let commands =
        commands.take_while(|line| !line.is_empty()).filter_map(|line| line.split_whitespace().next());
    for command in commands.filter(|command| *command != "help") {
        insta::assert_snapshot!(format!("help_{command}"), help(&[command, "--help"]));
    }
}

#[test]
fn the_version_is_that_of_the_package() {
    assert_eq!(help(&["--version"]), format!("gilscope {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn what_makes_no_sense_is_refused_with_a_word_on_what_would() {
    let cases: [(&[&str], &str); 17] = [
        (&[], "Usage: gilscope"),
        (&["atach"], "a similar subcommand exists: 'attach'"),
        (&["attach"], "--pid <PID>"),
        (&["attach", "-p", "0"], "0 is not in 1.."),
        (&["attach", "-p", "python"], "invalid digit"),
        (&["attach", "-p", "1", "-d", "0"], "not a number greater than 0"),
        (&["attach", "-p", "1", "-d", "nan"], "not a number greater than 0"),
        (&["attach", "-p", "1", "--syscalls", "some"], "`some` is none of socket, io, all, none"),
        (&["attach", "-p", "1", "--ring-kib", "3"], "3 is not in 4.."),
        (&["attach", "-p", "1", "command"], "unexpected argument 'command'"),
        (&["record"], "<COMMAND>"),
        (&["record", "--"], "<COMMAND>"),
        (&["record", "python3"], "unexpected argument 'python3'"),
        (&["doctor", "-p", "-1"], "-1 is not in 1.."),
        (&["attach", "-p", "1", "-d", "-1"], "not a number greater than 0"),
        (&["attach", "-p", "1", "-d", "1e300"], "more than 30 years"),
        (&["report", "x", "--from", "-1"], "a time is a number of seconds"),
    ];
    for (arguments, words) in cases {
        let output = gilscope(arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(words), "{arguments:?}: {said}");
    }
}

#[test]
fn what_cannot_be_printed_is_said_and_a_reader_that_has_seen_enough_is_no_error() {
    let trace = concat!(env!("CARGO_MANIFEST_DIR"), "/../samples/traces/a-idle.gilscope");
    let commands: [&[&str]; 6] = [
        &["doctor"],
        &["doctor", "--json"],
        &["demo", "list"],
        &["report", trace],
        &["report", trace, "--html", "-"],
        &["compare", trace, trace],
    ];
    for arguments in commands {
        let run = |stdout: Stdio| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_gilscope"));
            command
                .args(arguments)
                .stdin(Stdio::null())
                .stdout(stdout)
                .stderr(Stdio::piped())
                .output()
                .unwrap()
        };
        let output = run(OpenOptions::new().write(true).open("/dev/full").unwrap().into());
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
        assert!(said.contains("cannot print: No space left on device"), "{arguments:?}: {said}");

        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let said = String::from_utf8(run(writer.into()).stderr).unwrap();
        assert!(!said.contains("panicked") && !said.contains("cannot print"), "{arguments:?}: {said}");
    }
}
