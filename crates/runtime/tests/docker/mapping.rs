//! What is asked of the daemon arrives, and what it cannot give is refused with the reason.

use crate::daemon::{self, Daemon, RUNS};
use eru_runtime::{CreateRequest, Error, ExecRequest, Runtime, SentFile, State};
use eru_types::{EngineId, MemoryBytes, Volume};
use futures::StreamExt;
use std::collections::BTreeSet;

macro_rules! daemon {
    ($test:literal) => {
        match Daemon::find($test) {
            Some(daemon) => daemon,
            None => return,
        }
    };
}

async fn started(daemon: &Daemon, request: &CreateRequest) -> EngineId {
    let id = daemon.docker.create(request).await.expect("create");
    daemon.docker.start(&id).await.expect("start");
    id
}

/// What a command inside prints.
async fn printed(daemon: &Daemon, id: &EngineId, script: &str) -> String {
    let command = ["/bin/sh", "-c", script].map(String::from).to_vec();
    let mut session = daemon.docker.exec(id, &ExecRequest { command, ..ExecRequest::default() }).await.expect("exec");
    let mut text = Vec::new();
    while let Some(piece) = session.output.next().await {
        text.extend_from_slice(&piece.expect("output").1);
    }
    String::from_utf8_lossy(&text).trim().to_owned()
}

#[tokio::test]
async fn open_files_are_what_it_can_give_on_docker() {
    let daemon = daemon!("open_files_are_what_it_can_give_on_docker");
    let id = started(&daemon, &daemon.script("app_web_aaaaaa", RUNS)).await;
    let files: u64 = printed(&daemon, &id, "ulimit -n").await.parse().expect("a number");
    assert!((1..=65_535).contains(&files), "{files}");
    if files < 65_535 {
        let mut more = daemon.script("app_web_aaaaab", RUNS);
        more.extras.raw = r#"{"ulimits":[{"Name":"nofile","Soft":65535,"Hard":65535}]}"#.into();
        let error = daemon.docker.create(&more).await.expect_err("more than it has");
        assert!(matches!(&error, Error::Invalid(text) if text.contains(&format!("at most {files}"))), "{error}");
    }
}

#[tokio::test]
async fn users_are_known_or_named_on_docker() {
    let daemon = daemon!("users_are_known_or_named_on_docker");
    let mut request = daemon.script("app_web_aaaaaa", RUNS);
    request.user = "nobody".into();
    let id = daemon.docker.create(&request).await.expect("create");
    let error = daemon.docker.start(&id).await.expect_err("no such user");
    let Error::Start { name, cause } = error else { panic!("{error}") };
    assert_eq!(name, daemon.name("app_web_aaaaaa"));
    assert!(cause.contains("the image does not know user \"nobody\""), "{cause}");
    let seen = daemon.docker.inspect(&id).await.expect("inspect");
    assert_eq!((seen.state, seen.reason), (State::Exited, cause));
    let mut request = daemon.script("app_web_aaaaab", RUNS);
    (request.user, request.privileged) = ("7".into(), true);
    let id = daemon.docker.create(&request).await.expect("create");
    assert_eq!(daemon.inspect(&id)["Config"]["User"], "0");
}

#[tokio::test]
async fn says_what_image_and_network_are_missing_on_docker() {
    let daemon = daemon!("says_what_image_and_network_are_missing_on_docker");
    let request = CreateRequest { image: "eru-runtime-tests:nosuch".into(), ..daemon.script("app_web_aaaaaa", RUNS) };
    let error = daemon.docker.create(&request).await.expect_err("no image");
    assert!(matches!(&error, Error::NoImage(name) if name == "eru-runtime-tests:nosuch"), "{error}");
    let mut request = daemon.script("app_web_aaaaaa", RUNS);
    request.networks.insert("eru-nosuch".into(), String::new());
    for with in [None, Some("bridge")] {
        request.networks.extend(with.map(|network| (network.to_owned(), String::new())));
        let error = daemon.docker.create(&request).await.expect_err("no network").to_string();
        assert!(error.starts_with("network \"eru-nosuch\" does not exist on "), "{error}");
        assert_eq!(daemon.docker.find(&daemon.workload_name("app_web_aaaaaa")).await.expect("find"), None);
    }
}

#[tokio::test]
async fn a_network_is_known_by_its_id_on_docker() {
    let mut daemon = daemon!("a_network_is_known_by_its_id_on_docker");
    let network = daemon.network(None);
    let id = daemon.network_id(&network);
    let mut request = daemon.script("app_web_aaaaaa", RUNS);
    request.networks.insert(id[..12].to_owned(), String::new());
    let id = started(&daemon, &request).await;
    let seen = daemon.docker.inspect(&id).await.expect("inspect");
    assert_eq!(seen.networks.keys().collect::<Vec<_>>(), [&network]);
}

#[tokio::test]
async fn pull_errors_are_errors_on_docker() {
    let daemon = daemon!("pull_errors_are_errors_on_docker");
    // Nothing listens on port 1.
    let failed = match daemon.docker.pull("127.0.0.1:1/nosuch:1", None).await {
        Err(error) => error,
        Ok(mut progress) => loop {
            match progress.next().await.expect("an error before the end") {
                Ok(_) => {}
                Err(error) => break error,
            }
        },
    };
    let text = failed.to_string();
    assert!(text.contains("cannot pull image \"127.0.0.1:1/nosuch:1\"") && text.contains("refused"), "{text}");
}

#[tokio::test]
async fn several_networks_are_joined_before_the_start_on_docker() {
    let mut daemon = daemon!("several_networks_are_joined_before_the_start_on_docker");
    let (first, second) = (daemon.network(Some("10.222.61.0/24")), daemon.network(None));
    let mut request = daemon.script("app_web_aaaaaa", RUNS);
    request.networks.insert(first.clone(), "10.222.61.77".into());
    let alone = daemon.docker.create(&request).await.expect("create");
    // As if we had died before the second was joined.
    request.networks.insert(second.clone(), String::new());
    assert_eq!(daemon.docker.create(&request).await.expect("create again"), alone);
    daemon.docker.start(&alone).await.expect("start");
    let seen = daemon.docker.inspect(&alone).await.expect("inspect");
    assert_eq!(seen.networks.keys().collect::<Vec<_>>(), [&first, &second]);
    assert_eq!(seen.networks[&first], "10.222.61.77");
    assert!(seen.probe_address.is_some());
}

#[tokio::test]
async fn the_machines_network_has_the_machines_address_on_docker() {
    let daemon = daemon!("the_machines_network_has_the_machines_address_on_docker");
    let mut request = daemon.script("app_web_aaaaaa", RUNS);
    request.networks.insert("host".into(), String::new());
    let id = started(&daemon, &request).await;
    let seen = daemon.docker.inspect(&id).await.expect("inspect");
    let address = seen.networks["host"].clone();
    assert!(address.parse::<std::net::IpAddr>().is_ok(), "{address:?}");
    assert_eq!(seen.probe_address, Some([127, 0, 0, 1].into()));
    assert_eq!(printed(&daemon, &id, "echo $ERU_NODE_IP").await, address);
    let mut request = daemon.script("app_web_aaaaab", RUNS);
    request.networks.insert("none".into(), String::new());
    let id = started(&daemon, &request).await;
    let seen = daemon.docker.inspect(&id).await.expect("inspect");
    assert!(seen.networks.is_empty() && seen.probe_address.is_none(), "{seen:?}");
}

#[tokio::test]
async fn published_ports_are_bound_on_docker() {
    let daemon = daemon!("published_ports_are_bound_on_docker");
    let port = std::net::TcpListener::bind("0.0.0.0:0").expect("a port").local_addr().expect("its number").port();
    let request = CreateRequest { publish: vec![port], ..daemon.script("app_web_aaaaaa", RUNS) };
    let id = daemon.docker.create(&request).await.expect("create");
    let bound = &daemon.inspect(&id)["HostConfig"]["PortBindings"][format!("{port}/tcp")];
    assert_eq!(bound[0]["HostPort"], port.to_string());
}

#[tokio::test]
async fn scheduled_volumes_are_folders_of_their_own_on_docker() {
    let daemon = daemon!("scheduled_volumes_are_folders_of_their_own_on_docker");
    let device = tempfile::tempdir().expect("a folder");
    let volume: Volume = "AUTO:/data:rw:100".parse().expect("a volume");
    let mut folders = Vec::new();
    for name in ["app_web_aaaaaa", "app_web_aaaaab"] {
        let mut request = daemon.script(name, RUNS);
        let plan = [(device.path().display().to_string(), 100)].into();
        request.allotment.volume_plan_limit.insert(volume.to_string(), plan);
        request.allotment.volumes_limit.push(volume.clone());
        let id = started(&daemon, &request).await;
        assert_eq!(printed(&daemon, &id, "ls /data; echo x > /data/mine").await, "", "nothing of another is there");
        folders.push(device.path().join(daemon.name(name)).join("mine"));
    }
    assert!(folders.iter().all(|file| file.exists()), "{folders:?}");
}

#[tokio::test]
async fn memory_is_enforced_and_its_want_told_on_docker() {
    let daemon = daemon!("memory_is_enforced_and_its_want_told_on_docker");
    let mut request = daemon.script("app_web_aaaaaa", "exec tail /dev/zero");
    request.resources.memory_limit = MemoryBytes(16 << 20);
    let id = started(&daemon, &request).await;
    let exit = daemon.docker.wait(&id).await.expect("wait");
    assert!(exit.oom_killed && exit.signal == 9, "{exit:?}");
    assert!(daemon.docker.inspect(&id).await.expect("inspect").reason.contains("memory"));
}

#[tokio::test]
async fn files_do_not_replace_folders_on_docker() {
    let daemon = daemon!("files_do_not_replace_folders_on_docker");
    let id = daemon.docker.create(&daemon.script("app_web_aaaaaa", RUNS)).await.expect("create");
    let file = SentFile { path: "/tmp".into(), data: "x".into(), mode: 0o644, uid: 0, gid: 0 };
    let error = daemon.docker.send_files(&id, &[file]).await.expect_err("it is a folder");
    assert!(error.to_string().contains("cannot overwrite directory"), "{error}");
}

#[tokio::test]
async fn a_hundred_are_listed_on_docker() {
    const MANY: usize = 100;
    let daemon = daemon!("a_hundred_are_listed_on_docker");
    daemon::image();
    let requests: Vec<_> = (0..MANY).map(|n| daemon.script(&format!("app_web_aaa{n:03}"), RUNS)).collect();
    let created = futures::stream::iter(&requests).map(|request| daemon.docker.create(request)).buffer_unordered(8);
    let created: Vec<_> = created.collect().await;
    assert!(created.iter().all(Result::is_ok), "{created:?}");
    let all = daemon.docker.list(&daemon.labels()).await.expect("list");
    let names: BTreeSet<_> = all.iter().map(|seen| &seen.name).collect();
    assert_eq!((all.len(), names.len()), (MANY, MANY));
}
