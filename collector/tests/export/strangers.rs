//! Names in a trace are a stranger's: what they contain does nothing in any export.

use std::fs;

use gilscope_trace::{Detail, Event, Kind, detail};

use crate::support::{Folder, Row, lively, python};

/// An escape sequence, a bell, markup, a formula, a text turned around, separators, quotes, a null.
const HOSTILE: [&str; 6] = [
    "\x1b[31mred\x07",
    "<script>alert(1)</script>",
    "=cmd|' /C calc'!A0",
    "abc\u{202e}fdp.exe",
    "a;b,c\"d\ne\tf\0",
    "</script><img src=x onerror=alert(1)>",
];

/// The lively trace with such names on everything that has one.
fn hostile() -> Folder {
    let (header, mut rows) = lively();
    let name = |place: usize| HOSTILE[place % HOSTILE.len()].to_owned();
    for (place, (_, detail)) in rows.iter_mut().enumerate() {
        match detail {
            Some(Detail::Process(process)) => process.command = HOSTILE.map(String::from).to_vec(),
            Some(Detail::Thread(thread)) => {
                thread.name = Some(name(place));
                thread.os_name = Some(name(place + 1));
            }
            Some(Detail::Descriptor(descriptor)) => {
                descriptor.kind = name(1);
                descriptor.path = Some(name(0));
                descriptor.peer = Some(name(5));
            }
            Some(Detail::Stack(stack)) => {
                for (place, frame) in stack.frames.iter_mut().enumerate() {
                    frame.function = name(place + 1);
                    frame.file = name(place);
                }
            }
            _ => {}
        }
    }
    let note = detail::Note { text: HOSTILE.join(" ") };
    let row: Row = (Event::new(header.start_time, Kind::Note, 0, 0), Some(note.into()));
    rows.insert(0, row);
    let header = gilscope_trace::Header {
        host: HOSTILE.join(" "),
        kernel: name(1),
        command: HOSTILE.map(String::from).to_vec(),
        ..header
    };
    Folder::with(&header, &rows)
}

fn is_harmless(text: &str) -> bool {
    let markup = ["<script", "</script", "<img"];
    let bad = |c: char| (c.is_control() && c != '\n') || ('\u{202a}'..='\u{202e}').contains(&c);
    !text.contains(bad) && !markup.iter().any(|markup| text.contains(markup))
}

#[test]
fn texts_are_harmless_in_every_text_format() {
    let folder = hostile();
    for format in ["chrome", "firefox", "csv", "collapsed", "speedscope"] {
        let text = fs::read_to_string(folder.exported(format)).unwrap();
        assert!(is_harmless(&text), "{format}");
        // They are still there to be read.
        assert!(text.contains("alert(1)"), "{format}");
        if format.ends_with("e") || format == "firefox" {
            let value: serde_json::Value = serde_json::from_str(&text).unwrap();
            each_string(&value, &mut |text| {
                assert!(is_harmless(text) && !text.contains('\n'), "{format}: {text}")
            });
        }
    }
}

fn each_string(value: &serde_json::Value, look: &mut impl FnMut(&str)) {
    match value {
        serde_json::Value::String(text) => look(text),
        serde_json::Value::Array(values) => values.iter().for_each(|value| each_string(value, look)),
        serde_json::Value::Object(values) => values.values().for_each(|value| each_string(value, look)),
        _ => {}
    }
}

#[test]
fn no_cell_of_the_csv_is_a_formula() {
    let text = fs::read_to_string(hostile().exported("csv")).unwrap();
    assert!(text.contains("'=cmd|"));
    let mut cells = text.split(['\n', ',']).map(|cell| cell.trim_start_matches('"'));
    assert!(!cells.any(|cell| cell.starts_with(['=', '@', '+'])));
}

#[test]
fn texts_are_harmless_in_every_binary_format() {
    let folder = hostile();
    let (perfetto, parquet) = (folder.exported("perfetto"), folder.exported("parquet"));
    let bytes = fs::read(&perfetto).unwrap();
    for bad in [&b"<script"[..], b"\x1b[31m", "\u{202e}".as_bytes()] {
        assert!(!bytes.windows(bad.len()).any(|window| window == bad));
    }
    let Some(python) = python(&["pyarrow.parquet"]) else { return };
    let script = "import pyarrow.parquet, sys\n\
                  table = pyarrow.parquet.read_table(sys.argv[1])\n\
                  print(table.schema.metadata)\n\
                  for column in table.columns: print(*set(map(str, column.to_pylist())))";
    let output = std::process::Command::new(python).args(["-c", script]).arg(parquet).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && text.contains("alert(1)"));
    assert!(is_harmless(&text), "{text}");
}
