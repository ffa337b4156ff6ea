//! Recorded traces, written again as they were: nothing is lost, and they are small.

use std::{fs, io::Cursor, path::Path};

use gilscope_trace::{Next, Reader, Writer};

/// The batches of a file, written again in batches of the same rows.
fn written_again(path: &Path) -> Vec<u8> {
    let mut reader = Reader::open(path).unwrap();
    let mut writer = Writer::new(Vec::new(), reader.header()).unwrap();
    while let Next::Batch(batch) = reader.next_batch().unwrap() {
        for (row, event) in batch.events().enumerate() {
            match batch.detail(row) {
                Some(detail) => writer.push_detail(event, &detail).unwrap(),
                None => writer.push(event).unwrap(),
            }
        }
        writer.flush().unwrap();
    }
    writer.finish().unwrap()
}

fn sample(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../samples/traces").join(name)
}

/// Bytes an event of a sample when it is written again; its rows must be the same.
fn bytes_an_event(name: &str) -> f64 {
    let again = written_again(&sample(name));
    let (mut old, mut new) =
        (Reader::open(&sample(name)).unwrap(), Reader::new(Cursor::new(&again)).unwrap());
    let mut events = 0;
    loop {
        match (old.next_batch().unwrap(), new.next_batch().unwrap()) {
            (Next::Batch(old), Next::Batch(new)) => {
                events += old.len();
                assert!(old.events().eq(new.events()), "{name}: rows differ");
                assert!(
                    (0..old.len()).all(|row| old.detail(row) == new.detail(row)),
                    "{name}: details differ"
                );
            }
            (Next::End, Next::End) => break,
            other => panic!("{name}: {other:?}"),
        }
    }
    let size = again.len() as f64 / events as f64;
    println!("{name}: {events} events, {size:.2} bytes each");
    size
}

#[test]
fn every_sample_is_the_same_when_written_again() {
    for entry in fs::read_dir(sample("")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.ends_with(".gilscope") {
            bytes_an_event(&name);
        }
    }
}

#[test]
fn a_server_that_is_busy_takes_three_bytes_an_event_its_socket_calls_included() {
    assert!(bytes_an_event("a-idle.gilscope") <= 3.0);
}

#[test]
fn a_convoy_takes_five_bytes_an_event_though_a_batch_holds_few() {
    assert!(bytes_an_event("a-convoy.gilscope") <= 5.0);
}
