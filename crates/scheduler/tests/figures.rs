//! Figures of planning, for a release build: `cargo test --release -p eru-scheduler --test figures -- --ignored --nocapture`.

#![allow(clippy::unwrap_used)]

use eru_scheduler::{Content, NodeFilter, NodeSnapshot, Quantities, Readiness, Request, Strategy, lint, plan};
use eru_types::{AppName, CpuQuota, EntrypointName, Labels, MemoryBytes, NodeName, PodName, Resources};
use std::{sync::Arc, time::Instant};

#[test]
#[ignore = "it measures; run it in a release build"]
fn ten_thousand_nodes() {
    let (app, entrypoint, pod) =
        (AppName::new("a").unwrap(), EntrypointName::new("web").unwrap(), PodName::new("p").unwrap());
    let nodes: Vec<NodeSnapshot> = (0..10_000)
        .map(|i| NodeSnapshot {
            name: NodeName::new(format!("node{i:05}")).unwrap(),
            pod: pod.clone(),
            labels: Labels::default(),
            runs_images: true,
            runs_commands: false,
            readiness: Readiness::Ready,
            total: Quantities { cpu: CpuQuota(24_000_000), memory: MemoryBytes(1024 << 20), storage: MemoryBytes(0) },
            used: Quantities::default(),
            counts: Arc::new([((app.clone(), entrypoint.clone()), i % 37)].into()),
        })
        .collect();
    let nodes: Vec<&NodeSnapshot> = nodes.iter().collect();
    let resources = Resources { memory_request: MemoryBytes(1 << 20), ..Resources::default() }.normalised();
    for count in [1, 1000, 10_239_999] {
        let request = Request {
            app: app.clone(),
            entrypoint: entrypoint.clone(),
            filter: NodeFilter { pod: Some(pod.clone()), ..NodeFilter::default() },
            content: Content::Image,
            resources,
            count,
            nodes_limit: 0,
            strategy: Strategy::Auto,
        };
        let began = Instant::now();
        let plan = plan(&nodes, &request).unwrap();
        let planned = began.elapsed();
        assert_eq!(lint(&plan, &nodes, &request), []);
        println!("{count} instances onto 10000 nodes: plan {planned:?}, with lint {:?}", began.elapsed());
    }
}
