//! kill -9 of everything, in every order: nothing lost, nothing doubled.

use crate::scene::{healthy, pid_of, servers_running, three_servers};
use anyhow::{Context, Result};
use eru_api::pb;
use eru_testkit::up::signal;
use rustix::process::Signal;

fn address(workload: &pb::Workload) -> Result<&str> {
    Ok(workload.status.as_ref().and_then(|s| s.networks.values().next()).context("no address")?)
}

/// The parent of a process: a server's parent is its shim.
fn parent_of(pid: u32) -> Result<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    Ok(stat.rsplit_once(')').context("stat")?.1.split_whitespace().nth(1).context("ppid")?.parse()?)
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
        let gone = eru_testkit::eventually("the orphan to be replaced", crate::scene::SOON, || async {
            let now = crate::scene::workloads(&up).await?;
            anyhow::ensure!(now.iter().all(|w| w.id != all[0].id), "still there");
            anyhow::Ok(())
        });
        gone.await.with_context(|| up.log())?;
        for workload in healthy(&up, 3).await? {
            assert_eq!(servers_running(address(&workload)?), 1);
        }
    }
    Ok(())
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
