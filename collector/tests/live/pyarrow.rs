//! A trace is an Arrow stream that others read without gilscope.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
};

use gilscope_trace::Kind;
use serde_json::{Value, json};

use super::harness::{Puppet, any_python, begin, recorded, skip};

/// Knows of the trace no more than `docs/trace-format.md` says.
const READ: &str = r#"
import collections, json, sys
import pyarrow.ipc
table = pyarrow.ipc.open_stream(sys.argv[1]).read_all()
events = table.to_pydict()
times = events["time"]
print(json.dumps({
    "rows": table.num_rows,
    "columns": {field.name: str(field.type) for field in table.schema},
    "format": table.schema.metadata[b"gilscope.format"].decode(),
    "header": json.loads(table.schema.metadata[b"gilscope.header"]),
    "sorted": times == sorted(times),
    "kinds": collections.Counter(events["kind"]),
    "sent": sum(1 for kind, call in zip(events["kind"], events["syscall"]) if kind == "syscall_exit" and call == 44),
    "details": all(json.loads(detail) is not None for detail in events["detail"] if detail is not None),
    "last": json.loads(events["detail"][-1]),
}))
"#;

/// A Python with pyarrow: the one that `GILSCOPE_TEST_PYTHON` names, else any.
fn python_with_pyarrow() -> Option<PathBuf> {
    let named = std::env::var_os("GILSCOPE_TEST_PYTHON").map(PathBuf::from);
    let has_it = |python: &PathBuf| {
        let tried = Command::new(python).args(["-c", "import pyarrow.ipc"]).stderr(Stdio::null()).status();
        tried.is_ok_and(|status| status.success())
    };
    named.into_iter().chain(["python3".into(), "/usr/bin/python3".into()]).find(has_it)
}

#[test]
fn a_trace_is_read_by_pyarrow_without_gilscope() {
    const NAME: &str = "a_trace_is_read_by_pyarrow_without_gilscope";
    let Some(_turn) = begin(NAME) else { return };
    let Some(python) = python_with_pyarrow() else {
        return skip(NAME, "no Python with pyarrow; GILSCOPE_TEST_PYTHON names one");
    };
    let mut puppet = Puppet::start(any_python());
    let (trace, _) = recorded(&mut puppet, &[], |puppet| puppet.ask(json!({"cmd": "sends", "n": 500})));
    let path = puppet.folder.path().join("trace.gilscope");
    let output = Command::new(python).args(["-c", READ]).arg(path).stderr(Stdio::inherit()).output().unwrap();
    let read: Value = serde_json::from_slice(&output.stdout).unwrap();

    let columns = json!({
        "time": "int64", "kind": "dictionary<values=string, indices=uint8, ordered=0>", "cpu": "uint16", "pid": "int32",
        "tid": "int32", "gil": "uint64", "syscall": "int16", "fd": "int32", "value": "int64", "detail": "string",
    });
    assert_eq!(read["columns"], columns);
    assert_eq!(read["format"], "1.0");
    assert_eq!(read["header"]["targets"], json!([puppet.pid]));
    assert_eq!(read["header"]["start_time"], trace.header.start_time);
    assert!(read["header"]["utc_offset"].as_i64().unwrap() > 0);
    assert_eq!(read["sorted"], true);
    assert_eq!(read["details"], true, "every detail is JSON");
    assert_eq!(read["sent"], 500);
    assert_eq!(read["last"], json!({"reason": "interrupted"}));
    assert_eq!(read["rows"], trace.rows.len());
    for &kind in Kind::ALL {
        let count = trace.events().filter(|event| event.kind == kind).count();
        assert_eq!(
            read["kinds"].get(kind.name()).and_then(Value::as_u64).unwrap_or(0),
            count as u64,
            "{kind}"
        );
    }
}
