//! `gilscope attach --dask`: which processes those are.

use anyhow::bail;
use gilscope_analysis::clean::clean;
use gilscope_probes::{
    frameworks::dask::{Found, Member, Users, find},
    process,
};

/// The members of all Dask clusters of this user; as root everybody's, or those of the user who called sudo.
pub(super) fn members() -> anyhow::Result<Vec<Member>> {
    let root = rustix::process::geteuid().is_root();
    let sudo = std::env::var("SUDO_UID").ok().and_then(|id| id.parse().ok());
    let users = match (root, sudo) {
        (true, Some(user)) => Users::One(user),
        (true, None) => Users::All,
        (false, _) => Users::One(rustix::process::getuid().as_raw()),
    };
    let found = find(users);
    if found.members.is_empty() {
        return none(&found, users, root);
    }
    for member in &found.members {
        let address =
            member.address.as_deref().map(|address| format!(" at {}", clean(address))).unwrap_or_default();
        say!("found {}{address}: process {}", member.role.name(), member.pid);
    }
    for pid in &found.clients {
        say!(
            "found a client, not recorded (add -p {pid}): {}",
            clean(&process::command_line(*pid).join(" "))
        );
    }
    Ok(found.members)
}

fn none<T>(found: &Found, users: Users, root: bool) -> anyhow::Result<T> {
    let whose = match users {
        Users::One(user) => format!("{} processes of user {user}", found.looked_at),
        Users::All => format!("{} processes", found.looked_at),
    };
    let others = match users {
        Users::One(_) if root => find(Users::All).members.len(),
        _ => 0,
    };
    let hint = match (others, root) {
        (0, true) => String::from("start the cluster first, or name its processes with -p"),
        (0, false) => String::from(
            "start the cluster first, name its processes with -p, or look as root at those of all users",
        ),
        (others, _) => {
            format!("other users have {others}: unset SUDO_UID to record them (sudo env -u SUDO_UID …)")
        }
    };
    bail!("no Dask scheduler, worker or nanny among {whose}\n  {hint}")
}
