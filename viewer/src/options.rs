//! What was typed.

use std::path::PathBuf;

use clap::Parser;

/// Shows per-thread GIL ownership timelines of a trace.
#[derive(Parser, Clone, Debug, Default)]
#[command(name = "gilscope-viewer", version)]
pub struct Options {
    /// The trace to open
    pub file: Option<PathBuf>,

    /// Keep up with a trace that is still being written
    #[arg(long)]
    pub follow: bool,

    /// Draw the timelines to a file instead of a window: .svg or .png
    #[arg(long, value_name = "OUT", requires = "file")]
    pub render: Option<PathBuf>,

    /// Begin of the picture, counted from the begin of the trace: 1.5s, 200ms, 30us
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub from: Option<i64>,

    /// End of the picture, counted likewise
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub to: Option<i64>,

    /// Width of the picture in pixels
    #[arg(long, value_name = "PIXELS", default_value_t = 1280, value_parser = clap::value_parser!(u32).range(200..=16_000))]
    pub width: u32,

    /// Only threads whose name contains one of these, or with this thread ID; separated by commas
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub threads: Vec<String>,

    /// Dark text on a light background
    #[arg(long)]
    pub light: bool,

    /// Overwrite the picture if it exists
    #[arg(long)]
    pub force: bool,

    /// Print the table of commands for the manual
    #[arg(long, hide = true)]
    pub commands_markdown: bool,

    /// Open the window, write what it shows to a PNG file once the trace is loaded, and close it
    #[arg(long, hide = true, value_name = "OUT")]
    pub screenshot: Option<PathBuf>,

    /// Size of the window
    #[arg(long, hide = true, value_name = "WxH", value_parser = parse_size)]
    pub size: Option<[f32; 2]>,
}

/// Reads a time such as `1.5s`, `200ms`, `30us` or `40ns`; plain numbers are seconds. Gives ns.
fn parse_time(text: &str) -> Result<i64, String> {
    let text = text.trim();
    let units =
        [("ns", 1.0), ("us", 1e3), ("µs", 1e3), ("ms", 1e6), ("min", 60e9), ("s", 1e9), ("h", 3600e9)];
    let (number, unit) = units
        .iter()
        .find_map(|(unit, nanos)| text.strip_suffix(unit).map(|number| (number, *nanos)))
        .unwrap_or((text, 1e9));
    match number.trim().parse::<f64>() {
        Ok(number) if number.is_finite() => Ok((number * unit) as i64),
        _ => Err(String::from("expected a time such as 1.5s, 200ms or 30us")),
    }
}

fn parse_size(text: &str) -> Result<[f32; 2], String> {
    let size = text.split_once('x').and_then(|(w, h)| Some([w.parse().ok()?, h.parse().ok()?]));
    size.ok_or_else(|| String::from("expected a size such as 1280x800"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_every_unit() {
        let times = ["1.5s", "200ms", "30us", "40ns", "2", " 1 min"].map(parse_time);
        assert_eq!(times, [1_500_000_000, 200_000_000, 30_000, 40, 2_000_000_000, 60_000_000_000].map(Ok));
        assert!(parse_time("soon").is_err() && parse_time("infs").is_err());
    }

    #[test]
    fn the_command_line_is_well_formed() {
        use clap::CommandFactory;
        Options::command().debug_assert();
    }
}
