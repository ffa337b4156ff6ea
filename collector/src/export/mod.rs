//! `gilscope export`: a trace for the tools that people already have open.
//!
//! [`source`] reads the file twice and tells what happened, record by record; a room for each format writes it down; [`names`]
//! has the labels, made harmless in one place ([`text`]); [`target`] is where it goes. Nothing here holds the trace: memory does
//! not grow with it, except for the Firefox profile, which is bounded instead.

mod chrome;
mod code;
mod collapsed;
mod csv;
mod firefox;
mod json;
mod names;
mod parquet;
mod perfetto;
mod rows;
mod source;
mod speedscope;
mod target;
mod text;

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context;
use clap::{Args, ValueEnum};
use gilscope_analysis::{Model, clean::clean, stream::Record};

use self::{names::Names, source::Source, target::Target};
use crate::report::Offset;

#[derive(Args, Clone, Debug)]
pub(crate) struct ExportArguments {
    /// The trace.
    file: PathBuf,
    /// For whom.
    #[arg(short, long, value_enum)]
    format: Format,
    /// The file to write, or - for standard output; by default the trace's name with the format's ending, beside the trace.
    #[arg(short, long, value_name = "OUT")]
    output: Option<PathBuf>,
    /// Only from this time on, counted from the begin of the trace: 1.5, 1.5s, 200ms, 300us, 2m.
    #[arg(long, value_name = "TIME", allow_negative_numbers = true)]
    from: Option<Offset>,
    /// Only up to this time.
    #[arg(long, value_name = "TIME", allow_negative_numbers = true)]
    to: Option<Offset>,
    /// Replace the output file if it exists.
    #[arg(long)]
    force: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Format {
    /// Protobuf for ui.perfetto.dev and trace_processor.
    Perfetto,
    /// JSON trace events, for chrome://tracing and whatever else reads them.
    Chrome,
    /// Profile for profiler.firefox.com; the shortest intervals are left out if there are more than a million.
    Firefox,
    /// Table of intervals for pandas, polars, DuckDB.
    Parquet,
    /// The same table as text.
    Csv,
    /// Stall time by the stacks of those who held the GIL, for flame graphs.
    Collapsed,
    /// The same for speedscope.app.
    Speedscope,
}

impl Format {
    fn ending(self) -> &'static str {
        match self {
            Format::Perfetto => "pftrace",
            Format::Chrome => "chrome.json",
            Format::Firefox => "firefox.json",
            Format::Parquet => "parquet",
            Format::Csv => "csv",
            Format::Collapsed => "collapsed.txt",
            Format::Speedscope => "speedscope.json",
        }
    }

    fn is_text(self) -> bool {
        !matches!(self, Format::Perfetto | Format::Parquet)
    }

    fn exporter<'a>(
        self,
        names: &'a Names,
        source: &Source,
        out: Out,
    ) -> anyhow::Result<Box<dyn Export + 'a>> {
        Ok(match self {
            Format::Perfetto => Box::new(perfetto::Perfetto::new(names, out)?),
            Format::Chrome => Box::new(chrome::Chrome::new(names, out)?),
            Format::Firefox => Box::new(firefox::Firefox::new(names, source.census(), out)),
            Format::Parquet => Box::new(parquet::Parquet::new(names, out)?),
            Format::Csv => Box::new(csv::Csv::new(names, out)?),
            Format::Collapsed => Box::new(collapsed::Collapsed::new(names, out)),
            Format::Speedscope => Box::new(speedscope::Speedscope::new(names, out)),
        })
    }
}

/// What an exporter writes to.
type Out = Box<dyn Write + Send>;

/// Writes one format.
trait Export {
    /// Takes the next record; the model knows the descriptors of that time.
    fn record(&mut self, model: &Model, record: Record) -> anyhow::Result<()>;

    /// Writes what is left, and gives sentences to the user.
    fn finish(self: Box<Self>) -> anyhow::Result<Vec<String>>;
}

/// `gilscope export FILE --format FORMAT`. A trace that was cut off is exported as far as it goes, with a warning; of a damaged
/// one, the exit status says so too.
pub(crate) fn run(arguments: &ExportArguments) -> anyhow::Result<ExitCode> {
    let offset = |offset: Option<Offset>| offset.map(|offset| offset.0);
    let mut source = Source::open(&arguments.file, offset(arguments.from), offset(arguments.to))?;
    let path = arguments.output.clone().unwrap_or_else(|| default_output(&arguments.file, arguments.format));
    let (mut target, out) =
        Target::open(&path, &arguments.file, arguments.force, arguments.format.is_text())?;
    match write(&mut source, arguments.format, out) {
        Ok(notes) => {
            for sentence in source.warnings().iter().chain(&notes) {
                say!("gilscope: {sentence}");
            }
            target.keep()?;
            Ok(if source.is_damaged() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
        }
        Err(error) => {
            let name = target.name();
            target.abandon();
            Err(error).with_context(|| format!("cannot write to {name}"))
        }
    }
}

fn write(source: &mut Source, format: Format, out: Out) -> anyhow::Result<Vec<String>> {
    let names = Names::new(source.outline(), source.range());
    let mut exporter = format.exporter(&names, source, out)?;
    source.tell(|model, record| exporter.record(model, record))?;
    exporter.finish()
}

fn default_output(file: &Path, format: Format) -> PathBuf {
    let stem = file.file_stem().filter(|_| file.extension().is_some_and(|ending| ending == "gilscope"));
    let mut name = stem.or(file.file_name()).unwrap_or_default().to_os_string();
    name.push(".");
    name.push(format.ending());
    file.with_file_name(name)
}

/// A path as it may be shown.
fn shown(path: &Path) -> String {
    clean(&path.to_string_lossy()).into_owned()
}
