//! What can be typed after `report` and `compare`.

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use clap::Args;

/// Rows of each list, unless asked otherwise.
const TOP: usize = 10;

#[derive(Args, Clone, Debug)]
pub(crate) struct ReportArguments {
    /// The trace.
    pub(crate) file: PathBuf,
    /// Print the report as JSON; docs/report-json.md describes it.
    #[arg(long)]
    pub(crate) json: bool,
    /// Write the report with a picture of the timelines as one page of HTML; - for standard output.
    #[arg(long, value_name = "OUT", conflicts_with = "json")]
    pub(crate) html: Option<PathBuf>,
    /// Replace the page if it exists.
    #[arg(long, requires = "html")]
    pub(crate) force: bool,
    /// Only from this time on, counted from the begin of the trace: 1.5, 1.5s, 200ms, 300us, 2m.
    #[arg(long, value_name = "TIME", allow_negative_numbers = true)]
    pub(crate) from: Option<Offset>,
    /// Only up to this time.
    #[arg(long, value_name = "TIME", allow_negative_numbers = true)]
    pub(crate) to: Option<Offset>,
    /// Only this process.
    #[arg(long, value_name = "PID", allow_negative_numbers = true)]
    pub(crate) pid: Option<i32>,
    /// Only threads of this name or thread ID, and who stalled them or was stalled by them.
    #[arg(long, value_name = "NAME|TID")]
    pub(crate) thread: Option<String>,
    /// Rows of each list.
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = TOP)]
    pub(crate) top: usize,
}

impl ReportArguments {
    /// What applies when only the file is typed.
    pub(crate) fn of(file: &Path) -> ReportArguments {
        ReportArguments {
            file: file.to_owned(),
            json: false,
            html: None,
            force: false,
            from: None,
            to: None,
            pid: None,
            thread: None,
            top: TOP,
        }
    }
}

#[derive(Args, Clone, Debug)]
pub(crate) struct CompareArguments {
    /// The trace that was recorded first.
    pub(crate) before: PathBuf,
    /// The trace to hold against it.
    pub(crate) after: PathBuf,
    /// Print the comparison as JSON; docs/report-json.md describes it.
    #[arg(long)]
    pub(crate) json: bool,
}

/// A time in a trace, ns from its begin. Typed as a number with a unit: `m`, `s`, `ms`, `us`, `µs`, `ns`; seconds without one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Offset(pub(crate) i64);

impl FromStr for Offset {
    type Err = String;

    fn from_str(text: &str) -> Result<Offset, String> {
        let text = text.trim();
        let unit_at = text.find(|c: char| c.is_alphabetic()).unwrap_or(text.len());
        let (number, unit) = text.split_at(unit_at);
        let factor = match unit {
            "m" | "min" => 60e9,
            "" | "s" => 1e9,
            "ms" => 1e6,
            "us" | "µs" | "μs" => 1e3,
            "ns" => 1.0,
            _ => return Err(format!("`{unit}` is not one of the units m, s, ms, us, ns")),
        };
        match number.trim().parse::<f64>() {
            Ok(number) if number >= 0.0 && number * factor < 9e18 => {
                Ok(Offset((number * factor).round() as i64))
            }
            _ => Err("a time is a number of seconds, or with a unit: 1.5, 1.5s, 200ms, 300us".into()),
        }
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} s", self.0 as f64 / 1e9)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_a_unit_or_is_in_seconds() {
        let cases = [
            ("1.5", 1_500_000_000),
            ("1.5s", 1_500_000_000),
            ("200ms", 200_000_000),
            ("300 us", 300_000),
            ("2m", 120_000_000_000),
        ];
        for (text, ns) in cases {
            assert_eq!(text.parse(), Ok(Offset(ns)), "{text}");
        }
        for text in ["", "-1", "five", "1h", "1e30", "nan"] {
            assert!(text.parse::<Offset>().is_err(), "{text}");
        }
    }
}
