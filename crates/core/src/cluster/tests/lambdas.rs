//! Runs to the end whose core dies.

use super::rig::{GIB, World, eventually, nodes, options, within};
use crate::{
    cluster::{
        Cluster,
        lambda::{Lambda, LambdaPiece},
    },
    recovery,
};
use eru_api::pb;
use eru_runtime::{Runtime, fake::script::PROGRAM};
use eru_types::Labels;
use std::sync::Arc;

async fn run(cluster: &Arc<Cluster>, words: &[&str], change: impl FnOnce(&mut pb::RunAndWaitOptions)) -> Lambda {
    let mut deploy = options(2);
    let commands = [PROGRAM].iter().chain(words).map(|word| (*word).to_owned()).collect();
    deploy.entrypoint.as_mut().unwrap().commands = commands;
    let mut asked = pb::RunAndWaitOptions { deploy_options: Some(deploy), ..Default::default() };
    change(&mut asked);
    let request = cluster.lambda_request(&asked).unwrap();
    within(cluster.run_and_wait(request)).await.unwrap()
}

async fn all(lambda: &mut Lambda) -> Vec<LambdaPiece> {
    let mut pieces = Vec::new();
    while let Some(piece) = within(lambda.pieces.recv()).await {
        pieces.push(piece);
    }
    pieces
}

#[tokio::test]
async fn a_run_dies_with_its_core_and_not_with_another() {
    let world = World::new();
    let first = world.core("first").await;
    nodes(&first, 2, 8 * GIB).await;
    for asynchronous in [false, true] {
        let core = world.core("doomed").await;
        let mut lambda = run(&core, &["print:x"], |asked| asked.r#async = asynchronous).await;
        for _ in 0..2 {
            assert!(matches!(within(lambda.pieces.recv()).await, Some(LambdaPiece::Made(_))));
        }
        first.cache.linearizable().await.unwrap();
        assert_eq!(world.placements().await.len(), 2);
        assert_eq!(recovery::look(&core, true).await.unwrap(), 0, "its own core works on it");
        within(core.tasks.die()).await;
        assert_eq!(world.placements().await.len(), 2, "nobody was left to remove them");
        assert_eq!(recovery::look(&first, true).await.unwrap(), 2);
        assert_eq!(world.placements().await.len(), 0);
        world.check(&first).await;
    }
}

#[tokio::test]
async fn a_run_that_nobody_works_on_is_removed_by_its_own_core_too() {
    let world = World::new();
    let core = world.core("only").await;
    nodes(&core, 1, 8 * GIB).await;
    let lambda = run(&core, &["print:x"], |_| ()).await;
    eventually("both to run", async || world.engine("n0").counts().running == 2).await;
    world.engine("n0").set_down(true);
    drop(lambda);
    eventually("nobody to work on them", async || {
        world.placements().await.iter().all(|placement| !core.runs.contains(&placement.name))
    })
    .await;
    world.engine("n0").set_down(false);
    core.cache.linearizable().await.unwrap();
    eventually("them to be removed", async || {
        recovery::look(&core, true).await.unwrap();
        world.placements().await.is_empty()
    })
    .await;
    assert_eq!(world.engine("n0").list(&Labels::default()).await.unwrap().len(), 0);
}

#[tokio::test]
async fn output_is_whole_however_slowly_it_is_read() {
    let world = World::new();
    let core = world.core("only").await;
    nodes(&core, 1, 8 * GIB).await;
    let words: Vec<String> = (0..500).map(|n| format!("print:{n}")).chain(["exit:9".to_owned()]).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut lambda = run(&core, &words, |_| ()).await;
    // The channel between is far shorter than the output.
    let pieces = all(&mut lambda).await;
    let lines = pieces.iter().filter(|piece| matches!(piece, LambdaPiece::Output(..))).count();
    let codes = pieces.iter().filter(|piece| matches!(piece, LambdaPiece::Exited(_, 9))).count();
    assert_eq!((lines, codes), (1000, 2));
    world.check(&core).await;
}

#[tokio::test]
async fn its_output_is_where_it_can_be_read_from_whatever_the_configuration_says() {
    let mut world = World::new();
    world.settings.docker.log_type = "journald".into();
    let core = world.core("only").await;
    nodes(&core, 1, 8 * GIB).await;
    let lambda = run(&core, &["print:x"], |asked| asked.deploy_options.as_mut().unwrap().debug = true).await;
    let drivers: Vec<_> = world.placements().await.iter().map(|p| p.spec.extras.log_driver.clone()).collect();
    assert_eq!(drivers, ["json-file", "json-file"]);
    drop(lambda);
    eventually("them to be removed", async || world.placements().await.is_empty()).await;
}
