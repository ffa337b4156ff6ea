//! What a process says, line by line, with an end to patience.

use std::{io::Read, os::fd::AsFd};

use rustix::event::{PollFd, PollFlags, poll};

use super::{PATIENCE, patience};

/// Reads lines from a pipe.
pub(crate) struct Lines<R> {
    from: R,
    buffer: Vec<u8>,
}

impl<R: Read + AsFd> Lines<R> {
    pub(crate) fn new(from: R) -> Lines<R> {
        Lines { from, buffer: Vec::new() }
    }

    /// The next line; `None` at the end.
    pub(crate) fn next(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.buffer.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return Some(String::from_utf8_lossy(&line[..end]).into_owned());
            }
            if !self.fill() {
                return None;
            }
        }
    }

    /// Everything up to the end.
    pub(crate) fn rest(&mut self) -> String {
        while self.fill() {}
        String::from_utf8_lossy(&std::mem::take(&mut self.buffer)).into_owned()
    }

    fn fill(&mut self) -> bool {
        let mut descriptors = [PollFd::new(&self.from, PollFlags::IN)];
        let ready = poll(&mut descriptors, Some(&patience())).unwrap();
        assert_eq!(ready, 1, "silent for {PATIENCE:?} after: {}", String::from_utf8_lossy(&self.buffer));
        let mut bytes = [0; 4096];
        let length = self.from.read(&mut bytes).unwrap();
        self.buffer.extend_from_slice(&bytes[..length]);
        length > 0
    }
}
