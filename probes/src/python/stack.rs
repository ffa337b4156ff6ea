//! Which stacks can be believed.
//!
//! The target runs while its frames are followed from the innermost outwards. The innermost change all the time, and a frame that was left a
//! microsecond ago still is an honest sample. But when a frame's memory is used again while it is being followed, the walk goes astray:
//! it ends early, in garbage, or in another call's frames. The outermost frame gives that away: it stays as long as the thread does.

use std::hash::BuildHasher;

use rustc_hash::{FxBuildHasher, FxHashSet};

/// One Python frame.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Frame {
    /// Name of the function: qualified (`Class.method`) from 3.11, plain before.
    pub function: String,
    /// Path of the source file as the code object has it.
    pub file: String,
    /// The path from its package on (`asyncio/selector_events.py`), if it can be told.
    pub short_file: Option<String>,
    /// Line being executed, from 1; 0 if unknown.
    pub line: i32,
}

impl Frame {
    /// Whether the file belongs to the standard library or to an installed package, by where `sysconfig` puts these:
    /// `lib/python3.11`, `lib64/python3.11`, `site-packages`, `dist-packages`, a zip of the library, frozen modules.
    pub fn is_library(&self) -> bool {
        let is_versioned = |name: &str| {
            let digits =
                |text: &str| text.strip_suffix('t').unwrap_or(text).bytes().all(|b| b.is_ascii_digit());
            name.strip_prefix("python3.").is_some_and(digits)
                || name.strip_prefix("python3").and_then(|rest| rest.strip_suffix(".zip")).is_some_and(digits)
        };
        let mut folder = "";
        self.file.starts_with("<frozen ")
            || self.file.split('/').any(|name| {
                let is_library = matches!(name, "site-packages" | "dist-packages")
                    || (folder.starts_with("lib") && is_versioned(name));
                folder = name;
                is_library
            })
    }
}

/// A function in a file, as a hash: a thread's stack is made of few hundred of these, and a collision only costs a second reading.
type Function = u64;

/// What a thread's stacks were made of so far.
///
/// A broken stack ends in a function that has callers, which shows when it is seen inside of another stack;
/// a real one ends in a function that never has.
#[derive(Debug, Default)]
pub(super) struct History {
    /// Functions that stacks ended in, and that were never seen to be called; `None` is a thread that runs no Python.
    ends: FxHashSet<Option<Function>>,
    /// Functions that were called by others.
    called: FxHashSet<Function>,
}

impl History {
    fn learn(&mut self, frames: &[Frame]) {
        for frame in frames.split_last().map_or(&[][..], |(_, called)| called) {
            let function = function(frame);
            self.called.insert(function);
            self.ends.remove(&Some(function));
        }
    }
}

fn function(frame: &Frame) -> Function {
    FxBuildHasher.hash_one((&frame.function, &frame.file))
}

fn end(frames: &[Frame]) -> Option<Function> {
    frames.last().map(function)
}

/// One attempt to read a stack.
#[derive(Debug)]
pub(super) enum Reading {
    /// Frames, innermost first.
    Frames(Vec<Frame>),
    /// py-spy could not read it.
    Failed,
    /// There is no such thread state any more.
    Gone,
}

/// What became of the attempts.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Believed(Vec<Frame>),
    Torn,
    Gone,
}

/// A stack is tried this often. Of a thread that does nothing but call and return, a hundredth of the readings are broken.
const ATTEMPTS: usize = 4;

/// Reads until a stack can be believed: at once if it ends where the thread's stacks have ended so far; when two readings in a row
/// end in the same function that has no callers; or, for a thread that never had such an end, when two readings agree
/// in all but the innermost frame.
pub(super) fn believe(history: &mut History, mut read: impl FnMut() -> Reading) -> Verdict {
    let mut last: Option<Vec<Frame>> = None;
    for _ in 0..ATTEMPTS {
        let frames = match read() {
            Reading::Frames(frames) => frames,
            Reading::Failed => continue,
            Reading::Gone => return Verdict::Gone,
        };
        if !frames.iter().all(is_plausible) {
            continue;
        }
        history.learn(&frames);
        let end_now = end(&frames);
        if history.ends.contains(&end_now) {
            return Verdict::Believed(frames);
        }
        let is_end = end_now.is_none_or(|function| !history.called.contains(&function));
        if let Some(last) = &last
            && end(last) == end_now
            && (is_end || history.ends.is_empty() && callers(last) == callers(&frames))
        {
            if is_end {
                history.ends.insert(end_now);
            }
            return Verdict::Believed(frames);
        }
        last = Some(frames);
    }
    Verdict::Torn
}

fn callers(frames: &[Frame]) -> &[Frame] {
    frames.get(1..).unwrap_or_default()
}

/// Garbage that happens to have the shape of a string is not printable.
fn is_plausible(frame: &Frame) -> bool {
    let is_text = |text: &str| !text.is_empty() && !text.chars().any(char::is_control);
    is_text(&frame.function) && is_text(&frame.file) && frame.line >= 0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stack drawn as `innermost < … < outermost`.
    fn stack(drawn: &str) -> Vec<Frame> {
        let frames = drawn.split('<').map(str::trim).filter(|name| !name.is_empty());
        frames
            .map(|name| Frame {
                function: name.to_owned(),
                file: "app.py".to_owned(),
                short_file: None,
                line: 1,
            })
            .collect()
    }

    #[test]
    fn the_library_is_told_from_the_program_by_its_folder() {
        let is_library = |file: &str| {
            let file = file.to_owned();
            Frame { function: String::new(), file, short_file: None, line: 1 }.is_library()
        };
        for file in [
            "/usr/lib/python3.11/json/encoder.py",
            "/root/.pyenv/versions/3.13.0/lib/python3.13/threading.py",
            "/opt/py/lib/python3.13t/threading.py",
            "/usr/lib64/python3.9/asyncio/base_events.py",
            "/srv/venv/lib/python3.12/site-packages/numpy/core.py",
            "/usr/lib/python3/dist-packages/yaml/__init__.py",
            "/usr/lib/python311.zip/re.py",
            "<frozen importlib._bootstrap>",
        ] {
            assert!(is_library(file), "{file}");
        }
        for file in
            ["app.py", "/srv/lib/app.py", "/srv/python3.11/app.py", "/home/a/python3/app.py", "<string>", ""]
        {
            assert!(!is_library(file), "{file}");
        }
    }

    /// The verdict on readings in this order; `!` is one that failed.
    fn verdict(history: &mut History, readings: &[&str]) -> Verdict {
        let mut readings = readings.iter();
        believe(history, || match readings.next() {
            Some(&"!") => Reading::Failed,
            Some(drawn) => Reading::Frames(stack(drawn)),
            None => Reading::Gone,
        })
    }

    /// The history of a thread that was read before.
    fn after(drawn: &str) -> History {
        let mut history = History::default();
        assert_eq!(verdict(&mut history, &[drawn, drawn]), Verdict::Believed(stack(drawn)));
        history
    }

    #[test]
    fn a_stack_that_ends_where_its_thread_ends_is_believed_at_once() {
        let mut history = after("f < main");
        assert_eq!(verdict(&mut history, &["f < g < main"]), Verdict::Believed(stack("f < g < main")));
    }

    #[test]
    fn a_thread_that_enters_python_by_another_function_is_believed_at_the_second_reading() {
        let mut history = after("f < on_tick");
        assert_eq!(
            verdict(&mut history, &["f < on_draw", "g < on_draw"]),
            Verdict::Believed(stack("g < on_draw"))
        );
        assert_eq!(verdict(&mut history, &["g < on_draw"]), Verdict::Believed(stack("g < on_draw")));
        assert_eq!(verdict(&mut history, &["g < on_tick"]), Verdict::Believed(stack("g < on_tick")));
    }

    #[test]
    fn a_walk_that_ended_early_is_read_again() {
        //  first    f < g              g is called by main, so this is not the end
        //  second   f < g < main       as it is
        let mut history = after("f < g < main");
        assert_eq!(
            verdict(&mut history, &["f < g", "f < g < main"]),
            Verdict::Believed(stack("f < g < main"))
        );
        // however often it is read
        assert_eq!(verdict(&mut history, &["f < g"; 4]), Verdict::Torn);
    }

    #[test]
    fn an_end_that_turns_out_to_have_callers_is_an_end_no_more() {
        let mut history = after("f < g");
        assert_eq!(
            verdict(&mut history, &["f < g < main", "f < g < main"]),
            Verdict::Believed(stack("f < g < main"))
        );
        assert_eq!(verdict(&mut history, &["f < g"; 4]), Verdict::Torn);
    }

    #[test]
    fn a_foreign_thread_that_enters_python_by_a_recursive_function_is_believed_when_it_holds_still() {
        let mut history = History::default();
        assert_eq!(
            verdict(&mut history, &["f < cb < cb", "g < cb < cb"]),
            Verdict::Believed(stack("g < cb < cb"))
        );
        assert_eq!(verdict(&mut history, &["f < cb", "f < cb < cb", "f < cb", "f < cb < cb"]), Verdict::Torn);
    }

    #[test]
    fn a_stack_that_cannot_be_read_is_torn() {
        assert_eq!(verdict(&mut after("f < main"), &["!"; 4]), Verdict::Torn);
    }

    #[test]
    fn a_thread_that_left_python_has_an_empty_stack() {
        let mut history = after("f < main");
        assert_eq!(verdict(&mut history, &["", ""]), Verdict::Believed(Vec::new()));
        assert_eq!(verdict(&mut history, &[""]), Verdict::Believed(Vec::new()));
    }

    #[test]
    fn a_thread_that_ended_is_not_torn() {
        assert_eq!(verdict(&mut after("f < main"), &["!"]), Verdict::Gone);
    }

    #[test]
    fn unprintable_names_and_negative_lines_are_garbage() {
        let mut frames = stack("f < main");
        assert!(frames.iter().all(is_plausible));
        frames[0].line = -7;
        assert!(!is_plausible(&frames[0]));
        assert!(!is_plausible(&stack("\u{1}\u{2}")[0]));
    }
}
