//! kill -9 of everything, in every order: nothing lost, nothing doubled.

use crate::scene::{SOON, healthy, pid_of, servers_running, three_servers, workloads};
use Victim::{Child, Shim, Up as Whole};
use anyhow::{Context, Result, ensure};
use eru_api::pb;
use eru_testkit::{Up, eventually, up::signal};
use rustix::{
    event::{PollFd, PollFlags, poll},
    fd::OwnedFd,
    fs::Timespec,
    process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
};
use std::{collections::BTreeSet, path::Path};

fn address(workload: &pb::Workload) -> Result<&str> {
    Ok(workload.status.as_ref().and_then(|s| s.networks.values().next()).context("no address")?)
}

/// The parent of a process: a server's parent is its shim.
fn parent_of(pid: u32) -> Result<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    Ok(stat.rsplit_once(')').context("stat")?.1.split_whitespace().nth(1).context("ppid")?.parse()?)
}

/// The shims of a data folder: the workload's folder of each, from its command line `eru process-shim FOLDER ..`.
fn shims_running(data: &Path) -> Result<Vec<String>> {
    let mut shims = Vec::new();
    for entry in std::fs::read_dir("/proc")?.flatten() {
        // A process that has ended in between has no command line.
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).into_owned();
        let folder = line.split('\0').skip_while(|word| *word != "process-shim").nth(1);
        shims.extend(folder.filter(|folder| Path::new(folder).starts_with(data)).map(str::to_owned));
    }
    Ok(shims)
}

fn ids(all: &[pb::Workload]) -> Vec<String> {
    let mut ids: Vec<_> = all.iter().map(|w| w.id.clone()).collect();
    ids.sort();
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn up_killed_adopts_everything() -> Result<()> {
    let (mut up, all) = three_servers().await?;
    for _ in 0..3 {
        up.kill9()?;
        for workload in &all {
            assert_eq!(servers_running(address(workload)?), 1, "a server did not survive");
        }
        up.again(&[]).await?;
        let now = healthy(&up, 3).await?;
        assert_eq!(ids(&now), ids(&all), "adopted, not replaced\n{}", up.log());
    }
    up.stop().await?;
    up.again(&[]).await?;
    assert_eq!(ids(&healthy(&up, 3).await?), ids(&all));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_killed_while_up_is_dead_is_replaced_with_its_exit_known() -> Result<()> {
    let (mut up, all) = three_servers().await?;
    let pid = pid_of(&all[0]).await?;
    up.kill9()?;
    signal(pid, Signal::KILL)?;
    up.again(&[]).await?;
    let now = healthy(&up, 3).await?;
    assert!(now.iter().all(|w| w.id != all[0].id), "the dead one is gone");
    assert_eq!(now.iter().filter(|w| all.iter().any(|old| old.id == w.id)).count(), 2, "the others are the same");
    for workload in &now {
        assert_eq!(servers_running(address(workload)?), 1);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shim_killed_loses_and_doubles_nothing() -> Result<()> {
    for up_dies in [false, true] {
        let (mut up, all) = three_servers().await?;
        let pid = pid_of(&all[0]).await?;
        signal(parent_of(pid)?, Signal::KILL)?;
        if up_dies {
            up.kill9()?;
            up.again(&[]).await?;
        }
        let now = healthy(&up, 3).await?;
        assert_eq!(ids(&now), ids(&all), "the server goes on without its shim\n{}", up.log());
        // It is still ours: when it dies as well it is replaced.
        signal(pid, Signal::KILL)?;
        let gone = eventually("the orphan to be replaced", SOON, || async {
            let now = workloads(&up).await?;
            ensure!(now.iter().all(|w| w.id != all[0].id), "still there");
            anyhow::Ok(())
        });
        gone.await.with_context(|| up.log())?;
        for workload in healthy(&up, 3).await? {
            assert_eq!(servers_running(address(&workload)?), 1);
        }
    }
    Ok(())
}

/// What is killed: `eru up`, or the shim or the server of one workload.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Victim {
    Up,
    Shim,
    Child,
}

/// Every order of every set of victims.
const ORDERS: [&[Victim]; 15] = [
    &[Whole],
    &[Shim],
    &[Child],
    &[Whole, Shim],
    &[Shim, Whole],
    &[Whole, Child],
    &[Child, Whole],
    &[Shim, Child],
    &[Child, Shim],
    &[Whole, Shim, Child],
    &[Whole, Child, Shim],
    &[Shim, Whole, Child],
    &[Shim, Child, Whole],
    &[Child, Whole, Shim],
    &[Child, Shim, Whole],
];

#[tokio::test(flavor = "multi_thread")]
async fn every_order_of_kills_loses_and_doubles_nothing() -> Result<()> {
    // Each slot dies once: after the second death in a row its replacement would wait.
    for orders in ORDERS.chunks(3) {
        let (mut up, mut all) = three_servers().await?;
        let mut addresses = BTreeSet::new();
        for (slot, order) in orders.iter().enumerate() {
            addresses.extend(all.iter().map(|w| address(w).map(str::to_owned)).collect::<Result<Vec<_>>>()?);
            let slot = slot.to_string();
            let victim =
                all.iter().find(|w| w.labels.get("replicaset.slot") == Some(&slot)).context("no slot")?.clone();
            kill_in_order(&mut up, &victim, order).await.with_context(|| format!("{order:?}"))?;
            let died = order.contains(&Child).then_some(&victim);
            let now = settled(&up, &all, died, &addresses).await;
            all = now.with_context(|| format!("after {order:?} of {}", victim.id))?;
            // A server that goes on without its shim is still ours: when it dies as well it is replaced.
            if order.contains(&Shim) && died.is_none() {
                signal(pid_of(&victim).await?, Signal::KILL)?;
                let now = settled(&up, &all, Some(&victim), &addresses).await;
                all = now.with_context(|| format!("after {order:?} of {} and then its server", victim.id))?;
            }
        }
    }
    Ok(())
}

/// Kills one after another, each only when the one before is dead, and starts `eru up` again if it was among them.
async fn kill_in_order(up: &mut Up, workload: &pb::Workload, order: &[Victim]) -> Result<()> {
    let pid = pid_of(workload).await?;
    // Handles instead of numbers: a shim ends by itself when its server is dead, and its number may be given away.
    let (child, shim) = (open(pid)?, open(parent_of(pid)?)?);
    for victim in order {
        match victim {
            Whole => up.kill9()?,
            Shim => kill_handle(&shim)?,
            Child => kill_handle(&child)?,
        }
    }
    if order.contains(&Whole) { up.again(&[]).await } else { Ok(()) }
}

fn open(pid: u32) -> Result<OwnedFd> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).context("not a process id")?;
    Ok(pidfd_open(pid, PidfdFlags::empty())?)
}

/// Kills a process and waits until it is dead; one that is dead already is as good.
fn kill_handle(process: &OwnedFd) -> Result<()> {
    match pidfd_send_signal(process, Signal::KILL) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => {}
        Err(error) => return Err(error.into()),
    }
    let patience = Timespec { tv_sec: SOON.as_secs().try_into()?, tv_nsec: 0 };
    ensure!(poll(&mut [PollFd::new(process, PollFlags::IN)], Some(&patience))? == 1, "it does not die");
    Ok(())
}

/// Waits until there are three healthy workloads with one server each and no server beside them: those of `before`, but
/// for `died`, which has another in its place.
async fn settled(
    up: &Up,
    before: &[pb::Workload],
    died: Option<&pb::Workload>,
    addresses: &BTreeSet<String>,
) -> Result<Vec<pb::Workload>> {
    eventually("three healthy workloads, one server each", SOON, || async move {
        let now = workloads(up).await?;
        let healthy = now.iter().filter(|w| w.status.as_ref().is_some_and(|s| s.running && s.healthy)).count();
        ensure!(healthy == 3 && now.len() == 3, "{healthy} healthy of {}: {now:?}", now.len());
        for old in before {
            let is_there = now.iter().any(|w| w.id == old.id);
            let has_died = died.is_some_and(|died| died.id == old.id);
            ensure!(is_there != has_died, "{} is there: {is_there}, has died: {has_died}", old.id);
        }
        let mut idle = addresses.clone();
        for workload in &now {
            let address = address(workload)?;
            idle.remove(address);
            let servers = servers_running(address);
            ensure!(servers == 1, "{servers} servers at {address}");
        }
        for address in &idle {
            let servers = servers_running(address);
            ensure!(servers == 0, "{servers} servers are left at {address}");
        }
        let shims = shims_running(&up.data_dir())?;
        let folders: BTreeSet<_> = shims.iter().collect();
        ensure!(shims.len() == 3 && folders.len() == 3, "every server has one shim: {shims:?}");
        Ok(now)
    })
    .await
    .with_context(|| up.log())
}

#[tokio::test(flavor = "multi_thread")]
async fn down_leaves_nothing() -> Result<()> {
    let (mut up, all) = three_servers().await?;
    up.stop().await?;
    let out =
        std::process::Command::new(crate::scene::ERU).arg("down").arg("--data-dir").arg(up.data_dir()).output()?;
    assert!(out.status.success(), "{out:?}");
    for workload in &all {
        assert_eq!(servers_running(address(workload)?), 0, "a server is left");
    }
    up.again(&[]).await?;
    // The spec on the command line is applied again: down removed the set, not the wish to start it.
    healthy(&up, 3).await?;
    up.cli_ok(&["replicaset", "remove", "hello"]).await?;
    healthy(&up, 0).await?;
    Ok(())
}
