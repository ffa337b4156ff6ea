//! The report for a terminal: at most 100 columns, colour where it helps the eye, and nothing that differs between two runs over
//! the same file.

mod compare;
mod sections;
mod table;
mod verdicts;

use std::fmt::Write;

use anstyle::{AnsiColor, Style};
use gilscope_analysis::{Report, words};

pub(crate) use self::compare::comparison;

/// Columns that no line exceeds.
const WIDTH: usize = 100;

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const RED: Style = AnsiColor::Red.on_default();
const GREEN: Style = AnsiColor::Green.on_default();
const YELLOW: Style = AnsiColor::Yellow.on_default();

/// The whole report.
pub(crate) fn report(report: &Report, top: usize) -> String {
    let mut out = String::new();
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
    out
}

/// A heading with an empty line before it.
fn heading(out: &mut String, text: &str, aside: &str) {
    let _ = match aside {
        "" => writeln!(out, "\n{BOLD}{text}{BOLD:#}"),
        _ => writeln!(out, "\n{BOLD}{text}{BOLD:#}  {DIM}{aside}{DIM:#}"),
    };
}

/// `12 more` where a list was cut.
fn more(out: &mut String, all: usize, top: usize) {
    if all > top {
        let _ = writeln!(out, "  {DIM}… {} more{DIM:#}", words::count((all - top) as u64));
    }
}

/// Writes words in lines of at most [`WIDTH`] columns, each after `indent` spaces. A figure and its unit stay together.
fn wrap(out: &mut String, indent: usize, text: &str) {
    let mut column = 0;
    for phrase in phrases(text) {
        let length = phrase.chars().count();
        if column > 0 && column + 1 + length > WIDTH {
            out.push('\n');
            column = 0;
        }
        if column == 0 {
            out.push_str(&" ".repeat(indent));
            column = indent;
        } else {
            out.push(' ');
            column += 1;
        }
        out.push_str(&phrase);
        column += length;
    }
    out.push('\n');
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
    use super::*;

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
