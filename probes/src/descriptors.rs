//! What file descriptors are: looked up when first seen, and again when their number is reused.
//!
//! A lookup happens some milliseconds after the call that it is for. If the descriptor was closed meanwhile, its number may
//! already mean another file; [`Descriptors::closed`] tells, and the lookup is left out rather than guessed.

use std::{
    fs,
    net::{IpAddr, SocketAddr},
    os::unix::fs::FileTypeExt,
    time::{Duration, Instant},
};

use gilscope_trace::{detail::Descriptor, syscalls::Class};
use procfs::process::Process;
use rustc_hash::FxHashMap;

/// What is known of the descriptors of all processes.
#[derive(Default)]
pub struct Descriptors {
    known: FxHashMap<(i32, i32), Known>,
    /// Time of the last close that has been read from the kernel but perhaps not yet been passed in order, ns of the trace clock.
    closed: FxHashMap<(i32, i32), i64>,
    /// By process, since each may be in a network namespace of its own.
    tables: FxHashMap<i32, SocketTable>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Known {
    Socket,
    Other,
    /// Gone before it could be looked up.
    Unknown,
}

/// What [`Descriptors::see`] says of a descriptor.
#[derive(Debug, PartialEq, Eq)]
pub struct Seen {
    /// What it is, the first time that it is asked for.
    pub news: Option<Descriptor>,
    /// Whether it is a socket, or may be one.
    pub maybe_socket: bool,
}

impl Descriptors {
    /// Notes a close that was read from the kernel, ahead of order.
    pub fn note_close(&mut self, pid: i32, fd: i32, time: i64) {
        self.closed.insert((pid, fd), time);
    }

    /// Forgets closes older than `time`: everything before it has been passed.
    pub fn passed(&mut self, time: i64) {
        self.closed.retain(|_, closed| *closed > time);
    }

    /// Forgets what a descriptor was: it was closed, replaced, accepted or connected.
    pub fn forget(&mut self, pid: i32, fd: i32) {
        self.known.remove(&(pid, fd));
    }

    /// Forgets all descriptors of a process: it ended or became another program.
    pub fn forget_process(&mut self, pid: i32) {
        self.known.retain(|&(of, _), _| of != pid);
        self.tables.remove(&pid);
    }

    /// Takes note that `pid` uses `fd` at `time` in a call of that class.
    pub fn see(&mut self, pid: i32, fd: i32, time: i64, class: Class) -> Seen {
        if let Some(known) = self.known.get(&(pid, fd)) {
            return Seen { news: None, maybe_socket: *known != Known::Other };
        }
        let gone = self.closed.get(&(pid, fd)).is_some_and(|closed| *closed >= time);
        let found = if gone { None } else { look_up(pid, fd, self.tables.entry(pid).or_default()) };
        let mut descriptor =
            found.unwrap_or_else(|| Descriptor { kind: "unknown".into(), ..Descriptor::default() });
        if descriptor.kind == "unknown" && class == Class::Socket {
            // Only sockets can be sent to and received from.
            descriptor.kind = "socket".into();
        }
        let known = match descriptor.kind.as_str() {
            "tcp" | "udp" | "unix" | "socket" => Known::Socket,
            "unknown" => Known::Unknown,
            _ => Known::Other,
        };
        self.known.insert((pid, fd), known);
        Seen { news: Some(descriptor), maybe_socket: known != Known::Other }
    }
}

/// Looks a descriptor up in `/proc`; `None` if it is gone.
fn look_up(pid: i32, fd: i32, sockets: &mut SocketTable) -> Option<Descriptor> {
    let link = format!("/proc/{pid}/fd/{fd}");
    let target = fs::read_link(&link).ok()?;
    let target = target.to_string_lossy();
    let of_kind = |kind: &str| Descriptor { kind: kind.into(), ..Descriptor::default() };
    if let Some(inode) = numbered(&target, "socket:[") {
        return Some(sockets.find(pid, inode).unwrap_or_else(|| of_kind("socket")));
    }
    if target.starts_with("pipe:[") {
        return Some(of_kind("pipe"));
    }
    if let Some(name) = target.strip_prefix("anon_inode:") {
        return Some(match name {
            "[eventpoll]" => of_kind("epoll"),
            "[eventfd]" => of_kind("eventfd"),
            _ => Descriptor { path: Some(name.trim_matches(['[', ']']).to_owned()), ..of_kind("other") },
        });
    }
    let kind = match fs::metadata(&link).map(|metadata| metadata.file_type()) {
        Ok(kind) if kind.is_fifo() => "pipe",
        Ok(kind) if kind.is_file() || kind.is_dir() => "file",
        _ => "other",
    };
    Some(Descriptor { path: Some(target.into_owned()), ..of_kind(kind) })
}

/// The number in `prefix123]`.
fn numbered(text: &str, prefix: &str) -> Option<u64> {
    text.strip_prefix(prefix)?.strip_suffix(']')?.parse().ok()
}

/// The sockets of a process's network namespace, by inode.
///
/// Reading the tables costs by their length, so a busy server that accepts thousands of connections a second has them read once
/// for many: a socket that is missing is looked for again after [`SocketTable::FRESH`].
#[derive(Default)]
struct SocketTable {
    sockets: FxHashMap<u64, Descriptor>,
    read_at: Option<Instant>,
}

impl SocketTable {
    /// A tenth of this goes into reading the tables of a server with ten thousand connections.
    const FRESH: Duration = Duration::from_millis(20);

    fn find(&mut self, pid: i32, inode: u64) -> Option<Descriptor> {
        if !self.sockets.contains_key(&inode) && self.read_at.is_none_or(|at| at.elapsed() > Self::FRESH) {
            self.sockets = read_sockets(pid);
            self.read_at = Some(Instant::now());
        }
        self.sockets.get(&inode).cloned()
    }
}

fn read_sockets(pid: i32) -> FxHashMap<u64, Descriptor> {
    let mut sockets = FxHashMap::default();
    let Ok(process) = Process::new(pid) else {
        return sockets;
    };
    let internet = |kind: &str, local: SocketAddr, remote: SocketAddr| Descriptor {
        kind: kind.into(),
        path: None,
        local: Some(address(local)),
        // A socket that listens, or is not connected, has no peer.
        peer: (remote.port() != 0).then(|| address(remote)),
    };
    for entry in [process.tcp(), process.tcp6()].into_iter().flatten().flatten() {
        sockets.insert(entry.inode, internet("tcp", entry.local_address, entry.remote_address));
    }
    for entry in [process.udp(), process.udp6()].into_iter().flatten().flatten() {
        sockets.insert(entry.inode, internet("udp", entry.local_address, entry.remote_address));
    }
    for entry in process.unix().into_iter().flatten() {
        let path = entry.path.map(|path| path.to_string_lossy().into_owned());
        sockets.insert(entry.inode, Descriptor { kind: "unix".into(), path, ..Descriptor::default() });
    }
    sockets
}

/// `host:port`, with IPv4 addresses that a dual-stack socket shows as IPv6 written as IPv4.
fn address(address: SocketAddr) -> String {
    match address.ip() {
        IpAddr::V6(ip) if ip.to_ipv4_mapped().is_some() => {
            SocketAddr::new(ip.to_canonical(), address.port()).to_string()
        }
        _ => address.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, pipe},
        net::{TcpListener, TcpStream},
        os::fd::AsRawFd,
    };

    use super::*;

    fn own_pid() -> i32 {
        std::process::id() as i32
    }

    fn kind_of(descriptor: &impl AsRawFd) -> Descriptor {
        Descriptors::default().see(own_pid(), descriptor.as_raw_fd(), 0, Class::ReadWrite).news.unwrap()
    }

    #[test]
    fn a_connected_socket_is_described_by_its_two_addresses() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let seen = kind_of(&stream);
        assert_eq!(seen.kind, "tcp");
        assert_eq!(seen.local, Some(stream.local_addr().unwrap().to_string()));
        assert_eq!(seen.peer, Some(listener.local_addr().unwrap().to_string()));
        assert_eq!(kind_of(&listener).peer, None, "a listening socket has none");
    }

    #[test]
    fn pipes_and_files_are_told_from_sockets() {
        let (reader, mut _writer) = pipe().unwrap();
        assert_eq!(kind_of(&reader).kind, "pipe");
        let mut file = tempfile::tempfile().unwrap();
        file.read_to_end(&mut Vec::new()).unwrap();
        assert_eq!(kind_of(&file).kind, "file");
    }

    #[test]
    fn a_descriptor_is_looked_up_once_until_it_is_forgotten() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut descriptors = Descriptors::default();
        let see = |descriptors: &mut Descriptors| {
            descriptors.see(own_pid(), listener.as_raw_fd(), 0, Class::Socket).news.is_some()
        };
        assert!(see(&mut descriptors));
        assert!(!see(&mut descriptors));
        descriptors.forget(own_pid(), listener.as_raw_fd());
        assert!(see(&mut descriptors));
    }

    #[test]
    fn a_descriptor_closed_since_is_not_taken_for_what_its_number_means_now() {
        let (reader, _writer) = pipe().unwrap();
        let mut descriptors = Descriptors::default();
        descriptors.note_close(own_pid(), reader.as_raw_fd(), 20);
        let seen = descriptors.see(own_pid(), reader.as_raw_fd(), 10, Class::Socket);
        assert_eq!(seen.news.unwrap().kind, "socket", "the call tells that much");
        descriptors.forget(own_pid(), reader.as_raw_fd());
        let seen = descriptors.see(own_pid(), reader.as_raw_fd(), 30, Class::ReadWrite);
        assert_eq!(seen.news.unwrap().kind, "pipe");
    }
}
