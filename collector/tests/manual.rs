//! What README and manual tell to type can be typed.
//!
//! Every `gilscope …` in their code blocks is held against `--help`, and run where it can be: on small recorded traces, and as root on
//! a program that is made for it. The manual's Python runs where its packages are.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use tempfile::TempDir;

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(path)
}

fn skip(test: &str, why: &str) {
    println!("skipped: {test}: {why}");
    assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{test} must run on CI: {why}");
}

fn gilscope(words: &[String]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gilscope"));
    command
        .args(words)
        .env_remove("SUDO_UID")
        .env_remove("SUDO_GID")
        .env_remove("GILSCOPE_LOG")
        .stdin(Stdio::null());
    command
}

/// The code blocks of these languages in the documents, each with the document's name.
fn blocks(languages: &[&str]) -> Vec<(&'static str, String)> {
    let mut blocks = Vec::new();
    for document in ["README.md", "docs/manual.md"] {
        let text = fs::read_to_string(repository(document)).unwrap();
        let mut open: Option<(bool, String)> = None;
        for line in text.lines() {
            match (line.strip_prefix("```"), &mut open) {
                (Some(language), None) => open = Some((languages.contains(&language), String::new())),
                (Some(_), Some(_)) => {
                    let (wanted, block) = open.take().unwrap();
                    if wanted {
                        blocks.push((document, block));
                    }
                }
                (None, Some((_, block))) => *block += &format!("{line}\n"),
                (None, None) => {}
            }
        }
        assert!(open.is_none(), "{document}: a code block does not end");
    }
    blocks
}

/// The words behind `gilscope` of every line that has it as its command, behind `$`, `sudo` or a container's launcher.
fn commands() -> Vec<(&'static str, Vec<String>)> {
    let mut commands = Vec::new();
    for (document, block) in blocks(&["sh", "console"]) {
        for line in block.replace("\\\n", " ").lines() {
            let line = line.split(" #").next().unwrap();
            let words: Vec<String> = split(line);
            let program = words.iter().position(|word| word == "gilscope" || word.ends_with("/gilscope"));
            if let Some(program) = program {
                commands.push((document, words[program + 1..].to_vec()));
            }
        }
    }
    assert!(commands.len() > 20, "{}", commands.len());
    commands
}

/// Words as a shell takes them, as far as the documents need it: quotes hold them together.
fn split(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    for character in line.chars() {
        match (character, quote) {
            ('"' | '\'', None) => quote = Some(character),
            (_, Some(open)) if character == open => quote = None,
            (' ', None) => words.extend((!word.is_empty()).then(|| std::mem::take(&mut word))),
            _ => word.push(character),
        }
    }
    words.extend((!word.is_empty()).then_some(word));
    words
}

/// The options that a command's help names.
fn options_of(command: &str) -> BTreeSet<String> {
    let output = gilscope(&[command.to_owned(), "--help".into()]).output().unwrap();
    assert!(output.status.success(), "there is no command {command}");
    let text = String::from_utf8(output.stdout).unwrap();
    let words = text.split_whitespace().map(|word| word.trim_end_matches([',', '.']));
    let words = words.map(|word| word.split(['[', '=']).next().unwrap());
    words.filter(|word| word.starts_with('-')).map(str::to_owned).collect()
}

#[test]
fn every_command_that_is_told_exists_with_its_options() {
    for (document, words) in commands() {
        let Some((command, rest)) = words.split_first() else { continue };
        if command.starts_with('-') {
            continue;
        }
        let options = options_of(command);
        for word in rest.iter().take_while(|word| *word != "--") {
            let is_option = word.starts_with('-') && word.len() > 1;
            assert!(!is_option || options.contains(word), "{document}: {command} has no {word}: {options:?}");
        }
    }
}

#[test]
fn every_command_on_a_trace_works() {
    let folder = traces();
    let mut ran = 0;
    for (document, words) in commands() {
        if !words.first().is_some_and(|word| ["report", "compare", "export"].contains(&word.as_str())) {
            continue;
        }
        let report =
            gilscope(&["report".into(), "--json".into(), "FILE".into()]).current_dir(folder.path()).output();
        let report: serde_json::Value = serde_json::from_slice(&report.unwrap().stdout).unwrap();
        let pid = report["processes"][0]["pid"].to_string();
        let words: Vec<String> =
            words.iter().map(|word| if word == "PID" { pid.clone() } else { word.clone() }).collect();
        // Each on its own: a second one would find the first one's file.
        let folder = traces();
        assert_worked(document, &words, &gilscope(&words).current_dir(folder.path()).output().unwrap());
        ran += 1;
    }
    assert!(ran >= 8, "{ran}");
}

/// A folder with traces by the names that the documents use.
fn traces() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, trace) in
        [("FILE", "a-convoy"), ("BEFORE", "a-convoy"), ("AFTER", "a-idle"), ("trace.gilscope", "a-convoy")]
    {
        let trace = repository("samples/traces").join(trace).with_extension("gilscope");
        fs::copy(trace, folder.path().join(name)).unwrap();
    }
    folder
}

#[track_caller]
fn assert_worked(document: &str, words: &[String], output: &Output) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{document}: gilscope {}: {said}", words.join(" "));
}

/// A Python that hands its GIL from thread to thread until its input ends.
struct Busy(Child);

impl Busy {
    fn start() -> Busy {
        let mut command = Command::new("python3");
        command.arg(repository("samples/puppet.py")).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let ready: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(ready["pid"], child.id());
        Busy(child)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

#[test]
fn every_command_that_records_works() {
    const NAME: &str = "every_command_that_records_works";
    if !rustix::process::geteuid().is_root() {
        return skip(NAME, "needs root");
    }
    let busy = Busy::start();
    let mut ran = 0;
    for (document, words) in commands() {
        let Some(command) = words.first().map(String::as_str) else { continue };
        let names_process = words.iter().any(|word| word == "PID");
        let is_ours = match command {
            "attach" => names_process && !words.iter().any(|word| word == "/tmp/t.gilscope"),
            "record" | "doctor" => true,
            "demo" => words.iter().any(|word| word == "list"),
            _ => false,
        };
        if !is_ours {
            continue;
        }
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("server.py"), "import time; time.sleep(0.1)\n").unwrap();
        fs::write(folder.path().join("start.sh"), "#!/bin/sh\nexec python3 server.py\n").unwrap();
        let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(folder.path().join("start.sh"), executable).unwrap();
        let pid = busy.0.id().to_string();
        let mut words: Vec<String> =
            words.iter().map(|word| if word == "PID" { pid.clone() } else { word.clone() }).collect();
        if command == "attach" {
            // What it would take Ctrl-C to end.
            match words.iter().position(|word| word == "-d") {
                Some(at) => words[at + 1] = "0.3".into(),
                None => words.extend(["-d".into(), "0.3".into()]),
            }
        }
        assert_worked(document, &words, &gilscope(&words).current_dir(folder.path()).output().unwrap());
        ran += 1;
    }
    assert!(ran >= 6, "{ran}");
}

#[test]
fn the_manuals_python_runs() {
    const NAME: &str = "the_manuals_python_runs";
    let python = std::env::var_os("GILSCOPE_TEST_PYTHON").unwrap_or_else(|| "python3".into());
    let has_packages = Command::new(&python)
        .args(["-c", "import pyarrow, pandas, polars, duckdb"])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !has_packages {
        return skip(NAME, "GILSCOPE_TEST_PYTHON names no Python with samples/requirements-tests.txt");
    }
    let snippets = blocks(&["python"]);
    assert!(snippets.len() >= 3);
    for (document, snippet) in snippets {
        let folder = traces();
        let output =
            Command::new(&python).args(["-c", &snippet]).current_dir(folder.path()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && !output.stdout.is_empty(), "{document}: {snippet}: {said}");
    }
}

#[test]
fn every_file_that_the_documents_point_to_is_there() {
    for document in ["README.md", "docs/manual.md", "docs/experiments.md", "samples/traces/README.md"] {
        let path = repository(document);
        let text = fs::read_to_string(&path).unwrap();
        for target in text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            let target = target.split('#').next().unwrap();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            assert!(path.parent().unwrap().join(target).exists(), "{document} points to {target}");
        }
    }
}

#[test]
fn the_architecture_names_every_room() {
    let text = fs::read_to_string(repository("docs/ARCHITECTURE.md")).unwrap();
    for part in ["trace", "probes", "analysis", "draw", "collector", "viewer"] {
        for entry in fs::read_dir(repository(part).join("src")).unwrap().map(Result::unwrap) {
            let name = entry.file_name().into_string().unwrap();
            let room = if entry.path().is_dir() { format!("{name}/") } else { name };
            let is_known =
                ["lib.rs", "main.rs"].contains(&room.as_str()) || text.contains(&format!("`{room}`"));
            assert!(is_known, "docs/ARCHITECTURE.md does not say what {part}/src/{room} is for");
        }
    }
}
