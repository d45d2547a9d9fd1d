//! A core with the machine's Docker engine as its node, an image out of nothing and a network of its own: the default one
//! belongs to everybody.

use crate::support::{TestCore, start};
use eru_api::pb;
use eru_testkit::docker::{Docker, SOCKET};
use std::path::Path;

/// The only program in the image. It must be static, as nothing else is in there.
const BUSYBOX: &str = "/bin/busybox";

pub struct Scene {
    pub core: TestCore,
    pub docker: Docker,
    pub image: String,
    pub network: String,
    label: String,
}

/// `None` where there is no engine, which is said; or no program for the image. Each test has a subnet of its own, as only
/// those who chose a subnet may choose addresses in it.
pub async fn scene(test: &str, subnet: u8) -> Option<Scene> {
    let docker = Docker::of_machine(test)?;
    if !Path::new(BUSYBOX).exists() {
        println!("skipped: {test}: no {BUSYBOX} to make an image of");
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(BUSYBOX, folder.path().join("busybox")).unwrap();
    std::fs::write(folder.path().join("passwd"), "root:x:0:0:root:/:/bin/sh\n").unwrap();
    let text =
        "FROM scratch\nCOPY busybox /bin/busybox\nCOPY busybox /bin/sh\nCOPY passwd /etc/passwd\nENV PATH=/bin\n";
    std::fs::write(folder.path().join("Dockerfile"), text).unwrap();
    let image = format!("eru-core-{test}:{}", std::process::id());
    docker.run(&["build", "--quiet", "--tag", &image, &folder.path().display().to_string()]).await.unwrap();
    let network = format!("eru-core-{test}-{}", std::process::id());
    let subnet = format!("10.219.{subnet}.0/24");
    docker.run(&["network", "create", "--subnet", &subnet, &network]).await.unwrap();
    let mut core = start().await.with_nodes(&[]).await;
    let node = pb::AddNodeOptions {
        nodename: "d1".into(),
        endpoint: SOCKET.into(),
        podname: "p".into(),
        ..pb::AddNodeOptions::default()
    };
    let node = core.client.add_node(node).await.unwrap().into_inner();
    assert_eq!((node.runtime.as_str(), node.runs_images, node.state.as_str()), ("docker", true, "new"));
    assert!(node.init_memory > 0 && !node.init_cpu.is_empty(), "{node:?}");
    let label = format!("eru.coreid={}", core.handle.cluster.core_id);
    Some(Scene { core, docker, image, network, label })
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.docker.remove_all(&self.label);
        for args in [&["network", "rm", &self.network][..], &["image", "rm", "--force", &self.image]] {
            let _ = std::process::Command::new("docker").env("DOCKER_HOST", &self.docker.host).args(args).output();
        }
    }
}

impl Scene {
    /// One instance that sleeps until it is told to end.
    pub fn options(&self) -> pb::DeployOptions {
        pb::DeployOptions {
            name: "core-test".into(),
            entrypoint: Some(pb::EntrypointOptions {
                name: "web".into(),
                commands: ["sh", "-c", "trap exit TERM; while :; do sleep 0.1; done"].map(str::to_owned).to_vec(),
                ..Default::default()
            }),
            podname: "p".into(),
            image: self.image.clone(),
            networks: [(self.network.clone(), String::new())].into(),
            resource_opts: Some(pb::ResourceOptions { memory_limit: 32 << 20, ..Default::default() }),
            count: 1,
            ..Default::default()
        }
    }

    pub async fn deploy(&mut self, options: pb::DeployOptions) -> pb::CreateWorkloadMessage {
        let mut messages = self.core.client.create_workload(options).await.unwrap().into_inner();
        let message = messages.message().await.unwrap().unwrap();
        assert!(messages.message().await.unwrap().is_none());
        message
    }

    pub async fn replace(&mut self, options: pb::ReplaceOptions) -> pb::ReplaceWorkloadMessage {
        let mut messages = self.core.client.replace_workload(options).await.unwrap().into_inner();
        let message = messages.message().await.unwrap().unwrap();
        assert!(messages.message().await.unwrap().is_none());
        message
    }

    pub async fn inside(&self, id: &str, command: &str) -> String {
        self.docker.run(&["exec", id, "sh", "-c", command]).await.unwrap()
    }

    /// What `docker inspect` says by a template.
    pub async fn inspect(&self, id: &str, template: &str) -> String {
        self.docker.run(&["inspect", "--format", template, id]).await.unwrap()
    }

    pub async fn containers(&self) -> Vec<String> {
        let filter = format!("label={}", self.label);
        let ids = self.docker.run(&["ps", "--all", "--quiet", "--no-trunc", "--filter", &filter]).await.unwrap();
        ids.split_whitespace().map(str::to_owned).collect()
    }
}
