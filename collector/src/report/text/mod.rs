//! The report for a terminal: as wide as the page but at most 100 columns, colour where it helps the eye, and nothing that
//! differs between two runs over the same file.

mod compare;
mod sections;
mod table;
mod verdicts;

use std::fmt::{self, Write};

use anstyle::{AnsiColor, Style};
use gilscope_analysis::{Report, words};

pub(crate) use self::compare::comparison;

/// Columns that no line exceeds, and how many there are where nobody looks: what is stored can be compared.
const WIDTH: usize = 100;
/// Columns below which lines are not made narrower.
const NARROW: usize = 76;

/// What is written to, and how wide that is.
struct Page {
    text: String,
    width: usize,
}

impl Page {
    fn new(width: usize) -> Page {
        Page { text: String::new(), width }
    }
}

impl Write for Page {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.text.write_str(text)
    }
}

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const RED: Style = AnsiColor::Red.on_default();
const GREEN: Style = AnsiColor::Green.on_default();
const YELLOW: Style = AnsiColor::Yellow.on_default();

/// The whole report, for a terminal of so many columns.
pub(crate) fn report(report: &Report, top: usize, columns: usize) -> String {
    let mut out = Page::new(columns.clamp(NARROW, WIDTH));
    sections::head(&mut out, report, top);
    verdicts::verdicts(&mut out, &report.verdicts);
    if report.trace.gil_events > 0 {
        sections::gils(&mut out, report, top);
        sections::threads(&mut out, report, top);
        sections::waits(&mut out, report, top);
        sections::thread_states(&mut out, report, top);
        sections::histogram(&mut out, report, top);
        sections::syscalls(&mut out, report, top);
        sections::blame(&mut out, report, top);
        sections::convoys(&mut out, report, top);
        sections::code(&mut out, report, top);
        sections::long_holds(&mut out, report, top);
        sections::stalls(&mut out, report, top);
    }
    sections::notes(&mut out, report);
    out.text
}

/// A heading with an empty line before it. What stands beside it goes below where there is no room.
fn heading(out: &mut Page, text: &str, aside: &str) {
    let _ = write!(out, "\n{BOLD}{text}{BOLD:#}");
    if aside.is_empty() {
        let _ = writeln!(out);
    } else if text.chars().count() + 2 + aside.chars().count() <= out.width {
        let _ = writeln!(out, "  {DIM}{aside}{DIM:#}");
    } else {
        let _ = write!(out, "\n{DIM}");
        wrap(out, 2, aside);
        let _ = write!(out, "{DIM:#}");
    }
}

/// `12 more` where a list was cut.
fn more(out: &mut Page, all: usize, top: usize) {
    if all > top {
        let _ = writeln!(out, "  {DIM}… {} more{DIM:#}", words::count((all - top) as u64));
    }
}

/// Writes words in lines as wide as the page, each after `indent` spaces. A figure and its unit stay together.
fn wrap(out: &mut Page, indent: usize, text: &str) {
    let mut column = 0;
    for phrase in phrases(text) {
        let length = phrase.chars().count();
        if column > 0 && column + 1 + length > out.width {
            out.text.push('\n');
            column = 0;
        }
        if column == 0 {
            out.text.push_str(&" ".repeat(indent));
            column = indent;
        } else {
            out.text.push(' ');
            column += 1;
        }
        out.text.push_str(&phrase);
        column += length;
    }
    out.text.push('\n');
}

/// The words of a text, those of a figure joined: `5.00 ms`, `87 %`, `49 141`, `worker #17`.
fn phrases(text: &str) -> Vec<String> {
    let mut phrases: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let bare = word.trim_matches(|c: char| !c.is_alphanumeric() && c != '%' && c != '#');
        let is_unit = matches!(bare, "%" | "ns" | "µs" | "ms" | "s");
        let is_group = bare.len() == 3 && bare.bytes().all(|byte| byte.is_ascii_digit());
        let is_id = bare.strip_prefix('#').is_some_and(|id| id.parse::<u32>().is_ok());
        match phrases.last_mut() {
            Some(last)
                if is_id || (last.ends_with(|c: char| c.is_ascii_digit()) && (is_unit || is_group)) =>
            {
                last.push(' ');
                last.push_str(word);
            }
            _ => phrases.push(word.to_owned()),
        }
    }
    phrases
}

/// The text in at most `width` columns.
fn fit(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(width.saturating_sub(1)).collect();
    short.push('…');
    short
}

/// The text in at most `width` columns; of a long one the end is what counts.
fn fit_end(text: &str, width: usize) -> String {
    let length = text.chars().count();
    if length <= width {
        return text.to_owned();
    }
    let end: String = text.chars().skip(length + 1 - width.max(1)).collect();
    format!("…{end}")
}

/// The name in at most `width` columns: the begin and the end, since the threads of a pool differ in their last characters.
fn fit_name(name: &str, width: usize) -> String {
    let length = name.chars().count();
    if length <= width {
        return name.to_owned();
    }
    let room = width.saturating_sub(1);
    let begin: String = name.chars().take(room / 2).collect();
    let end: String = name.chars().skip(length - (room - room / 2)).collect();
    format!("{}…{}", begin.trim_end(), end.trim_start())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use gilscope_analysis::{Query, summarize};

    use super::*;

    #[test]
    fn no_line_is_wider_than_the_page() {
        let traces = Path::new(env!("CARGO_MANIFEST_DIR")).join("../samples/traces");
        for trace in ["a-convoy", "b-eventloop", "c-ensure", "d-subinterpreters", "f-cluster"] {
            let loaded = crate::report::load::load(&traces.join(format!("{trace}.gilscope"))).unwrap();
            let summary = summarize(&loaded.model, &Query::default());
            for columns in [NARROW, 80, 91, WIDTH, usize::MAX] {
                let text = anstream::adapter::strip_str(&report(&summary, 10, columns)).to_string();
                for line in text.lines() {
                    assert!(line.chars().count() <= columns.min(WIDTH), "{trace}, {columns} columns: {line}");
                }
            }
        }
    }

    #[test]
    fn names_that_differ_in_their_end_still_differ_when_they_are_cut() {
        assert_eq!(fit_name("AnyIO worker thread #443", 20), "AnyIO wor…hread #443");
        assert_eq!(fit_name("ThreadPoolExecutor-0_1", 20), "ThreadPoo…ecutor-0_1");
        assert_eq!(fit_name("MainThread", 10), "MainThread");
        assert_eq!(fit_name("MainThread", 0), "…");
    }

    #[test]
    fn a_line_does_not_end_between_a_figure_and_its_unit() {
        let joined = ["took 72.1 ms), 100 % of 49 141 by worker #17 (9 in all) 5 s."];
        assert_eq!(
            phrases(joined[0]),
            ["took", "72.1 ms),", "100 %", "of", "49 141", "by", "worker #17", "(9", "in", "all)", "5 s."]
        );
    }
}
