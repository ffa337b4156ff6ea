//! The columns of the file. `docs/trace-format.md` specifies them.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock},
};

use arrow_array::{ArrayRef, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};

use crate::{FormatVersion, Header, Kind};

/// Metadata key of the format version, such as `1.0`.
pub(crate) const FORMAT_KEY: &str = "gilscope.format";
/// Metadata key of the header, JSON.
pub(crate) const HEADER_KEY: &str = "gilscope.header";

pub(crate) const TIME: &str = "time";
pub(crate) const KIND: &str = "kind";
pub(crate) const CPU: &str = "cpu";
pub(crate) const PID: &str = "pid";
pub(crate) const TID: &str = "tid";
pub(crate) const GIL: &str = "gil";
pub(crate) const SYSCALL: &str = "syscall";
pub(crate) const FD: &str = "fd";
pub(crate) const VALUE: &str = "value";
pub(crate) const DETAIL: &str = "detail";

/// The names behind the keys of the `kind` column. One array for all batches, so that the stream carries it once.
pub(crate) static KIND_NAMES: LazyLock<ArrayRef> =
    LazyLock::new(|| Arc::new(StringArray::from_iter_values(Kind::ALL.iter().map(|kind| kind.name()))));

/// The schema of a file with that header.
pub(crate) fn schema(header: &Header) -> Result<SchemaRef, serde_json::Error> {
    let fields = vec![
        Field::new(TIME, DataType::Int64, false),
        Field::new(KIND, DataType::Dictionary(Box::new(DataType::UInt8), Box::new(DataType::Utf8)), false),
        Field::new(CPU, DataType::UInt16, false),
        Field::new(PID, DataType::Int32, false),
        Field::new(TID, DataType::Int32, false),
        Field::new(GIL, DataType::UInt64, true),
        Field::new(SYSCALL, DataType::Int16, true),
        Field::new(FD, DataType::Int32, true),
        Field::new(VALUE, DataType::Int64, true),
        Field::new(DETAIL, DataType::Utf8, true),
    ];
    let metadata = HashMap::from([
        (FORMAT_KEY.to_owned(), FormatVersion::CURRENT.to_string()),
        (HEADER_KEY.to_owned(), serde_json::to_string(header)?),
    ]);
    Ok(Arc::new(Schema::new_with_metadata(fields, metadata)))
}
