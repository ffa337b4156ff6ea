//! The messages of an Arrow IPC stream, cut out of a file that may be hostile, cut off or still growing.
//!
//! A message is `0xFFFFFFFF`, the length of its metadata, the metadata (a flatbuffer), and a body whose length the metadata
//! tells. Every length is checked before memory is taken for it.

use std::io::{self, Read, Seek, SeekFrom};

use arrow_buffer::Buffer;
use arrow_ipc::{Message, MetadataVersion, root_as_message};

use crate::ReadError;

/// Longest metadata of a message. Ours takes 1 KiB, the schema with a long command line some tens.
const MAX_METADATA: u32 = 4 << 20;
/// Longest body of a message. Ours are under 8 MiB.
const MAX_BODY: u64 = 256 << 20;
/// Longest column buffer once decompressed.
const MAX_BUFFER: i64 = 256 << 20;
/// All buffers of a message once decompressed.
const MAX_BUFFERS: i64 = 512 << 20;

const CONTINUATION: [u8; 4] = [0xff; 4];

/// One message.
pub(crate) struct Frame {
    metadata: Vec<u8>,
    pub(crate) body: Buffer,
}

/// What stands at the place that was looked at.
pub(crate) enum Found {
    Frame(Frame),
    /// The end-of-stream mark.
    End,
    /// The file ends before the message does. `partial` bytes of it are there.
    Incomplete {
        partial: u64,
    },
}

impl Frame {
    /// Reads the message at `offset` and moves `offset` behind it. An incomplete message leaves `offset` where it was.
    pub(crate) fn read<R: Read + Seek>(input: &mut R, offset: &mut u64) -> Result<Found, ReadError> {
        let length = input.seek(SeekFrom::End(0))?;
        input.seek(SeekFrom::Start(*offset))?;
        let available = length.saturating_sub(*offset);
        let incomplete = Ok(Found::Incomplete { partial: available });

        let mut prefix = [0; 8];
        match read_exact_or_less(input, &mut prefix)? {
            8 => {}
            _ => return incomplete,
        }
        if prefix[..4] != CONTINUATION {
            return Err(ReadError::Foreign);
        }
        let metadata_length = u32::from_le_bytes([prefix[4], prefix[5], prefix[6], prefix[7]]);
        if metadata_length == 0 {
            *offset += 8;
            return Ok(Found::End);
        }
        if metadata_length > MAX_METADATA {
            return Err(ReadError::corrupt(*offset, "a message claims metadata of more than 4 MiB"));
        }
        if u64::from(metadata_length) + 8 > available {
            return incomplete;
        }
        let mut metadata = vec![0; metadata_length as usize];
        input.read_exact(&mut metadata)?;

        let body_length = {
            let message = root_as_message(&metadata).map_err(|error| ReadError::corrupt(*offset, error))?;
            u64::try_from(message.bodyLength()).map_err(|error| ReadError::corrupt(*offset, error))?
        };
        if body_length > MAX_BODY {
            return Err(ReadError::corrupt(*offset, "a message claims a body of more than 256 MiB"));
        }
        let total = 8 + u64::from(metadata_length) + body_length;
        if total > available {
            return incomplete;
        }
        let mut body = vec![0; body_length as usize];
        input.read_exact(&mut body)?;
        let frame = Frame { metadata, body: Buffer::from_vec(body) };
        frame.check_buffers(*offset)?;
        *offset += total;
        Ok(Found::Frame(frame))
    }

    /// The message of this frame.
    pub(crate) fn message(&self) -> Result<Message<'_>, ReadError> {
        root_as_message(&self.metadata).map_err(|error| ReadError::corrupt(0, error))
    }

    /// Version of Arrow's metadata.
    pub(crate) fn version(&self) -> Result<MetadataVersion, ReadError> {
        Ok(self.message()?.version())
    }

    /// Refuses buffers that lie outside the body or claim to grow without measure when decompressed.
    fn check_buffers(&self, offset: u64) -> Result<(), ReadError> {
        let message = self.message()?;
        let batch = match message.header_as_dictionary_batch() {
            Some(dictionary) => dictionary.data(),
            None => message.header_as_record_batch(),
        };
        let Some(batch) = batch else { return Ok(()) };
        let compressed = batch.compression().is_some();
        let mut sum = 0;
        for buffer in batch.buffers().into_iter().flatten() {
            let bytes = usize::try_from(buffer.offset())
                .ok()
                .zip(usize::try_from(buffer.length()).ok())
                .and_then(|(start, length)| self.body.get(start..start.checked_add(length)?))
                .ok_or_else(|| ReadError::corrupt(offset, "a buffer lies outside its message"))?;
            if compressed && let Some(prefix) = bytes.first_chunk::<8>() {
                let claimed = i64::from_le_bytes(*prefix);
                sum += claimed.clamp(0, MAX_BUFFERS);
                if claimed > MAX_BUFFER || sum > MAX_BUFFERS {
                    return Err(ReadError::corrupt(offset, "a buffer claims to be larger than 256 MiB"));
                }
            }
        }
        Ok(())
    }
}

fn read_exact_or_less<R: Read>(input: &mut R, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match input.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
