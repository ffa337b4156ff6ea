//! Reads what `/proc` tells of the processes that may belong to Dask.

use std::{
    collections::HashMap,
    fs,
    net::{IpAddr, SocketAddr},
    os::unix::fs::MetadataExt,
};

use procfs::{net::TcpState, process::Process};
use rustc_hash::FxHashMap;
use tracing::debug;

use super::{
    Member, Role, command,
    members::{Seen, members},
};
use crate::{
    process,
    python::{PythonView, Want},
};

/// Whose processes to look at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Users {
    /// One user's, by ID.
    One(u32),
    /// Everybody's.
    All,
}

/// What a look at the processes found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Found {
    /// The members of clusters, schedulers first.
    pub members: Vec<Member>,
    /// Clients that are no members: programs that use a cluster of this machine.
    pub clients: Vec<i32>,
    /// How many processes were looked at.
    pub looked_at: usize,
}

/// A socket of a process.
struct Socket {
    local: SocketAddr,
    peer: SocketAddr,
    state: TcpState,
}

/// Finds all processes of Dask that run now. Whose memory or sockets we may not see is judged by its command line alone.
pub fn find(users: Users) -> Found {
    let mut tables = Tables::default();
    let pids = pids_of(users);
    let mut seen: Vec<Seen> = pids.iter().filter_map(|&pid| look(pid)).collect();
    for process in &mut seen {
        tables.fill(process);
    }
    let (mut members, mut clients) = members(&seen);
    // A cluster that talks to itself within one process has no connections to be known by, but its threads have names.
    let is_stranger = |pid: i32| members.iter().all(|member| member.pid != pid);
    let in_process: Vec<i32> = seen
        .iter()
        .filter(|process| process.has_distributed && is_stranger(process.pid))
        .filter(|process| is_stranger(process.parent) && runs_tasks(process.pid))
        .map(|process| process.pid)
        .collect();
    clients.retain(|pid| !in_process.contains(pid));
    members.extend(in_process.into_iter().map(|pid| Member { pid, role: Role::InProcess, address: None }));
    members.sort_by_key(|member| (member.role, member.pid));
    Found { members, clients, looked_at: pids.len() }
}

fn pids_of(users: Users) -> Vec<i32> {
    let own = std::process::id() as i32;
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let is_wanted = |&pid: &i32| match users {
        Users::All => true,
        Users::One(user) => real_user(pid) == Some(user),
    };
    pids.filter(|&pid| pid != own).filter(is_wanted).collect()
}

/// The owner of the folder in `/proc` would be root for a process that does not dump core.
fn real_user(pid: i32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("Uid:"))?.split_whitespace().next()?.parse().ok()
}

/// A process that may be a member, without its sockets.
fn look(pid: i32) -> Option<Seen> {
    let command = process::command_line(pid);
    if command.is_empty() {
        return None;
    }
    let has_distributed = loads_distributed(pid);
    let by_command = || {
        command::role(&command).is_some()
            || command::is_spawned(&command)
            || command::is_of_fork_server(&command)
    };
    (has_distributed || by_command()).then(|| Seen {
        pid,
        parent: process::parent(pid).unwrap_or(0),
        has_distributed,
        command,
        ..Seen::default()
    })
}

/// `distributed` itself is Python and leaves no mark; the two compiled modules that it needs do.
fn loads_distributed(pid: i32) -> bool {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
    maps.contains("/msgpack/") && maps.contains("/tornado/")
}

/// Whether a worker's threads are in the process (`distributed/worker.py`; `Dask-Worker-Threads` before 2021).
fn runs_tasks(pid: i32) -> bool {
    let look = || PythonView::open(pid)?.sample(Want::Names);
    match look() {
        Ok(sample) => {
            let mut names = sample.threads.iter().filter_map(|thread| thread.name.as_deref());
            names.any(|name| name.contains("Dask-Default-Threads") || name.contains("Dask-Worker-Threads"))
        }
        Err(error) => {
            debug!(pid, %error, "no names of threads");
            false
        }
    }
}

/// The TCP sockets of each network namespace by inode; a cluster of containers has several.
#[derive(Default)]
struct Tables(HashMap<u64, FxHashMap<u64, Socket>>);

impl Tables {
    /// Adds the sockets of a process to what is known of it.
    fn fill(&mut self, seen: &mut Seen) {
        let Ok(namespace) = fs::metadata(format!("/proc/{}/ns/net", seen.pid)) else {
            return;
        };
        let table = self.0.entry(namespace.ino()).or_insert_with(|| read_table(seen.pid));
        // Inodes of sockets are given out in ascending order.
        let mut inodes = inodes(seen.pid);
        inodes.sort_unstable();
        inodes.dedup();
        for socket in inodes.iter().filter_map(|inode| table.get(inode)) {
            match socket.state {
                TcpState::Listen => seen.listening.push(socket.local),
                TcpState::Established => seen.connected.push((socket.local, socket.peer)),
                _ => {}
            }
        }
    }
}

fn read_table(pid: i32) -> FxHashMap<u64, Socket> {
    let Ok(process) = Process::new(pid) else {
        return FxHashMap::default();
    };
    let entries = process.tcp().into_iter().flatten().chain(process.tcp6().into_iter().flatten());
    let socket = |entry: procfs::net::TcpNetEntry| {
        let socket = Socket {
            local: plain(entry.local_address),
            peer: plain(entry.remote_address),
            state: entry.state,
        };
        (entry.inode, socket)
    };
    entries.map(socket).collect()
}

/// IPv4 addresses that a dual-stack socket shows as IPv6 are IPv4.
fn plain(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V6(_) => SocketAddr::new(address.ip().to_canonical(), address.port()),
        IpAddr::V4(_) => address,
    }
}

fn inodes(pid: i32) -> Vec<u64> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let inode = |entry: fs::DirEntry| {
        let target = fs::read_link(entry.path()).ok()?;
        target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
    };
    entries.filter_map(inode).collect()
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn the_sockets_of_this_process_are_told_apart_by_what_they_do() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        let stream = TcpStream::connect(at).unwrap();
        let mut seen = Seen { pid: std::process::id() as i32, ..Seen::default() };
        Tables::default().fill(&mut seen);
        assert!(seen.listening.contains(&at));
        assert!(seen.connected.contains(&(stream.local_addr().unwrap(), at)));
    }

    #[test]
    fn this_process_belongs_to_its_user_and_is_not_looked_at() {
        let own = std::process::id() as i32;
        assert_eq!(real_user(own), Some(rustix::process::getuid().as_raw()));
        assert!(!pids_of(Users::All).contains(&own));
        assert!(look(own).is_none(), "it has nothing to do with Dask");
    }
}
