//! Who is who, from command lines, parents and connections together.

use std::{collections::BTreeMap, net::SocketAddr};

use super::command;

/// What a process is to Dask.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Role {
    /// A scheduler.
    Scheduler,
    /// Scheduler and nannies inside the process of their client, as `LocalCluster()` has it.
    Cluster,
    /// All of a cluster inside one process, as `Client(processes=False)` has it.
    InProcess,
    /// Starts workers and watches over them; one process may be several nannies.
    Nanny,
    /// A worker.
    Worker,
}

impl Role {
    /// As the trace names it.
    pub fn name(self) -> &'static str {
        match self {
            Role::Scheduler => "dask scheduler",
            Role::Cluster => "dask scheduler, nanny and client",
            Role::InProcess => "dask cluster in one process",
            Role::Nanny => "dask nanny",
            Role::Worker => "dask worker",
        }
    }
}

/// A process of a cluster.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Member {
    /// Process ID.
    pub pid: i32,
    /// What it is.
    pub role: Role,
    /// Where it listens, such as `tcp://127.0.0.1:8786`; several, apart by commas, for a process that is several nannies.
    pub address: Option<String>,
}

/// What `/proc` tells of a process that may be a member.
#[derive(Clone, Default, Debug)]
pub(super) struct Seen {
    pub(super) pid: i32,
    pub(super) parent: i32,
    pub(super) command: Vec<String>,
    /// Whether it has loaded what `distributed` needs.
    pub(super) has_distributed: bool,
    /// TCP sockets that listen, oldest first.
    pub(super) listening: Vec<SocketAddr>,
    /// TCP connections: own address and peer's.
    pub(super) connected: Vec<(SocketAddr, SocketAddr)>,
}

impl Seen {
    /// Where `self` has connected to a listening socket of `other`, once for each connection.
    fn reaches<'a>(&'a self, other: &'a Seen) -> impl Iterator<Item = SocketAddr> + 'a {
        let of_both =
            |&(own, peer): &(SocketAddr, SocketAddr)| other.connected.contains(&(peer, own)).then_some(peer);
        let accepted = |at: &SocketAddr| {
            other
                .listening
                .iter()
                .any(|l| l.port() == at.port() && (l.ip().is_unspecified() || l.ip() == at.ip()))
        };
        self.connected.iter().filter_map(of_both).filter(accepted)
    }

    fn talks_to(&self, other: &Seen) -> bool {
        self.reaches(other).next().is_some()
    }
}

/// The processes that matter, and what has been found out about them.
struct Cast<'a> {
    seen: BTreeMap<i32, &'a Seen>,
    roles: BTreeMap<i32, Role>,
    addresses: BTreeMap<i32, String>,
}

/// The members among `seen`, schedulers first, and the clients that are no members.
pub(super) fn members(seen: &[Seen]) -> (Vec<Member>, Vec<i32>) {
    let mut cast = Cast {
        seen: seen.iter().map(|process| (process.pid, process)).collect(),
        roles: BTreeMap::new(),
        addresses: BTreeMap::new(),
    };
    cast.believe_command_lines();
    cast.find_nannies_children();
    cast.find_clusters_in_programs();
    cast.find_lone_programs();
    let clients: Vec<i32> =
        cast.strangers().filter(|process| cast.talks_to_scheduler(process)).map(|p| p.pid).collect();
    let mut members: Vec<Member> = cast
        .roles
        .iter()
        .map(|(&pid, &role)| Member { pid, role, address: cast.address(pid, role) })
        .collect();
    members.sort_by_key(|member| (member.role, member.pid));
    (members, clients)
}

impl<'a> Cast<'a> {
    fn believe_command_lines(&mut self) {
        let said: BTreeMap<i32, command::Said> = self
            .seen
            .values()
            .filter_map(|process| Some((process.pid, command::role(&process.command)?)))
            .collect();
        for (&pid, told) in &said {
            let process = self.seen[&pid];
            // A forked child has the command line of its parent: a nanny's is a worker, a worker's is of a task.
            let of_parent =
                said.get(&process.parent).filter(|_| self.seen[&process.parent].command == process.command);
            match of_parent.map(|parent| parent.role) {
                None => {
                    self.roles.insert(pid, told.role);
                    self.addresses.extend(told.address.clone().map(|address| (pid, address)));
                }
                Some(Role::Nanny) if !process.listening.is_empty() => {
                    _ = self.roles.insert(pid, Role::Worker)
                }
                Some(_) => {}
            }
        }
    }

    /// The process that had this one made, be it through a fork server.
    fn maker(&self, process: &Seen) -> Option<&'a Seen> {
        let parent = *self.seen.get(&process.parent)?;
        if !command::is_of_fork_server(&process.command) {
            return command::is_spawned(&process.command).then_some(parent);
        }
        // The server has the command line of its children, but a parent that has not.
        if command::is_of_fork_server(&parent.command) {
            self.seen.get(&parent.parent).copied()
        } else {
            None
        }
    }

    fn find_nannies_children(&mut self) {
        let workers: Vec<i32> = self
            .strangers()
            .filter(|process| !process.listening.is_empty())
            .filter(|process| {
                self.maker(process).is_some_and(|maker| self.roles.get(&maker.pid) == Some(&Role::Nanny))
            })
            .map(|process| process.pid)
            .collect();
        self.roles.extend(workers.into_iter().map(|pid| (pid, Role::Worker)));
    }

    /// Programs that made workers: with the scheduler in themselves, or with one elsewhere that both talk to.
    fn find_clusters_in_programs(&mut self) {
        let mut found = Vec::new();
        for program in
            self.strangers().filter(|process| process.has_distributed && !process.listening.is_empty())
        {
            let made: Vec<&Seen> = self
                .strangers()
                .filter(|child| child.has_distributed && !child.listening.is_empty())
                .filter(|child| self.maker(child).is_some_and(|maker| maker.pid == program.pid))
                .collect();
            let shares_peer = |child: &&Seen| {
                child
                    .connected
                    .iter()
                    .any(|(_, peer)| program.connected.iter().any(|(_, other)| peer == other))
            };
            let role = if made.iter().any(|child| child.talks_to(program)) {
                Role::Cluster
            } else if made.iter().any(|child| self.talks_to_scheduler(child) || shares_peer(child)) {
                Role::Nanny
            } else {
                continue;
            };
            found.push((program.pid, role));
            found.extend(made.iter().map(|child| (child.pid, Role::Worker)));
        }
        self.roles.extend(found);
    }

    /// Programs that are a scheduler or a worker themselves.
    fn find_lone_programs(&mut self) {
        let served: Vec<i32> = self
            .strangers()
            .filter(|process| process.has_distributed && !self.talks_to_scheduler(process))
            .filter(|process| {
                self.of_roles(&[Role::Worker, Role::Nanny]).any(|member| member.talks_to(process))
            })
            .map(|process| process.pid)
            .collect();
        self.roles.extend(served.into_iter().map(|pid| (pid, Role::Scheduler)));
        let workers: Vec<i32> = self
            .strangers()
            .filter(|process| process.has_distributed)
            .filter(|process| {
                self.schedulers().any(|scheduler| process.talks_to(scheduler) && scheduler.talks_to(process))
            })
            // A task's child holds what it inherited.
            .filter(|process| self.roles.get(&process.parent) != Some(&Role::Worker))
            .map(|process| process.pid)
            .collect();
        self.roles.extend(workers.into_iter().map(|pid| (pid, Role::Worker)));
    }

    /// Processes that have no role yet.
    fn strangers(&self) -> impl Iterator<Item = &'a Seen> {
        self.seen.values().copied().filter(|process| !self.roles.contains_key(&process.pid))
    }

    fn of_roles(&self, roles: &[Role]) -> impl Iterator<Item = &'a Seen> {
        self.seen
            .values()
            .copied()
            .filter(move |process| self.roles.get(&process.pid).is_some_and(|role| roles.contains(role)))
    }

    fn schedulers(&self) -> impl Iterator<Item = &'a Seen> {
        self.of_roles(&[Role::Scheduler, Role::Cluster])
    }

    fn talks_to_scheduler(&self, process: &Seen) -> bool {
        process.has_distributed && self.schedulers().any(|scheduler| process.talks_to(scheduler))
    }

    fn address(&self, pid: i32, role: Role) -> Option<String> {
        if let Some(told) = self.addresses.get(&pid) {
            return Some(told.clone());
        }
        let process = *self.seen.get(&pid)?;
        let scheme = command::scheme(&process.command);
        let scheme = match self.seen.get(&process.parent) {
            Some(parent) if scheme == "tcp" && role == Role::Worker => command::scheme(&parent.command),
            _ => scheme,
        };
        let text = |address: SocketAddr| format!("{scheme}://{}", self.concrete(process, address));
        match role {
            Role::InProcess => None,
            Role::Nanny => {
                // A nanny for each worker; they listen before anything else does.
                let made = |child: &&Seen| {
                    self.maker(child).is_some_and(|maker| maker.pid == pid) || child.parent == pid
                };
                let workers = self.of_roles(&[Role::Worker]).filter(made).count().max(1);
                let all: Vec<String> =
                    process.listening.iter().take(workers).map(|&address| text(address)).collect();
                (!all.is_empty()).then(|| all.join(", "))
            }
            _ => {
                // What others have connected to; its dashboard listens too.
                let mut reached: BTreeMap<SocketAddr, usize> = BTreeMap::new();
                for member in self.seen.values() {
                    member.reaches(process).for_each(|at| *reached.entry(at).or_default() += 1);
                }
                let most = reached.into_iter().max_by_key(|&(_, connections)| connections);
                most.map(|(at, _)| at).or(process.listening.first().copied()).map(text)
            }
        }
    }

    /// `0.0.0.0` is no address to call: the one that the process uses towards others stands for it.
    fn concrete(&self, process: &Seen, mut address: SocketAddr) -> SocketAddr {
        if address.ip().is_unspecified()
            && let Some((own, _)) = process.connected.first()
        {
            address.set_ip(own.ip());
        }
        address
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn process(pid: i32, parent: i32, command: &str, listening: &[&str], connected: &[(&str, &str)]) -> Seen {
        Seen {
            pid,
            parent,
            command: command.split('|').map(str::to_owned).collect(),
            has_distributed: true,
            listening: listening.iter().map(|text| at(text)).collect(),
            connected: connected.iter().map(|(own, peer)| (at(own), at(peer))).collect(),
        }
    }

    fn told(seen: &[Seen]) -> Vec<(i32, Role, Option<String>)> {
        members(seen).0.into_iter().map(|member| (member.pid, member.role, member.address)).collect()
    }

    fn tcp(address: &str) -> Option<String> {
        Some(format!("tcp://{address}"))
    }

    const SPAWN: &str = "/v/bin/python|-B|-c|from multiprocessing.spawn import spawn_main; spawn_main(tracker_fd=13, pipe_handle=25)|--multiprocessing-fork";
    const TRACKER: &str = "/v/bin/python|-B|-c|from multiprocessing.resource_tracker import main;main(12)";
    const SERVER: &str =
        "/v/bin/python|-B|-c|from multiprocessing.forkserver import main; main(14, 15, ['__main__'])";

    //  driver ──▶ scheduler :37533 ◀── worker :35409    one nanny process for both workers
    //                              ◀── worker :42171
    #[test]
    fn a_cluster_started_by_its_commands_is_found_whole() {
        let cluster = [
            process(378, 375, "/v/bin/python|f_dask.py", &[], &[("127.0.0.1:41270", "127.0.0.1:37533")]),
            process(
                383,
                378,
                "/v/bin/python|-m|distributed.cli.dask_scheduler|--port|0",
                &["0.0.0.0:8787", "127.0.0.1:37533"],
                &[
                    ("127.0.0.1:37533", "127.0.0.1:41270"),
                    ("127.0.0.1:37533", "127.0.0.1:41320"),
                    ("127.0.0.1:37533", "127.0.0.1:41322"),
                    ("127.0.0.1:33292", "127.0.0.1:35409"),
                ],
            ),
            process(
                410,
                378,
                "/v/bin/python|-m|distributed.cli.dask_worker|--scheduler-file|s.json|--nworkers|2",
                &["127.0.0.1:37185", "127.0.0.1:45651"],
                &[],
            ),
            process(452, 410, TRACKER, &[], &[]),
            process(
                457,
                410,
                SPAWN,
                &["127.0.0.1:35409", "0.0.0.0:46443"],
                &[("127.0.0.1:41320", "127.0.0.1:37533"), ("127.0.0.1:35409", "127.0.0.1:33292")],
            ),
            process(
                459,
                410,
                SPAWN,
                &["127.0.0.1:42171", "0.0.0.0:43775"],
                &[("127.0.0.1:41322", "127.0.0.1:37533")],
            ),
        ];
        let expected = [
            (383, Role::Scheduler, tcp("127.0.0.1:37533")),
            (410, Role::Nanny, Some("tcp://127.0.0.1:37185, tcp://127.0.0.1:45651".into())),
            (457, Role::Worker, tcp("127.0.0.1:35409")),
            (459, Role::Worker, tcp("127.0.0.1:42171")),
        ];
        assert_eq!(told(&cluster), expected);
        assert_eq!(members(&cluster).1, [378], "its driver is a client");
    }

    #[test]
    fn a_worker_that_listens_everywhere_has_the_address_that_it_calls_from() {
        let seen = [process(
            445,
            1,
            "/v/bin/python3|/v/bin/dask|worker|tcp://10.0.0.1:8786|--no-nanny",
            &["0.0.0.0:34529", "0.0.0.0:40823"],
            &[("10.0.0.7:52840", "10.0.0.1:8786")],
        )];
        assert_eq!(told(&seen), [(445, Role::Worker, tcp("10.0.0.7:34529"))]);
    }

    #[test]
    fn a_nanny_whose_scheduler_is_on_another_machine_has_workers_all_the_same() {
        let seen = [
            process(20, 1, "python|/v/bin/dask-worker|tls://10.0.0.1:8786", &["10.0.0.7:33333"], &[]),
            process(21, 20, SPAWN, &["10.0.0.7:44444"], &[("10.0.0.7:50000", "10.0.0.1:8786")]),
        ];
        let expected = [
            (20, Role::Nanny, Some("tls://10.0.0.7:33333".into())),
            (21, Role::Worker, Some("tls://10.0.0.7:44444".into())),
        ];
        assert_eq!(told(&seen), expected);
    }

    #[test]
    fn what_a_task_starts_is_no_worker() {
        //  nanny ─▶ worker ─▶ a pool's process, spawned or forked with the worker's sockets
        let seen = [
            process(20, 1, "python|/v/bin/dask-worker|tcp://10.0.0.1:8786", &["10.0.0.7:33333"], &[]),
            process(21, 20, SPAWN, &["10.0.0.7:44444"], &[]),
            process(22, 21, SPAWN, &["10.0.0.7:55555"], &[]),
            process(23, 21, SPAWN, &["10.0.0.7:44444"], &[]),
        ];
        let pids: Vec<i32> = told(&seen).iter().map(|member| member.0).collect();
        assert_eq!(pids, [20, 21]);
    }

    #[test]
    fn workers_made_by_a_fork_server_or_by_fork_are_found() {
        let nanny = "python|/v/bin/dask-worker|tcp://10.0.0.1:8786";
        let seen = [
            process(20, 1, nanny, &["10.0.0.7:33333"], &[]),
            process(30, 20, SERVER, &[], &[]),
            process(31, 30, SERVER, &["10.0.0.7:44444"], &[]),
            process(40, 20, nanny, &["10.0.0.7:44445"], &[]),
        ];
        let roles: Vec<(i32, Role)> = told(&seen).iter().map(|&(pid, role, _)| (pid, role)).collect();
        assert_eq!(roles, [(20, Role::Nanny), (31, Role::Worker), (40, Role::Worker)]);
    }

    //  notebook :34015 (scheduler, nannies :35773 and :34379, client) ◀── worker, worker
    #[test]
    fn a_local_cluster_is_found_inside_the_process_of_its_client() {
        let seen = [
            process(
                556,
                554,
                "/v/bin/python|notebook.py",
                &["0.0.0.0:8787", "127.0.0.1:34015", "127.0.0.1:35773", "127.0.0.1:34379"],
                &[
                    ("127.0.0.1:34015", "127.0.0.1:40080"),
                    ("127.0.0.1:34015", "127.0.0.1:40070"),
                    ("127.0.0.1:40034", "127.0.0.1:34015"),
                    ("127.0.0.1:34015", "127.0.0.1:40034"),
                ],
            ),
            process(777, 556, TRACKER, &[], &[]),
            process(
                824,
                556,
                SPAWN,
                &["127.0.0.1:41055", "127.0.0.1:36051"],
                &[("127.0.0.1:40080", "127.0.0.1:34015")],
            ),
            process(
                828,
                556,
                SPAWN,
                &["127.0.0.1:35881", "127.0.0.1:37937"],
                &[("127.0.0.1:40070", "127.0.0.1:34015")],
            ),
        ];
        let expected = [
            (556, Role::Cluster, tcp("127.0.0.1:34015")),
            (824, Role::Worker, tcp("127.0.0.1:41055")),
            (828, Role::Worker, tcp("127.0.0.1:35881")),
        ];
        assert_eq!(told(&seen), expected);
        assert!(members(&seen).1.is_empty());
    }

    #[test]
    fn another_program_whose_children_call_it_is_no_cluster() {
        let mut seen = [
            process(10, 1, "python|server.py", &["127.0.0.1:5000"], &[("127.0.0.1:5000", "127.0.0.1:5001")]),
            process(11, 10, SPAWN, &["127.0.0.1:6000"], &[("127.0.0.1:5001", "127.0.0.1:5000")]),
        ];
        seen.iter_mut().for_each(|process| process.has_distributed = false);
        assert!(told(&seen).is_empty());
    }

    #[test]
    fn programs_that_are_a_scheduler_or_a_worker_themselves_are_told_by_who_calls_whom() {
        //  worker.py :7000 ◀──▶ scheduler.py :8786 ◀── a nanny's worker
        let seen = [
            process(
                10,
                1,
                "python|scheduler.py",
                &["10.0.0.7:8786"],
                &[
                    ("10.0.0.7:8786", "10.0.0.7:7001"),
                    ("10.0.0.7:8001", "10.0.0.7:7000"),
                    ("10.0.0.7:8786", "10.0.0.7:9001"),
                ],
            ),
            process(
                11,
                1,
                "python|worker.py",
                &["10.0.0.7:7000"],
                &[("10.0.0.7:7001", "10.0.0.7:8786"), ("10.0.0.7:7000", "10.0.0.7:8001")],
            ),
            process(20, 1, "python|/v/bin/dask-worker|tcp://10.0.0.7:8786", &["10.0.0.7:9002"], &[]),
            process(21, 20, SPAWN, &["10.0.0.7:9000"], &[("10.0.0.7:9001", "10.0.0.7:8786")]),
        ];
        let roles: Vec<(i32, Role)> = told(&seen).iter().map(|&(pid, role, _)| (pid, role)).collect();
        assert_eq!(roles, [(10, Role::Scheduler), (20, Role::Nanny), (11, Role::Worker), (21, Role::Worker)]);
    }
}
