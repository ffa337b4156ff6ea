//! What is said at the end of a recording.

use std::{path::Path, time::Duration};

use gilscope_trace::detail::Check;
use indicatif::{HumanBytes, HumanCount};

use super::Progress;

pub(super) fn print(path: &Path, elapsed: Duration, progress: &Progress, check: &Check, reason: &str) {
    say!(
        "{} acquisitions, {} unpaired, {} records lost; {} events in {:.1} s ({reason})",
        HumanCount(check.acquisitions),
        HumanCount(check.unpaired()),
        HumanCount(check.lost),
        HumanCount(progress.events()),
        elapsed.as_secs_f64(),
    );
    if check.lost > 0 {
        say!("records were lost: their time is marked unknown in the trace (a larger --ring-kib helps)");
    }
    if check.acquisitions == 0 && check.releases == 0 {
        say!("no thread took or released the GIL meanwhile");
    }
    let name = path.display();
    say!("wrote {name} ({}); open it with: gilscope report {name}", HumanBytes(progress.bytes()));
}
