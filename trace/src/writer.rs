//! Writes a trace: rows are gathered into a batch, a batch is one message of the stream.

use std::{io::Write, sync::Arc};

use arrow_array::{
    ArrayRef, ArrowPrimitiveType, DictionaryArray, Int32Array, Int64Array, PrimitiveArray, RecordBatch,
    StringArray, UInt8Array, UInt16Array,
    types::{Int16Type, Int32Type, Int64Type, UInt8Type, UInt64Type},
};
use arrow_buffer::NullBuffer;
use arrow_schema::{ArrowError, SchemaRef};

use crate::{Detail, Event, Header, Kind, encoder::Encoder, schema};

/// Rows after which a batch is written without being asked for. At 45 bytes a row this bounds the writer at about 3 MB;
/// larger batches do not compress better.
pub const MAX_BATCH_ROWS: usize = 65_536;

/// Why a trace could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The file could not be written. What is in it up to the last complete batch stays readable.
    #[error("cannot write the trace")]
    Io(#[from] std::io::Error),
    /// The rows could not be encoded.
    #[error("cannot encode a batch")]
    Encode(#[from] ArrowError),
    /// A detail could not be encoded.
    #[error("cannot encode a detail")]
    Detail(#[from] serde_json::Error),
}

/// Writes a trace to `W`.
///
/// Each batch reaches `W` in one `write_all`, so a file cut off by a crash ends at most one batch short. Rows are expected in
/// order of time.
pub struct Writer<W: Write> {
    schema: SchemaRef,
    encoder: Encoder,
    out: W,
    rows: Vec<Event>,
    /// Details by row, ascending.
    details: Vec<(usize, String)>,
    bytes_written: u64,
    events_written: u64,
}

impl<W: Write> Writer<W> {
    /// Begins a trace: writes the schema with its header.
    pub fn new(out: W, header: &Header) -> Result<Writer<W>, WriteError> {
        let schema = schema::schema(header)?;
        let mut writer = Writer {
            encoder: Encoder::new(&schema)?,
            schema,
            out,
            rows: Vec::with_capacity(MAX_BATCH_ROWS),
            details: Vec::new(),
            bytes_written: 0,
            events_written: 0,
        };
        writer.write_encoded()?;
        Ok(writer)
    }

    /// Adds a row without detail.
    pub fn push(&mut self, event: Event) -> Result<(), WriteError> {
        self.rows.push(event);
        if self.rows.len() >= MAX_BATCH_ROWS { self.flush() } else { Ok(()) }
    }

    /// Adds a row with a detail. The kind of `event` becomes that of the detail.
    pub fn push_detail(&mut self, event: Event, detail: &Detail) -> Result<(), WriteError> {
        self.details.push((self.rows.len(), detail.to_json()?));
        self.push(Event { kind: detail.kind(), ..event })
    }

    /// Writes the rows so far as a batch, if there are any, and flushes `W`.
    pub fn flush(&mut self) -> Result<(), WriteError> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let batch = self.batch()?;
        self.encoder.write(&batch)?;
        self.events_written += self.rows.len() as u64;
        self.rows.clear();
        self.details.clear();
        self.write_encoded()?;
        self.out.flush()?;
        Ok(())
    }

    /// Writes what is left and the end-of-stream mark, and gives `W` back.
    pub fn finish(mut self) -> Result<W, WriteError> {
        self.flush()?;
        self.encoder.finish();
        self.write_encoded()?;
        self.out.flush()?;
        Ok(self.out)
    }

    /// Bytes written so far.
    pub fn bytes_written(&self) -> u64 {
        self.bytes_written
    }

    /// Rows written so far; rows not yet in a batch do not count.
    pub fn events_written(&self) -> u64 {
        self.events_written
    }

    fn write_encoded(&mut self) -> Result<(), WriteError> {
        let encoded = self.encoder.encoded();
        self.out.write_all(encoded)?;
        self.bytes_written += encoded.len() as u64;
        encoded.clear();
        Ok(())
    }

    fn batch(&self) -> Result<RecordBatch, ArrowError> {
        let rows = &self.rows;
        let mut details = self.details.iter().peekable();
        let detail_of = |row: usize| details.next_if(|(at, _)| *at == row).map(|(_, text)| text.as_str());
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.time))),
            Arc::new(DictionaryArray::<UInt8Type>::try_new(
                UInt8Array::from_iter_values(rows.iter().map(|row| row.kind as u8)),
                schema::KIND_NAMES.clone(),
            )?),
            Arc::new(UInt16Array::from_iter_values(rows.iter().map(|row| row.cpu))),
            Arc::new(Int32Array::from_iter_values(rows.iter().map(|row| row.pid))),
            Arc::new(Int32Array::from_iter_values(rows.iter().map(|row| row.tid))),
            Arc::new(sparse::<UInt64Type>(rows, |row| (row.gil != 0).then_some(row.gil))),
            Arc::new(sparse::<Int16Type>(rows, |row| (row.nr >= 0).then_some(row.nr))),
            Arc::new(sparse::<Int32Type>(rows, |row| (row.fd >= 0).then_some(row.fd))),
            Arc::new(sparse::<Int64Type>(rows, |row| has_value(row.kind).then_some(row.value))),
            Arc::new((0..rows.len()).map(detail_of).collect::<StringArray>()),
        ];
        RecordBatch::try_new(self.schema.clone(), columns)
    }
}

/// A column that is null where `value` gives none. What stands under a null is anybody's choice: the value before it, which
/// compresses better than a zero in between.
fn sparse<T: ArrowPrimitiveType>(
    rows: &[Event],
    value: impl Fn(&Event) -> Option<T::Native>,
) -> PrimitiveArray<T> {
    let mut last = T::Native::default();
    let mut values = Vec::with_capacity(rows.len());
    let valid: NullBuffer = rows
        .iter()
        .map(|row| {
            let here = value(row);
            last = here.unwrap_or(last);
            values.push(last);
            here.is_some()
        })
        .collect();
    PrimitiveArray::new(values.into(), Some(valid))
}

/// Whether rows of this kind use the `value` column; the others leave it null.
fn has_value(kind: Kind) -> bool {
    matches!(kind, Kind::SyscallExit | Kind::SwitchOut | Kind::ThreadStart | Kind::Sample)
}
