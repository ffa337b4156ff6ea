//! Whatever a file holds, reading it as a trace ends: with rows or with an error, never with a panic, never with runaway memory.

#![no_main]

use std::io::Cursor;

use gilscope_trace::{Next, Reader};
use libfuzzer_sys::fuzz_target;

fuzz_target!(
    init: {
        // libFuzzer's own hook ends the process at every panic, also at one that the reader catches where the Arrow decoder is given
        // bytes that contradict each other. One that is not caught still ends it.
        std::panic::set_hook(Box::new(|_| {}));
    },
    |bytes: &[u8]| {
        let Ok(mut reader) = Reader::new(Cursor::new(bytes)) else {
            return;
        };
        let mut behind = reader.bytes_read();
        while let Ok(Next::Batch(batch)) = reader.next_batch() {
            for (row, event) in batch.events().enumerate() {
                let detail = batch.detail(row);
                assert!(detail.is_none_or(|detail| detail.kind() == event.kind));
            }
            assert!(reader.bytes_read() > behind, "a batch takes bytes");
            behind = reader.bytes_read();
        }
        assert!(behind <= bytes.len() as u64);
    }
);
