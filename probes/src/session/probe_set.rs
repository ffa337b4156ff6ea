//! The probes in one interpreter's file: sites become named uprobes, hits become events.

use std::{path::Path, sync::Arc};

use gilscope_trace::Kind;
use tracing::{debug, info};

use super::AttachError;
use crate::{
    perf::PerfSource,
    sites::{self, CondArg, Site, SiteKind, Sites},
    tracefs::ProbeSite,
};

/// What a hit of a probe means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Role {
    /// Something happened to a GIL.
    Gil {
        site: SiteKind,
        /// Where the condition variable's address is found, seen from the fetched value.
        cond: CondArg,
    },
    /// Something happened to a thread state.
    ThreadState(Kind),
}

/// A file with the code of an interpreter.
#[derive(Clone, Copy)]
pub(crate) struct CodeFile<'a> {
    /// As it is known.
    pub(crate) name: &'a Path,
    /// A path without blanks by which we and the kernel can open it.
    pub(crate) open_path: &'a Path,
    /// Device and inode.
    pub(crate) id: (u64, u64),
    /// Its bytes.
    pub(crate) elf: &'a [u8],
}

/// The probes in one interpreter's file.
pub(crate) struct ProbeSet {
    /// Device and inode of the file.
    pub(crate) file_id: (u64, u64),
    /// Numbers of its probes in the source.
    pub(crate) probes: Vec<u16>,
    pub(crate) sites: Sites,
}

/// The exported functions of `Include/cpython/pystate.h` that make and destroy thread states.
const THREAD_STATE_FUNCTIONS: [(&str, Kind); 4] = [
    ("PyThreadState_New", Kind::ThreadStateNew),
    ("PyThreadState_Clear", Kind::ThreadStateClear),
    ("PyThreadState_Delete", Kind::ThreadStateDelete),
    ("PyThreadState_DeleteCurrent", Kind::ThreadStateDelete),
];

impl ProbeSet {
    /// Finds the sites in an interpreter's file and defines named probes there. `roles` gets what each probe means.
    pub(crate) fn define(
        source: &mut PerfSource,
        code: &CodeFile<'_>,
        thread_states: bool,
        roles: &mut Vec<Role>,
    ) -> Result<ProbeSet, AttachError> {
        let CodeFile { name, open_path: file, id, elf } = *code;
        let sites = Sites::find(elf)?;
        info!(interpreter = %name.display(), found_by = ?sites.found_by, sites = sites.sites.len(), "probe sites");
        let mut probes = Vec::new();
        let mut define = |role: Role, sites: &[ProbeSite]| -> Result<(), AttachError> {
            debug!(?role, ?sites, "probe");
            let number = source.define_probe(sites)?;
            debug_assert_eq!(usize::from(number), roles.len());
            roles.push(role);
            probes.push(number);
            Ok(())
        };
        for kind in [SiteKind::Wait, SiteKind::Acquire, SiteKind::Release] {
            let mut left: Vec<&Site> = sites.sites.iter().filter(|site| site.kind == kind).collect();
            // One named probe fetches in one way; interpreters whose sites differ get several of a kind.
            while let Some(first) = left.first() {
                let cond = first.cond;
                let (same, rest): (Vec<&Site>, Vec<&Site>) =
                    left.into_iter().partition(|site| site.cond == cond);
                let places: Vec<ProbeSite> = same
                    .iter()
                    .map(|site| ProbeSite {
                        file: file.to_owned(),
                        offset: site.file_offset,
                        fetch: fetch_of(cond),
                    })
                    .collect();
                define(Role::Gil { site: kind, cond }, &places)?;
                left = rest;
            }
        }
        if thread_states {
            for (name, kind) in THREAD_STATE_FUNCTIONS {
                for (_, offset) in sites::find_exported(elf, &[name]) {
                    let place = ProbeSite { file: file.to_owned(), offset, fetch: "%di".to_owned() };
                    define(Role::ThreadState(kind), &[place])?;
                }
            }
        }
        Ok(ProbeSet { file_id: id, probes, sites })
    }
}

/// What the kernel is to fetch, in the language of `uprobe_events`.
fn fetch_of(cond: CondArg) -> String {
    match cond {
        CondArg::Di | CondArg::Absolute { .. } | CondArg::None => "%di".to_owned(),
        CondArg::Register { name, .. } => format!("%{name}"),
    }
}

/// Stands for the address of a GIL where the probes cannot tell it: all GILs of such a process appear as one.
const UNKNOWN_GIL: u64 = 1;

/// The address of the GIL that a hit is about.
pub(crate) fn gil_of(site: SiteKind, cond: CondArg, fetched: u64, load_bias: u64) -> u64 {
    let address = match cond {
        CondArg::Di => fetched,
        CondArg::Register { delta, .. } => fetched.wrapping_add_signed(delta),
        CondArg::Absolute { vaddr } => vaddr.wrapping_add(load_bias),
        CondArg::None => return UNKNOWN_GIL,
    };
    sites::gil_address(site, address)
}

/// Sets are shared by all processes that map the same file.
pub(crate) type SharedSet = Arc<ProbeSet>;
