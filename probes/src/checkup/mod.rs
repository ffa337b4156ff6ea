//! Can this machine trace, can this process be traced, and how: every check with its remedy.

mod cost;
mod machine;
mod target;

use serde::Serialize;

pub use self::{
    cost::{CostError, HitCost, measure_hit_cost},
    machine::check_machine,
    target::{SiteReport, TargetReport, check_process},
};

/// How a check came out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Fine.
    Ok,
    /// It works, with a drawback.
    Warning,
    /// It does not work until something is done.
    Failure,
}

/// One check.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Finding {
    /// What was checked.
    pub check: &'static str,
    /// How it came out.
    pub outcome: Outcome,
    /// What was found.
    pub found: String,
    /// What to do, unless it is fine.
    pub remedy: Option<String>,
}

impl Finding {
    fn ok(check: &'static str, found: impl Into<String>) -> Finding {
        Finding { check, outcome: Outcome::Ok, found: found.into(), remedy: None }
    }

    fn warning(check: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Finding {
        Finding { check, outcome: Outcome::Warning, found: found.into(), remedy: Some(remedy.into()) }
    }

    fn failure(check: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Finding {
        Finding { check, outcome: Outcome::Failure, found: found.into(), remedy: Some(remedy.into()) }
    }
}
