//! The table of intervals as Parquet. What is known once per file is in its key-value metadata.

use std::{collections::HashMap, sync::Arc};

use anyhow::Context;
use arrow_array::{
    RecordBatch,
    builder::{BooleanBuilder, Int32Builder, Int64Builder, StringBuilder, StringDictionaryBuilder},
    types::Int32Type,
};
use arrow_schema::{DataType, Field, Schema};
use gilscope_analysis::{Model, stream::Record};
use parquet::{
    arrow::ArrowWriter,
    basic::{Compression, Encoding, ZstdLevel},
    file::{metadata::KeyValue, properties::WriterProperties},
};

use super::{Export, Out, names::Names, rows::Row};

/// Rows that are encoded at once, and rows of a row group: what is held in memory, some 10 MB.
const ROWS: usize = 1 << 14;
const GROUP_ROWS: usize = 1 << 16;

/// As in the trace file.
const HEADER_KEY: &str = "gilscope.header";

pub(super) struct Parquet<'a> {
    names: &'a Names,
    schema: Arc<Schema>,
    writer: ArrowWriter<Out>,
    columns: Columns,
    rows: usize,
}

type Names32 = StringDictionaryBuilder<Int32Type>;

#[derive(Default)]
struct Columns {
    pid: Int32Builder,
    tid: Int32Builder,
    thread: Names32,
    start_ns: Int64Builder,
    end_ns: Int64Builder,
    wall_start_ns: Int64Builder,
    state: Names32,
    gil: Names32,
    syscall: Names32,
    fd: Int32Builder,
    descriptor: StringBuilder,
    result: Int64Builder,
    preempted: BooleanBuilder,
    blamed_tid: Int32Builder,
    blamed_thread: Names32,
    blamed_ns: Int64Builder,
    held_ns: Int64Builder,
    free_ns: Int64Builder,
    convoy: BooleanBuilder,
    open_start: BooleanBuilder,
    open_end: BooleanBuilder,
}

impl Columns {
    fn push(&mut self, row: &Row) {
        self.pid.append_value(row.pid);
        self.tid.append_value(row.tid);
        self.thread.append_value(row.thread);
        self.start_ns.append_value(row.start_ns);
        self.end_ns.append_value(row.end_ns);
        self.wall_start_ns.append_value(row.wall_start_ns);
        self.state.append_value(row.state);
        self.gil.append_option(row.gil);
        self.syscall.append_option(row.syscall.as_deref());
        self.fd.append_option(row.fd);
        self.descriptor.append_option(row.descriptor.as_deref());
        self.result.append_option(row.result);
        self.preempted.append_value(row.preempted);
        self.blamed_tid.append_option(row.blamed_tid);
        self.blamed_thread.append_option(row.blamed_thread);
        self.blamed_ns.append_option(row.blamed_ns);
        self.held_ns.append_option(row.held_ns);
        self.free_ns.append_option(row.free_ns);
        self.convoy.append_option(row.convoy);
        self.open_start.append_value(row.open_start);
        self.open_end.append_value(row.open_end);
    }

    fn finish(&mut self, schema: Arc<Schema>) -> Result<RecordBatch, arrow_schema::ArrowError> {
        RecordBatch::try_new(
            schema,
            vec![
                Arc::new(self.pid.finish()),
                Arc::new(self.tid.finish()),
                Arc::new(self.thread.finish()),
                Arc::new(self.start_ns.finish()),
                Arc::new(self.end_ns.finish()),
                Arc::new(self.wall_start_ns.finish()),
                Arc::new(self.state.finish()),
                Arc::new(self.gil.finish()),
                Arc::new(self.syscall.finish()),
                Arc::new(self.fd.finish()),
                Arc::new(self.descriptor.finish()),
                Arc::new(self.result.finish()),
                Arc::new(self.preempted.finish()),
                Arc::new(self.blamed_tid.finish()),
                Arc::new(self.blamed_thread.finish()),
                Arc::new(self.blamed_ns.finish()),
                Arc::new(self.held_ns.finish()),
                Arc::new(self.free_ns.finish()),
                Arc::new(self.convoy.finish()),
                Arc::new(self.open_start.finish()),
                Arc::new(self.open_end.finish()),
            ],
        )
    }
}

fn schema(header: &str) -> Schema {
    let name = || DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let must = |name: &str, kind| Field::new(name, kind, false);
    let may = |name: &str, kind| Field::new(name, kind, true);
    let fields = vec![
        must("pid", DataType::Int32),
        must("tid", DataType::Int32),
        must("thread", name()),
        must("start_ns", DataType::Int64),
        must("end_ns", DataType::Int64),
        must("wall_start_ns", DataType::Int64),
        must("state", name()),
        may("gil", name()),
        may("syscall", name()),
        may("fd", DataType::Int32),
        may("descriptor", DataType::Utf8),
        may("result", DataType::Int64),
        must("preempted", DataType::Boolean),
        may("blamed_tid", DataType::Int32),
        may("blamed_thread", name()),
        may("blamed_ns", DataType::Int64),
        may("held_ns", DataType::Int64),
        may("free_ns", DataType::Int64),
        may("convoy", DataType::Boolean),
        must("open_start", DataType::Boolean),
        must("open_end", DataType::Boolean),
    ];
    // For readers of the Arrow schema; others find it in the key-value metadata of the file.
    Schema::new_with_metadata(fields, HashMap::from([(HEADER_KEY.to_owned(), header.to_owned())]))
}

impl<'a> Parquet<'a> {
    pub(super) fn new(names: &'a Names, out: Out) -> anyhow::Result<Parquet<'a>> {
        let header = serde_json::to_string(&names.header)?;
        let schema = Arc::new(schema(&header));
        let metadata = vec![KeyValue::new(HEADER_KEY.into(), header)];
        let mut properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
            .set_max_row_group_row_count(Some(GROUP_ROWS))
            .set_key_value_metadata(Some(metadata));
        for time in ["start_ns", "end_ns", "wall_start_ns"] {
            // They ascend, and none comes twice.
            properties = properties
                .set_column_dictionary_enabled(time.into(), false)
                .set_column_encoding(time.into(), Encoding::DELTA_BINARY_PACKED);
        }
        let properties = properties.build();
        let writer = ArrowWriter::try_new(out, schema.clone(), Some(properties))?;
        Ok(Parquet { names, schema, writer, columns: Columns::default(), rows: 0 })
    }

    fn write(&mut self) -> anyhow::Result<()> {
        self.rows = 0;
        let batch = self.columns.finish(self.schema.clone())?;
        self.writer.write(&batch).context("cannot encode the table")
    }
}

impl Export for Parquet<'_> {
    fn record(&mut self, model: &Model, record: Record) -> anyhow::Result<()> {
        let Some(row) = Row::of(self.names, model, &record) else {
            return Ok(());
        };
        self.columns.push(&row);
        self.rows += 1;
        if self.rows >= ROWS { self.write() } else { Ok(()) }
    }

    fn finish(mut self: Box<Self>) -> anyhow::Result<Vec<String>> {
        self.write()?;
        let mut out = self.writer.into_inner()?;
        std::io::Write::flush(&mut out)?;
        Ok(Vec::new())
    }
}
