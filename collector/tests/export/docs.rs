//! The snippets of `docs/exports.md` run as they stand there.

use std::{fs, path::Path, process::Command};

use crate::support::{Folder, lively, python};

#[test]
fn the_snippets_of_the_documentation_run() {
    let text = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/exports.md");
    let text = fs::read_to_string(text).unwrap();
    let (header, rows) = lively();
    let folder = Folder::with(&header, &rows);
    let mut snippets = 0;
    for block in text.split("```").skip(1).step_by(2) {
        if let Some(script) = block.strip_prefix("python\n") {
            snippets += 1;
            let imports = script.lines().filter_map(|line| line.strip_prefix("import "));
            let packages: Vec<&str> = imports.map(|line| line.split(' ').next().unwrap()).collect();
            let Some(python) = python(&packages) else { continue };
            let output =
                Command::new(python).args(["-c", script]).current_dir(folder.root()).output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{script}\n{said}");
            assert!(!output.stdout.is_empty(), "{script}");
        } else if let Some(lines) = block.strip_prefix("console\n") {
            for line in lines.lines().filter_map(|line| line.strip_prefix("$ gilscope ")) {
                let output = folder.gilscope().args(line.split(' ')).output().unwrap();
                assert!(output.status.success(), "{line}\n{}", String::from_utf8_lossy(&output.stderr));
            }
        }
    }
    assert!(snippets >= 3);
}
