//! From record batches to the messages of an Arrow IPC stream, compressed as hard as their size allows.

use arrow_array::RecordBatch;
use arrow_ipc::{
    CompressionType, MetadataVersion,
    writer::{
        DictionaryTracker, EncodedData, IpcDataGenerator, IpcWriteContext, IpcWriteOptions, write_message,
    },
};
use arrow_schema::{ArrowError, Schema};

/// Multiple of bytes at which buffers begin. Arrow allows 8 to 64; a batch of a quiet process has more padding than data at 64.
const ALIGNMENT: usize = 8;
/// Most rows of a batch, and the level of zstd for it: a small batch has time to spare, and needs it most.
const LEVELS: [(usize, i32); 3] = [(4_096, 9), (16_384, 6), (usize::MAX, 3)];
/// The end of a stream: a continuation mark, and metadata of no length.
const END: [u8; 8] = [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];

/// Encodes the messages of one stream, one after the other.
pub(crate) struct Encoder {
    generator: IpcDataGenerator,
    dictionaries: DictionaryTracker,
    /// One for each level: a context keeps the compressor that it was first used with.
    contexts: [IpcWriteContext; LEVELS.len()],
    encoded: Vec<u8>,
}

impl Encoder {
    /// Begins a stream: its schema is encoded.
    pub(crate) fn new(schema: &Schema) -> Result<Encoder, ArrowError> {
        let mut encoder = Encoder {
            generator: IpcDataGenerator::default(),
            dictionaries: DictionaryTracker::new(false),
            contexts: Default::default(),
            encoded: Vec::new(),
        };
        let options = options(LEVELS[0].1)?;
        let message = encoder.generator.schema_to_bytes_with_dictionary_tracker(
            schema,
            &mut encoder.dictionaries,
            &options,
        );
        encoder.append(message, &options)?;
        Ok(encoder)
    }

    /// Encodes a batch, and before it the dictionaries that the stream does not have yet.
    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        let rows = batch.num_rows();
        let tier = LEVELS.iter().position(|(most, _)| rows <= *most).unwrap_or(LEVELS.len() - 1);
        let options = options(LEVELS[tier].1)?;
        let (dictionaries, message) =
            self.generator.encode(batch, &mut self.dictionaries, &options, &mut self.contexts[tier])?;
        for dictionary in dictionaries {
            self.append(dictionary, &options)?;
        }
        self.append(message, &options)
    }

    /// Encodes the end of the stream.
    pub(crate) fn finish(&mut self) {
        self.encoded.extend_from_slice(&END);
    }

    /// What was encoded and not yet taken.
    pub(crate) fn encoded(&mut self) -> &mut Vec<u8> {
        &mut self.encoded
    }

    fn append(&mut self, message: EncodedData, options: &IpcWriteOptions) -> Result<(), ArrowError> {
        write_message(&mut self.encoded, message, options)?;
        Ok(())
    }
}

fn options(level: i32) -> Result<IpcWriteOptions, ArrowError> {
    IpcWriteOptions::try_new(ALIGNMENT, false, MetadataVersion::V5)?
        .try_with_compression(Some(CompressionType::ZSTD))?
        .try_with_compression_level(Some(level))
}
