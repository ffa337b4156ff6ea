//! The samples by themselves: `samples/check.py`, and what they say when something is missing.

use std::process::Command;

use super::{
    harness::{begin, repository},
    python,
};

#[test]
fn every_sample_keeps_the_handshake_ends_as_told_and_leaves_nothing_behind() {
    const NAME: &str = "every_sample_keeps_the_handshake_ends_as_told_and_leaves_nothing_behind";
    // No need of root, but of the two processors.
    let _turn = begin(NAME);
    let mut command = Command::new(python());
    // One of each kind: the others are run by the tests of the experiments.
    command.arg(repository("samples/check.py")).args([
        "puppet",
        "a",
        "b-sockets",
        "b-c-zmq",
        "c-keep",
        "d-threads",
    ]);
    command.args(["e-pool", "loop", "no-compiler-b", "no-compiler-c", "no-package-b", "no-package-f"]);
    command.args(["port-taken-a", "port-taken-b", "port-taken-e", "port-taken-f"]);
    if std::env::var_os("CI").is_some_and(|ci| ci == "true") {
        command.arg("--require-all");
    }
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    print!("{said}");
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
}
