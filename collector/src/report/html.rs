//! `gilscope report --html`: one page that holds everything, to attach to an issue. It loads nothing from elsewhere and runs no script.

use std::fmt::Write;

use gilscope_analysis::{
    Model, Report,
    report::{Code, Severity},
    words::{count, list, percent, rate, share, time},
};
use gilscope_draw::{PictureOptions, picture};

/// Light or dark as the reader's system is, and light on paper. The picture has its own ground.
const STYLE: &str = "
:root { color-scheme: light dark; --ground: #fff; --text: #1a1f27; --faint: #5d6878; --raised: #f2f4f7; --line: #d5dae2 }
@media (prefers-color-scheme: dark) { :root { --ground: #0f1318; --text: #d8dee6; --faint: #8b96a5; --raised: #171c23; --line: #323a47 } }
@media print { :root { --ground: #fff; --text: #1a1f27; --faint: #5d6878; --raised: #f2f4f7; --line: #d5dae2 }
.verdict, .badge, svg { print-color-adjust: exact } .verdict, svg, tr { break-inside: avoid } h2 { break-after: avoid } .wide { overflow: visible } }
body { background: var(--ground); color: var(--text); font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 82rem; padding: 0 1rem }
h1 { font-size: 1.4rem; margin: 0; overflow-wrap: anywhere } h2 { font-size: 1.05rem; margin: 2rem 0 .5rem }
p { margin: .3rem 0; overflow-wrap: anywhere } .aside { color: var(--faint) }
.verdict { background: var(--raised); border-left: 6px solid #8b96a5; margin: .8rem 0; padding: .6rem 1rem }
.problem { border-color: #d55e00 } .notice { border-color: #e69f00 } .ok { border-color: #009e73 }
.badge { border-radius: 3px; color: #10141a; font-size: .85em; margin-right: .4rem; padding: .05rem .4rem }
.problem .badge { background: #d55e00 } .notice .badge { background: #e69f00 } .ok .badge { background: #009e73 }
.advice { font-style: italic } .wide { overflow-x: auto }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { padding: .2rem .9rem .2rem 0; text-align: right; vertical-align: top; white-space: nowrap }
th { border-bottom: 1px solid var(--line); color: var(--faint); font-weight: normal }
.left { max-width: 40rem; min-width: 8rem; overflow-wrap: break-word; text-align: left; white-space: normal }
svg { height: auto; max-width: 100% } code { font-size: .9em }
";

/// Columns of words; all others are figures.
const WORDS: [&str; 8] =
    ["thread", "victim", "culprits", "line", "while it was held by", "after", "held by", "call"];

/// The page. `model` is what `report` was made of; the picture shows the report's range.
pub(super) fn page(model: &Model, report: &Report, top: usize) -> String {
    let mut out = String::new();
    // Where the file lies on this machine is nobody else's affair.
    let path = report.trace.path.as_str();
    let title = escape(path.rsplit(['/', '\\']).next().unwrap_or(path));
    out.push_str("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    out.push_str("<meta name=\"viewport\" content=\"width=device-width\">\n");
    let _ =
        write!(out, "<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n");
    head(&mut out, report);
    for verdict in &report.verdicts {
        let class = match verdict.severity {
            Severity::Problem => "problem",
            Severity::Notice => "notice",
            Severity::Ok => "ok",
        };
        let (title, text) = (escape(&verdict.title), escape(&verdict.text));
        let _ = write!(
            out,
            "<div class=\"verdict {class}\"><span class=\"badge\">{class}</span><b>{title}</b>\n<p>{text}</p>"
        );
        if !verdict.advice.is_empty() {
            let _ = write!(out, "\n<p class=\"advice\">{}</p>", escape(&verdict.advice));
        }
        out.push_str("</div>\n");
    }
    let options = PictureOptions {
        from: Some(report.trace.from_ns),
        until: Some(report.trace.to_ns),
        width: 1280.0,
        max_threads: 24,
        ..PictureOptions::default()
    };
    let _ = write!(out, "<h2>Timeline</h2>\n{}\n", picture(model, &options));
    threads(&mut out, report, top);
    convoys(&mut out, report, top);
    code(&mut out, "What the holders ran during stalls", &report.code, top);
    blame(&mut out, report, top);
    stalls(&mut out, report, top);
    syscalls(&mut out, report, top);
    if !report.notes.is_empty() {
        out.push_str("<h2>Notes</h2>\n");
        for note in &report.notes {
            let _ = writeln!(out, "<p>{}</p>", escape(note));
        }
    }
    out.push_str("</body>\n</html>\n");
    out
}

fn head(out: &mut String, report: &Report) {
    let trace = &report.trace;
    let _ = writeln!(
        out,
        "<p class=\"aside\">{}, {} events, {} acquisitions, {} unpaired, {} records lost</p>",
        time(trace.duration_ns),
        count(trace.events),
        count(report.pairing.acquisitions),
        count(report.pairing.unpaired),
        count(trace.lost),
    );
    for process in &report.processes {
        let python = process.python.as_deref().unwrap_or("no Python");
        let role = process.role.as_deref().map(|role| format!(", {role}")).unwrap_or_default();
        let _ = writeln!(
            out,
            "<p class=\"aside\">process {}{}, CPython {}: <code>{}</code></p>",
            process.pid,
            escape(&role),
            escape(python),
            escape(&process.command)
        );
    }
}

fn threads(out: &mut String, report: &Report, top: usize) {
    let rows = report.threads.iter().take(top).map(|thread| {
        let part = |ns| percent(share(ns, thread.lifetime_ns));
        vec![
            report.label(thread.tid, &thread.name),
            thread.tid.to_string(),
            part(thread.held_ns),
            part(thread.waiting_ns),
            part(thread.syscall_ns),
            part(thread.offgil_ns),
            part(thread.descheduled_holding_ns),
            count(thread.acquisitions),
            count(thread.contended),
            time(thread.wait_ns.p50),
            time(thread.wait_ns.p99),
            time(thread.wait_ns.max),
        ]
    });
    let columns = [
        "thread",
        "tid",
        "holding",
        "waiting",
        "in calls",
        "off the GIL",
        "stopped",
        "acquired",
        "waited",
        "p50",
        "p99",
        "max",
    ];
    table(out, "Threads", &columns, rows);
}

fn convoys(out: &mut String, report: &Report, top: usize) {
    let rows = report.convoys.iter().take(top).map(|convoy| {
        let culprit = |share: &gilscope_analysis::report::Share| {
            format!("{} {}", report.label(share.tid, &share.name), percent(share.share))
        };
        vec![
            report.label(convoy.victim.tid, &convoy.victim.name),
            time(convoy.start_ns),
            time(convoy.end_ns),
            count(convoy.stalls),
            count(convoy.releases),
            time(convoy.stalled_ns),
            time(convoy.io_ns),
            rate(convoy.calls_per_second),
            list(&convoy.culprits.iter().map(culprit).collect::<Vec<_>>()),
        ]
    });
    let columns =
        ["victim", "from", "to", "stalls", "releases", "stalled", "I/O", "cap a second", "culprits"];
    table(out, "Convoys", &columns, rows);
}

fn code(out: &mut String, title: &str, code: &[Code], top: usize) {
    let rows = code
        .iter()
        .take(top)
        .map(|code| vec![code.told(), percent(code.share), time(code.stalled_ns), count(code.samples)]);
    table(out, title, &["line", "share", "stalled", "samples"], rows);
}

fn blame(out: &mut String, report: &Report, top: usize) {
    let rows = report.blame.iter().take(top).map(|blame| {
        let holder = blame.holder_tid.map_or(blame.holder.clone(), |tid| report.label(tid, &blame.holder));
        vec![report.label(blame.waiter_tid, &blame.waiter), holder, time(blame.ns)]
    });
    table(out, "Blame", &["waited", "while it was held by", "for"], rows);
}

fn stalls(out: &mut String, report: &Report, top: usize) {
    let rows = report.stalls.iter().take(top).map(|stall| {
        let held = stall
            .holders
            .iter()
            .map(|held| format!("{} {}", report.label(held.tid, &held.name), time(held.duration_ns)));
        vec![
            report.label(stall.tid, &stall.name),
            time(stall.start_ns),
            time(stall.duration_ns),
            stall.after_call.clone().unwrap_or_default(),
            list(&held.collect::<Vec<_>>()),
        ]
    });
    table(out, "Longest stalls", &["thread", "at", "took", "after", "held by"], rows);
}

fn syscalls(out: &mut String, report: &Report, top: usize) {
    let rows = report.threads.iter().flat_map(|thread| {
        thread.syscalls.iter().map(|call| {
            vec![
                report.label(thread.tid, &thread.name),
                call.name.clone(),
                count(call.calls),
                time(call.kernel_ns),
                time(call.reacquire_ns),
            ]
        })
    });
    let columns = ["thread", "call", "calls", "in the kernel", "back to the GIL"];
    table(out, "System calls", &columns, rows.take(2 * top));
}

/// A table, if it has rows. Words stand at the left of their column, figures at the right; one that is too wide scrolls by itself.
fn table(out: &mut String, title: &str, columns: &[&str], rows: impl Iterator<Item = Vec<String>>) {
    let mut rows = rows.peekable();
    if rows.peek().is_none() {
        return;
    }
    // The first column names what the row is about.
    let class = |index: usize| match columns[index] {
        column if index == 0 || WORDS.contains(&column) => " class=\"left\"",
        _ => "",
    };
    let _ = write!(out, "<h2>{title}</h2>\n<div class=\"wide\"><table>\n<tr>");
    for (index, column) in columns.iter().enumerate() {
        let _ = write!(out, "<th{}>{column}</th>", class(index));
    }
    out.push_str("</tr>\n");
    for row in rows {
        out.push_str("<tr>");
        for (index, cell) in row.iter().enumerate() {
            let _ = write!(out, "<td{}>{}</td>", class(index), escape(cell));
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</table></div>\n");
}

/// Text as HTML shows it. Names in a trace are a stranger's.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_in_names_is_shown_not_obeyed() {
        assert_eq!(
            escape("<script>alert('&')</script>"),
            "&lt;script&gt;alert(&#39;&amp;&#39;)&lt;/script&gt;"
        );
    }

    #[test]
    fn words_stand_left_and_figures_right_and_the_path_stays_at_home() {
        let mut out = String::new();
        table(
            &mut out,
            "Blame",
            &["waited", "while it was held by", "for"],
            [vec!["io".into(), "cpu".into(), "5 ms".into()]].into_iter(),
        );
        assert!(out.contains("<td class=\"left\">cpu</td><td>5 ms</td>"), "{out}");
        let model = Model::default();
        let mut report = gilscope_analysis::summarize(&model, &gilscope_analysis::Query::default());
        report.trace.path = "/home/somebody/secret/server.gilscope".into();
        let page = page(&model, &report, 10);
        assert!(page.contains("<h1>server.gilscope</h1>") && !page.contains("somebody"));
    }

    #[test]
    fn the_page_of_an_empty_trace_stands_by_itself() {
        let model = Model::default();
        let report = gilscope_analysis::summarize(&model, &gilscope_analysis::Query::default());
        let page = page(&model, &report, 10);
        assert!(page.starts_with("<!doctype html>") && page.trim_end().ends_with("</html>"));
        // Patterns of the picture are named within the page.
        let page = page.replace("url(#", "");
        for loaded in ["<script", "src=", "<link", "@import", "url("] {
            assert!(!page.contains(loaded), "{loaded}");
        }
    }
}
