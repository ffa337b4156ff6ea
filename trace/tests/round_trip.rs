//! What is written is read back, whole, cut off, growing, damaged or foreign.

use std::io::{Cursor, Write};

use gilscope_trace::{Detail, Event, Header, Kind, Next, ReadError, Reader, Writer, detail::Thread};
use proptest::prelude::*;

type Row = (Event, Option<Detail>);

fn header() -> Header {
    Header {
        gilscope: "0.1.0".into(),
        arch: "x86_64".into(),
        start_time: 5,
        targets: vec![7],
        ..Header::default()
    }
}

/// `batches` batches of a release, a send and an acquisition, with a thread name in front of each.
fn trace(batches: i64) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), &header()).unwrap();
    for batch in 0..batches {
        for (event, detail) in rows(batch) {
            match detail {
                Some(detail) => writer.push_detail(event, &detail).unwrap(),
                None => writer.push(event).unwrap(),
            }
        }
        writer.flush().unwrap();
    }
    writer.finish().unwrap()
}

fn rows(batch: i64) -> Vec<Row> {
    let at = |offset, kind| Event::new(batch * 1000 + offset, kind, 7, 9).on_cpu(3);
    let name = Thread { name: Some(format!("worker-{batch}")), ..Thread::default() };
    vec![
        (Event::new(batch * 1000, Kind::Thread, 7, 9), Some(name.into())),
        (at(1, Kind::Release).of_gil(0xffff_8000_0000_1000), None),
        (at(2, Kind::SyscallEnter).of_syscall(44, 0), None),
        (at(3, Kind::SyscallExit).of_syscall(44, -1).with_value(-11), None),
        (at(4, Kind::Acquire).of_gil(0xffff_8000_0000_1000), None),
    ]
}

/// Reads until the end, the cut or the error; gives the rows and what stopped it.
fn read(bytes: &[u8]) -> (Vec<Row>, Result<Next, ReadError>) {
    let mut reader = match Reader::new(Cursor::new(bytes)) {
        Ok(reader) => reader,
        Err(error) => return (Vec::new(), Err(error)),
    };
    let mut seen = Vec::new();
    loop {
        match reader.next_batch() {
            Ok(Next::Batch(batch)) => {
                seen.extend(batch.events().enumerate().map(|(row, event)| (event, batch.detail(row))));
            }
            other => return (seen, other),
        }
    }
}

#[test]
fn every_field_of_every_row_is_read_back() {
    let bytes = trace(3);
    let (seen, end) = read(&bytes);
    assert_eq!(seen, (0..3).flat_map(rows).collect::<Vec<_>>());
    assert!(matches!(end, Ok(Next::End)));
    assert_eq!(*Reader::new(Cursor::new(&bytes)).unwrap().header(), header());
}

#[test]
fn a_trace_cut_at_any_byte_is_read_to_its_last_complete_batch() {
    let bytes = trace(3);
    let expected: Vec<_> = (0..3).flat_map(rows).collect();
    let mut lengths = std::collections::BTreeSet::new();
    for cut in 0..bytes.len() {
        let (seen, end) = read(&bytes[..cut]);
        assert_eq!(seen, expected[..seen.len()], "cut at {cut}");
        assert!(
            matches!(end, Ok(Next::Pending { .. }) | Err(ReadError::NoHeader(_))),
            "cut at {cut}: {end:?}"
        );
        lengths.insert(seen.len());
    }
    assert_eq!(lengths.into_iter().collect::<Vec<_>>(), [0, 5, 10, 15]);
}

#[test]
fn a_growing_file_is_followed_batch_by_batch() {
    let bytes = trace(2);
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let mut reader = None;
    let mut batches = 0;
    let mut ended = false;
    for byte in &bytes {
        file.write_all(&[*byte]).unwrap();
        if reader.is_none() {
            reader = Reader::open(file.path()).ok();
        }
        match reader.as_mut().map(Reader::next_batch) {
            Some(Ok(Next::Batch(batch))) => batches += usize::from(batch.len() == 5),
            Some(Ok(Next::End)) => ended = true,
            Some(Err(error)) => panic!("{error}"),
            Some(Ok(Next::Pending { .. })) | None => {}
        }
    }
    assert_eq!((batches, ended), (2, true));
}

#[test]
fn a_file_of_another_kind_is_called_foreign_and_an_empty_one_empty() {
    assert!(matches!(read(b"\x7fELF\x02\x01\x01 and more of a program").1, Err(ReadError::Foreign)));
    assert!(matches!(read(b"").1, Err(ReadError::NoHeader(0))));
}

#[test]
fn a_trace_of_a_later_major_format_is_refused_with_both_versions() {
    let mut bytes = trace(1);
    let place = bytes.windows(7).position(|window| window == b"\x03\0\0\x001.0").unwrap();
    bytes[place + 4] = b'9';
    let error = read(&bytes).1.unwrap_err();
    assert_eq!(error.to_string(), "the trace has format 9.0, this gilscope reads up to 1.0: update gilscope");
}

#[test]
fn a_message_that_claims_a_huge_size_takes_no_memory_for_it() {
    let mut bytes = trace(1);
    let end = bytes.len() - 8;
    bytes.truncate(end);
    bytes.extend([0xff; 4]);
    bytes.extend(0x7fff_ffff_u32.to_le_bytes());
    bytes.extend([0; 64]);
    let (seen, end) = read(&bytes);
    assert_eq!(seen.len(), 5);
    assert!(matches!(end, Err(ReadError::Corrupt { .. })), "{end:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_damage_makes_the_reader_panic(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
    ) {
        let mut bytes = trace(2);
        for (place, byte) in damage {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        let _ = read(&bytes);
    }

    #[test]
    fn no_random_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let _ = read(&bytes);
    }
}
