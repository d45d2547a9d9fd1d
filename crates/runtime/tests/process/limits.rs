//! Addresses, bad input, and bounds.

use crate::{
    subject::{Plain, options, plain, workload},
    tests,
};
use eru_runtime::{
    CreateRequest, Error, LogOptions, Process, ProcessOptions, Runtime, ShimCommand, State, conformance::within,
};
use eru_types::Labels;
use futures::StreamExt;
use std::{
    fs,
    io::Read,
    net::{IpAddr, TcpStream},
    time::Duration,
};

pub const TESTS: &[crate::Test] = tests![
    three_servers_on_one_port,
    what_cannot_be_executed_says_why,
    bad_requests_name_what_is_wrong,
    the_environment_is_what_was_asked_for,
    a_gibibyte_without_a_line_end_stays_bounded,
    output_is_rotated,
    a_missing_shim_is_named,
    an_unusable_folder_is_named,
    backoff_ends_with_a_stop,
    root_may_name_another_user,
    the_shim_is_small,
];

async fn three_servers_on_one_port() {
    const PORT: u16 = 18_080;
    let plain = Plain::new().await;
    let mut addresses = Vec::new();
    let mut ids = Vec::new();
    for n in 0..3 {
        let request = CreateRequest { command: workload(&["serve", "18080"]), ..plain_request(n) };
        let id = plain.runtime.create(&request).await.unwrap();
        plain.runtime.start(&id).await.unwrap();
        let seen = plain.inspect(&id).await;
        let address: IpAddr = seen.networks["loopback"].parse().unwrap();
        assert_eq!(seen.probe_address, Some(address));
        addresses.push(address);
        ids.push(id);
    }
    for address in &addresses {
        let mut connection = within("it listens", async || TcpStream::connect((*address, PORT)).ok()).await;
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, address.to_string());
    }
    // One that wants an address that is taken is refused; one that cannot bind shows why.
    let wanted = [("loopback".to_owned(), addresses[0].to_string())].into();
    let error = plain.runtime.create(&CreateRequest { networks: wanted, ..plain_request(4) }).await.unwrap_err();
    assert!(error.to_string().ends_with("is in use by another workload"), "{error}");
    let env = vec![("ERU_IP".to_owned(), addresses[0].to_string())];
    let second = CreateRequest { command: workload(&["serve", "18080"]), env, ..plain_request(5) };
    let id = plain.runtime.create(&second).await.unwrap();
    plain.runtime.start(&id).await.unwrap();
    let seen = plain.exited(&id).await;
    assert!(seen.reason.starts_with(&format!("cannot listen on {}:18080: Address", addresses[0])), "{seen:?}");
    // An address comes back with the end of its workload.
    plain.runtime.remove(&ids[0], true).await.unwrap();
    let wanted = [("host".to_owned(), addresses[0].to_string())].into();
    plain.runtime.create(&CreateRequest { networks: wanted, ..plain_request(6) }).await.unwrap();
    // And is still taken after a restart.
    let plain = Plain::reopen(plain.die().await).await;
    let wanted = [(String::new(), addresses[1].to_string())].into();
    let error = plain.runtime.create(&CreateRequest { networks: wanted, ..plain_request(7) }).await.unwrap_err();
    assert!(matches!(error, Error::Invalid(_)), "{error}");
    plain.clear().await;
}

fn plain_request(n: usize) -> CreateRequest {
    plain(&format!("a_b_00000{n}"), &["sleep", "1000"])
}

async fn what_cannot_be_executed_says_why() {
    let plain = Plain::new().await;
    let file = plain.folder.path().join("file");
    fs::write(&file, "#!/bin/sh\n").unwrap();
    let file = file.to_str().unwrap();
    let under_a_file = format!("{file}/x");
    for (n, (command, dir, code, cause)) in [
        ("no-such-program", "", 127, "cannot execute \"no-such-program\": No such file or directory"),
        (file, "", 126, &format!("cannot execute \"{file}\": Permission denied")),
        ("true", "/no/such/dir", 126, "cannot use working directory \"/no/such/dir\": No such file or directory"),
        (
            "true",
            under_a_file.as_str(),
            126,
            &format!("cannot use working directory {under_a_file:?}: Not a directory"),
        ),
    ]
    .into_iter()
    .enumerate()
    {
        // A folder of the path that may not be searched would change the words for what is missing.
        let env = vec![("PATH".to_owned(), "/usr/bin:/bin".to_owned())];
        let request = CreateRequest { command: vec![command.into()], dir: dir.into(), env, ..plain_request(n) };
        let id = plain.runtime.create(&request).await.unwrap();
        let error = plain.runtime.start(&id).await.unwrap_err().to_string();
        assert_eq!(error, format!("cannot start a_b_00000{n}: {cause}"));
        let seen = plain.inspect(&id).await;
        assert_eq!((seen.state, seen.exit.unwrap().code, seen.reason.as_str()), (State::Exited, code, cause));
    }
    plain.clear().await;
}

async fn bad_requests_name_what_is_wrong() {
    let plain = Plain::new().await;
    let long = "x".repeat(200_000);
    let text = |s: &str| s.to_owned();
    let good = plain_request(0);
    for (request, part) in [
        (CreateRequest { image: text("nginx"), ..good.clone() }, "image \"nginx\": this runtime runs plain commands"),
        (CreateRequest { command: vec![text("")], ..good.clone() }, "command is empty"),
        (CreateRequest { command: vec![text("a\0b")], ..good.clone() }, "holds a NUL"),
        (CreateRequest { command: vec![text("a"), long.clone()], ..good.clone() }, "must be at most 131071 bytes"),
        (CreateRequest { command: vec!["x".repeat(100_000); 20], ..good.clone() }, "at most 1048576 bytes together"),
        (CreateRequest { env: vec![(text("A=B"), text(""))], ..good.clone() }, "got \"A=B\""),
        (CreateRequest { env: vec![(text(""), text("x"))], ..good.clone() }, "env name must not be empty"),
        (CreateRequest { dir: text("../x"), ..good.clone() }, "dir must be an absolute path, got \"../x\""),
        (CreateRequest { user: text("no\x1bbody"), ..good.clone() }, "no\\u{1b}body"),
        (CreateRequest { restart: text("maybe"), ..good.clone() }, "got \"maybe\""),
        (CreateRequest { networks: [(text("bridge"), text(""))].into(), ..good.clone() }, "network must be loopback"),
        (CreateRequest { networks: [(text("host"), text("10.0.0.1"))].into(), ..good.clone() }, "got \"10.0.0.1\""),
    ] {
        let error = plain.runtime.create(&request).await.unwrap_err();
        assert!(matches!(error, Error::Invalid(_)) && error.to_string().contains(part), "{error}");
        assert!(error.to_string().len() < 400, "{error}");
    }
    assert!(plain.runtime.list(&Labels::default()).await.unwrap().is_empty());
    assert_eq!(fs::read_dir(plain.folder.path().join("workloads")).unwrap().count(), 0);
    assert_eq!(fs::read_dir(plain.folder.path().join("new")).unwrap().count(), 0);
    plain.clear().await;
}

async fn the_environment_is_what_was_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let runtime =
        Process::open(ProcessOptions { path_prefix: Some("/first".into()), ..options(&folder) }).await.unwrap();
    let plain = Plain { folder, runtime };
    let env = vec![("A".to_owned(), "1".to_owned()), ("A".to_owned(), "2 b".to_owned())];
    let command = ["sh", "-c", "echo $PWD; env | sort"].map(str::to_owned).into();
    let id = plain.runtime.create(&CreateRequest { env, command, ..plain_request(0) }).await.unwrap();
    plain.runtime.start(&id).await.unwrap();
    let address = plain.inspect(&id).await;
    let lines = plain.lines(&id, true).await;
    assert_eq!(lines[0], plain.path(&id, "work").display().to_string());
    let names: Vec<_> = lines[1..].iter().map(|l| l.split('=').next().unwrap()).collect();
    for name in ["A", "ERU_IP", "HOME", "LANG", "PATH"] {
        assert!(names.contains(&name), "{names:?}");
    }
    assert!(names.iter().all(|n| !n.starts_with("CARGO")), "ours is not handed on");
    assert!(lines.contains(&"A=2 b".to_owned()) && lines.iter().any(|l| l.starts_with("PATH=/first:")), "{lines:?}");
    if let Some(ip) = address.networks.get("loopback") {
        assert!(lines.contains(&format!("ERU_IP={ip}")));
    }
    plain.clear().await;
}

async fn a_gibibyte_without_a_line_end_stays_bounded() {
    const BYTES_MAX: u64 = 1 << 20;
    let folder = tempfile::tempdir().unwrap();
    let runtime = Process::open(ProcessOptions { log_bytes_max: BYTES_MAX, ..options(&folder) }).await.unwrap();
    let plain = Plain { folder, runtime };
    let command = workload(&["spew", &(1 << 30).to_string()]);
    let id = plain.runtime.create(&CreateRequest { command, ..plain_request(0) }).await.unwrap();
    plain.runtime.start(&id).await.unwrap();
    let seen = within("it is done", async || {
        let size = |name| fs::metadata(plain.path(&id, name)).map_or(0, |m| m.len());
        assert!(size("log") + size("log.1") <= BYTES_MAX);
        let seen = plain.inspect(&id).await;
        (seen.state == State::Exited).then_some(seen)
    })
    .await;
    assert_eq!(seen.exit.unwrap().code, 0);
    let lines = plain.lines(&id, false).await;
    assert_eq!(lines.last().map(String::as_str), Some("end"));
    assert!(lines.iter().all(|l| l.len() <= 16 * 1024));
    plain.clear().await;
}

async fn output_is_rotated() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = Process::open(ProcessOptions { log_bytes_max: 200_000, ..options(&folder) }).await.unwrap();
    let plain = Plain { folder, runtime };
    let script = "seq 1 50000; printf 'no end' >&2";
    let command = ["sh", "-c", script].map(str::to_owned).into();
    let id = plain.runtime.create(&CreateRequest { command, ..plain_request(0) }).await.unwrap();
    plain.runtime.start(&id).await.unwrap();
    plain.exited(&id).await;
    assert!(plain.path(&id, "log.1").exists());
    let lines = plain.lines(&id, false).await;
    let numbers: Vec<u32> = lines.iter().filter_map(|l| l.parse().ok()).collect();
    assert_eq!(lines.last().map(String::as_str), Some("no end"));
    assert!(numbers.len() > 4_000 && numbers.last() == Some(&50_000), "{}", numbers.len());
    assert!(numbers.windows(2).all(|w| w[1] == w[0] + 1), "no gap in what is kept");
    let options = LogOptions { tail: Some(3), ..LogOptions::default() };
    let tail: Vec<_> = plain.runtime.logs(&id, options).await.unwrap().collect().await;
    let tail: Vec<_> = tail.into_iter().map(|l| l.unwrap().data).collect();
    assert_eq!(tail, ["49999", "50000", "no end"]);
    plain.clear().await;
}

async fn a_missing_shim_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let shim = ShimCommand { program: "/no/such/shim".into(), args: Vec::new() };
    let runtime = Process::open(ProcessOptions::new(folder.path(), shim)).await.unwrap();
    let id = runtime.create(&plain_request(0)).await.unwrap();
    for _ in 0..2 {
        let error = runtime.start(&id).await.unwrap_err().to_string();
        assert_eq!(error, "runtime: cannot execute the shim /no/such/shim: No such file or directory");
    }
    runtime.close().await;
    drop(runtime);
    // A shim that ends without a word is an error too, not a wait.
    let shim = ShimCommand { program: "/bin/false".into(), args: Vec::new() };
    let options = ProcessOptions::new(folder.path(), shim);
    let runtime = within("the folder is free", async || Process::open(options.clone()).await.ok()).await;
    let error = runtime.start(&id).await.unwrap_err().to_string();
    assert!(error.contains("the shim of a_b_000000 ended with code 1"), "{error}");
    assert_eq!(runtime.inspect(&id).await.unwrap().state, State::Created);
    runtime.remove(&id, false).await.unwrap();
    runtime.close().await;
}

async fn an_unusable_folder_is_named() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    let options = ProcessOptions { folder: folder.path().join("file/x"), ..options(&folder) };
    let error = Process::open(options).await.map(drop).unwrap_err().to_string();
    assert!(error.contains("file/x: Not a directory"), "{error}");
}

async fn backoff_ends_with_a_stop() {
    let plain = Plain::new().await;
    let command = ["sh", "-c", "echo boom >&2; exit 1"].map(str::to_owned).into();
    let request = CreateRequest { restart: "always".into(), command, ..plain_request(0) };
    let id = plain.runtime.create(&request).await.unwrap();
    plain.runtime.start(&id).await.unwrap();
    within("it was restarted", async || (plain.inspect(&id).await.restarts >= 2).then_some(())).await;
    let waits = async || Some(plain.inspect(&id).await.reason).filter(|reason| !reason.is_empty());
    let reason = within("it waits", waits).await;
    assert!(reason.starts_with("boom; its restart policy starts it again at ") && reason.ends_with(" UTC"), "{reason}");
    assert!(matches!(plain.runtime.remove(&id, false).await, Err(Error::Running(_))));
    plain.runtime.stop(&id, Duration::from_secs(10)).await.unwrap();
    let seen = plain.inspect(&id).await;
    assert_eq!(seen.state, State::Exited);
    assert!(!seen.reason.contains("again"), "{seen:?}");
    plain.runtime.remove(&id, false).await.unwrap();
    plain.clear().await;
}

async fn root_may_name_another_user() {
    let plain = Plain::new().await;
    let command: Vec<String> = ["sh", "-c", "id -u; echo x > file; echo again > /dev/stdout"].map(str::to_owned).into();
    let request = CreateRequest { user: "nobody".into(), command, ..plain_request(0) };
    let created = plain.runtime.create(&request).await;
    if rustix::process::geteuid().is_root() {
        let id = created.unwrap();
        plain.runtime.start(&id).await.unwrap();
        assert_eq!(plain.exited(&id).await.exit.unwrap().code, 0);
        assert_eq!(plain.lines(&id, false).await, ["65534", "again"]);
        assert!(plain.path(&id, "work").join("file").exists());
    } else {
        assert_eq!(created.is_ok(), rustix::process::geteuid().as_raw() == 65_534, "an ordinary user is itself");
    }
    plain.clear().await;
}

async fn the_shim_is_small() {
    // A shim a workload: a hundred of them must not be felt. What is its own, not shared with the program's file.
    const OWN_KIB_MAX: u64 = 2_048;
    let plain = Plain::new().await;
    let id = plain.started("a_b_000001", &["sleep", "1000"]).await;
    let rollup = fs::read_to_string(format!("/proc/{}/smaps_rollup", plain.shim(&id))).unwrap();
    let kib = |name: &str| -> u64 {
        let line = rollup.lines().find(|l| l.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    let own = kib("Private_Dirty:");
    println!("  the shim has {own} KiB of its own");
    assert!(own <= OWN_KIB_MAX);
    plain.clear().await;
}
