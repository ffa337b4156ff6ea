//! Reads a trace, also one that was cut off or is still being written.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, BufReader, Read, Seek},
    path::Path,
};

use arrow_array::{
    Array, ArrayRef, DictionaryArray, RecordBatch, StringArray,
    cast::AsArray,
    types::{ArrowPrimitiveType, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt64Type},
};
use arrow_buffer::{NullBuffer, ScalarBuffer};
use arrow_ipc::{MessageHeader, convert::try_fb_to_schema, reader as ipc};
use arrow_schema::{ArrowError, SchemaRef};

use crate::{
    Detail, Event, FormatVersion, Header, Kind,
    frame::{Found, Frame},
    schema,
};

/// Why a trace could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The file could not be read.
    #[error("cannot read the trace")]
    Io(#[from] io::Error),
    /// The file is empty, or ends before its header does.
    #[error("the file ends after {0} bytes, before its header does: nothing was recorded into it yet")]
    NoHeader(u64),
    /// The file is something else.
    #[error("this is not a gilscope trace")]
    Foreign,
    /// The file was written by a later gilscope, in a format that this one would misunderstand.
    #[error("the trace has format {0}, this gilscope reads up to {current}: update gilscope", current = FormatVersion::CURRENT)]
    Newer(FormatVersion),
    /// The file is damaged. What came before it was good.
    #[error("the trace is damaged at byte {offset}: {what}")]
    Corrupt {
        /// Where the damaged message begins.
        offset: u64,
        /// What is wrong with it.
        what: String,
    },
}

impl ReadError {
    pub(crate) fn corrupt(offset: u64, what: impl ToString) -> ReadError {
        ReadError::Corrupt { offset, what: what.to_string() }
    }
}

/// What [`Reader::next_batch`] found.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "one lives at a time, for a batch of thousands of rows")]
pub enum Next {
    /// The next rows.
    Batch(Batch),
    /// The recording ended in order, and this is its end.
    End,
    /// The file ends here without an end mark: its collector is still writing, or was killed. Calling again reads what has
    /// been appended meanwhile.
    Pending {
        /// Bytes of an incomplete batch behind the last complete one.
        partial: u64,
    },
}

/// Reads a trace batch by batch.
#[derive(Debug)]
pub struct Reader<R> {
    input: R,
    offset: u64,
    header: Header,
    format: FormatVersion,
    schema: SchemaRef,
    dictionaries: HashMap<i64, ArrayRef>,
}

impl Reader<BufReader<File>> {
    /// Opens the trace at `path`.
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        Reader::new(BufReader::new(File::open(path)?))
    }
}

impl<R: Read + Seek> Reader<R> {
    /// Reads the header of a trace.
    pub fn new(mut input: R) -> Result<Reader<R>, ReadError> {
        let mut offset = 0;
        let frame = match Frame::read(&mut input, &mut offset)? {
            Found::Frame(frame) => frame,
            Found::End => return Err(ReadError::Foreign),
            Found::Incomplete { partial } => return Err(ReadError::NoHeader(partial)),
        };
        let schema = match frame.message()?.header_as_schema() {
            Some(schema) => quietly(0, || try_fb_to_schema(schema))?,
            None => return Err(ReadError::Foreign),
        };
        let format = schema.metadata().get(schema::FORMAT_KEY).ok_or(ReadError::Foreign)?;
        let format: FormatVersion =
            format.parse().map_err(|()| ReadError::corrupt(0, "its format version is not a version"))?;
        if !format.is_readable() {
            return Err(ReadError::Newer(format));
        }
        let header = schema.metadata().get(schema::HEADER_KEY).map_or("{}", String::as_str);
        let header = serde_json::from_str(header).map_err(|error| ReadError::corrupt(0, error))?;
        Ok(Reader { input, offset, header, format, schema: schema.into(), dictionaries: HashMap::new() })
    }

    /// What is known once per file.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Version of the file.
    pub fn format(&self) -> FormatVersion {
        self.format
    }

    /// Bytes read so far, to the end of the last complete batch.
    pub fn bytes_read(&self) -> u64 {
        self.offset
    }

    /// Reads the next batch.
    ///
    /// After [`Next::Pending`] it can be called again. After an error everything already read stays good, and further calls
    /// give the same error.
    pub fn next_batch(&mut self) -> Result<Next, ReadError> {
        loop {
            let mut offset = self.offset;
            let frame = match Frame::read(&mut self.input, &mut offset) {
                Ok(Found::Frame(frame)) => frame,
                Ok(Found::End) => return Ok(Next::End),
                Ok(Found::Incomplete { partial }) => return Ok(Next::Pending { partial }),
                Err(ReadError::Foreign) => {
                    return Err(ReadError::corrupt(self.offset, "no message begins here"));
                }
                Err(error) => return Err(error),
            };
            let batch = self.decode(&frame)?;
            self.offset = offset;
            if let Some(batch) = batch {
                return Ok(Next::Batch(batch));
            }
        }
    }

    /// Decodes a message; `None` for one that only prepares others.
    fn decode(&mut self, frame: &Frame) -> Result<Option<Batch>, ReadError> {
        let message = frame.message()?;
        let version = frame.version()?;
        match message.header_type() {
            MessageHeader::DictionaryBatch => {
                if let Some(dictionary) = message.header_as_dictionary_batch() {
                    let (schema, known) = (&self.schema, &mut self.dictionaries);
                    quietly(self.offset, || {
                        ipc::read_dictionary(&frame.body, dictionary, schema, known, &version)
                    })?;
                }
                Ok(None)
            }
            MessageHeader::RecordBatch => {
                let Some(batch) = message.header_as_record_batch() else {
                    return Ok(None);
                };
                let (schema, known) = (&self.schema, &self.dictionaries);
                let batch = quietly(self.offset, || {
                    ipc::read_record_batch(&frame.body, batch, schema.clone(), known, None, &version)
                })?;
                Batch::new(&batch).map(Some).map_err(|what| ReadError::corrupt(self.offset, what))
            }
            _ => Ok(None),
        }
    }
}

/// Runs a decoder of `arrow-ipc`, which checks most but not all of what it is given: a panic on hostile bytes becomes an error.
fn quietly<T>(offset: u64, decode: impl FnOnce() -> Result<T, ArrowError>) -> Result<T, ReadError> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(decode))
        .map_err(|_| ReadError::corrupt(offset, "its structure contradicts itself"))?
        .map_err(|error| ReadError::corrupt(offset, error))
}

/// A column of numbers in which a null reads as *none*.
#[derive(Debug)]
struct Column<T: ArrowPrimitiveType> {
    values: ScalarBuffer<T::Native>,
    nulls: Option<NullBuffer>,
    none: T::Native,
}

impl<T: ArrowPrimitiveType> Column<T> {
    fn of(batch: &RecordBatch, name: &str, none: T::Native) -> Result<Column<T>, String> {
        let column = batch.column_by_name(name).ok_or_else(|| format!("it has no column `{name}`"))?;
        let column = column.as_primitive_opt::<T>().ok_or_else(|| {
            format!("its column `{name}` holds {} instead of {}", column.data_type(), T::DATA_TYPE)
        })?;
        let nulls = column.nulls().filter(|nulls| nulls.null_count() > 0).cloned();
        Ok(Column { values: column.values().clone(), nulls, none })
    }

    #[inline]
    fn get(&self, row: usize) -> T::Native {
        match &self.nulls {
            Some(nulls) if nulls.is_null(row) => self.none,
            _ => self.values[row],
        }
    }
}

/// Consecutive rows of a trace, in order of time.
#[derive(Debug)]
pub struct Batch {
    rows: usize,
    time: Column<Int64Type>,
    kind: ScalarBuffer<u8>,
    kinds: Vec<Kind>,
    cpu: Column<UInt16Type>,
    pid: Column<Int32Type>,
    tid: Column<Int32Type>,
    gil: Column<UInt64Type>,
    nr: Column<Int16Type>,
    fd: Column<Int32Type>,
    value: Column<Int64Type>,
    detail: StringArray,
}

impl Batch {
    fn new(batch: &RecordBatch) -> Result<Batch, String> {
        let kind: &DictionaryArray<UInt8Type> = batch
            .column_by_name(schema::KIND)
            .and_then(|column| column.as_dictionary_opt())
            .ok_or("it has no column `kind` of names")?;
        let names = kind.values().as_string_opt::<i32>().ok_or("its kinds have no names")?;
        let mut kinds: Vec<Kind> = names.iter().map(|name| Kind::from_name(name.unwrap_or(""))).collect();
        // A null has any key at all: give every key a kind.
        kinds.resize(256, Kind::Unknown);
        let detail = batch
            .column_by_name(schema::DETAIL)
            .and_then(|column| column.as_string_opt::<i32>())
            .ok_or("it has no column `detail` of text")?;
        Ok(Batch {
            rows: batch.num_rows(),
            time: Column::of(batch, schema::TIME, 0)?,
            kind: kind.keys().values().clone(),
            kinds,
            cpu: Column::of(batch, schema::CPU, 0)?,
            pid: Column::of(batch, schema::PID, 0)?,
            tid: Column::of(batch, schema::TID, 0)?,
            gil: Column::of(batch, schema::GIL, 0)?,
            nr: Column::of(batch, schema::SYSCALL, -1)?,
            fd: Column::of(batch, schema::FD, -1)?,
            value: Column::of(batch, schema::VALUE, 0)?,
            detail: detail.clone(),
        })
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The row at `row`, which must be less than [`Batch::len`].
    #[inline]
    pub fn event(&self, row: usize) -> Event {
        Event {
            time: self.time.get(row),
            kind: self.kinds[usize::from(self.kind[row])],
            cpu: self.cpu.get(row),
            pid: self.pid.get(row),
            tid: self.tid.get(row),
            gil: self.gil.get(row),
            nr: self.nr.get(row),
            fd: self.fd.get(row),
            value: self.value.get(row),
        }
    }

    /// All rows in order.
    pub fn events(&self) -> impl ExactSizeIterator<Item = Event> + '_ {
        (0..self.rows).map(|row| self.event(row))
    }

    /// The detail of the row at `row`, if its kind has one and it can be understood.
    pub fn detail(&self, row: usize) -> Option<Detail> {
        let kind = self.kinds[usize::from(self.kind[row])];
        if !kind.has_detail() || self.detail.is_null(row) {
            return None;
        }
        Detail::from_json(kind, self.detail.value(row))
    }
}
