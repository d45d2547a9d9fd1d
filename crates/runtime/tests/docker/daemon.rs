//! The daemon, asked by hand: a witness that shares no code with ours.

use eru_runtime::{CreateRequest, Docker, DockerOptions, conformance::request};
use eru_types::{EngineId, Labels, WorkloadName};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    io::{Read, Write},
    os::unix::net::UnixStream,
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
};

/// A script that runs until it is asked to end.
pub const RUNS: &str = "trap 'exit 143' TERM; sleep 1000 & wait";
const SOCKET: &str = "/var/run/docker.sock";
/// Marks everything of one test.
const LABEL: &str = "eru-runtime-test";
const TAG: &str = "1";
const REPOSITORY: &str = "eru-runtime-tests";
const APPLETS: &[&str] =
    &["cat", "dd", "echo", "head", "id", "ls", "printf", "sh", "sleep", "stty", "tail", "true", "yes"];

/// One request, and the whole answer.
fn ask(method: &str, path: &str, kind: &str, body: &[u8]) -> std::io::Result<(u16, String)> {
    let mut stream = UnixStream::connect(SOCKET)?;
    let head = format!(
        "{method} {path} HTTP/1.0\r\nHost: x\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let (mut answer, whole) = (Vec::new(), [head.as_bytes(), body].concat());
    // It answers some before it has read all, and hangs up.
    let hung_up = [std::io::ErrorKind::BrokenPipe, std::io::ErrorKind::ConnectionReset];
    let done = stream.write_all(&whole).and_then(|()| stream.read_to_end(&mut answer).map(drop));
    match done {
        Err(error) if !hung_up.contains(&error.kind()) || answer.is_empty() => return Err(error),
        _ => {}
    }
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default();
    Ok((status, body))
}

fn json_of(method: &str, path: &str, body: &Value) -> (u16, Value) {
    let (status, text) =
        ask(method, path, "application/json", body.to_string().as_bytes()).expect("the daemon answers");
    (status, serde_json::from_str(&text).unwrap_or(Value::Null))
}

/// An image of nothing but busybox, made from scratch once.
pub fn image() -> &'static str {
    static IMAGE: OnceLock<String> = OnceLock::new();
    IMAGE.get_or_init(|| {
        let name = format!("{REPOSITORY}:{TAG}");
        if json_of("GET", &format!("/images/{name}/json"), &Value::Null).0 == 200 {
            return name;
        }
        let mut tar = tar::Builder::new(Vec::new());
        let mut add = |path: &str, data: &[u8], mode: u32, kind: tar::EntryType, link: &str| {
            let mut header = tar::Header::new_gnu();
            header.set_size(data.len() as u64);
            header.set_mode(mode);
            header.set_entry_type(kind);
            if link.is_empty() {
                tar.append_data(&mut header, path, data).unwrap();
            } else {
                tar.append_link(&mut header, path, link).unwrap();
            }
        };
        add("tmp/", b"", 0o1777, tar::EntryType::Directory, "");
        add("etc/passwd", b"root:x:0:0:root:/:/bin/sh\n", 0o644, tar::EntryType::Regular, "");
        add(
            "bin/busybox",
            &std::fs::read("/bin/busybox").expect("a static busybox"),
            0o755,
            tar::EntryType::Regular,
            "",
        );
        for applet in APPLETS {
            add(&format!("bin/{applet}"), b"", 0o777, tar::EntryType::Symlink, "busybox");
        }
        let tar = tar.into_inner().unwrap();
        let path = format!("/images/create?fromSrc=-&repo={REPOSITORY}&tag={TAG}");
        let (status, text) = ask("POST", &path, "application/x-tar", &tar).expect("the daemon answers");
        assert!(status == 200 && !text.contains("\"error\""), "{status} {text}");
        name
    })
}

/// A daemon to be tested; what was made with it is gone with it.
pub struct Daemon {
    pub docker: Docker,
    pub run: String,
    networks: Vec<String>,
}

impl Daemon {
    /// `None`, and a line that names `test`, where none answers.
    pub fn find(test: &str) -> Option<Self> {
        if ask("GET", "/_ping", "", b"").is_ok_and(|(status, _)| status == 200) {
            return Some(Self::new());
        }
        assert!(
            std::env::var_os("ERU_REQUIRE_DOCKER").is_none(),
            "a Docker daemon at {SOCKET} is required but missing"
        );
        // Not captured, as `eprintln!` would be: a skipped test must not look like one that passed.
        let _ = writeln!(std::io::stderr(), "skipped: {test}: no Docker daemon at {SOCKET}");
        None
    }

    pub fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let run = format!("{}x{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let options = DockerOptions { network_mode: "bridge".into(), ..DockerOptions::new(format!("unix://{SOCKET}")) };
        Self { docker: Docker::connect(options).expect("an endpoint"), run, networks: Vec::new() }
    }

    /// `app_web_aaaaaa` for this test alone.
    pub fn name(&self, name: &str) -> String {
        let rest = name.strip_prefix("app").expect("the suite's app");
        format!("t{}{rest}", self.run)
    }

    pub fn labels(&self) -> Labels {
        let pairs = [("ERU", "1"), (LABEL, &self.run)].map(|(k, v)| (k.to_owned(), v.to_owned()));
        Labels::new(BTreeMap::from(pairs)).expect("labels")
    }

    /// A workload of this shell script.
    pub fn script(&self, name: &str, script: &str) -> CreateRequest {
        let command = ["/bin/sh", "-c", script].map(String::from).to_vec();
        CreateRequest { command, image: image().to_owned(), labels: self.labels(), ..request(&self.name(name), &[]) }
    }

    /// A network of its own, with this subnet where one is given.
    pub fn network(&mut self, subnet: Option<&str>) -> String {
        let name = format!("eru-runtime-{}-{}", self.run, self.networks.len());
        let config: Vec<Value> = subnet.iter().map(|subnet| json!({"Subnet": subnet})).collect();
        let body = json!({"Name": name, "Driver": "bridge", "IPAM": {"Config": config}, "Labels": {LABEL: self.run}});
        let (status, answer) = json_of("POST", "/networks/create", &body);
        assert_eq!(status, 201, "{answer}");
        self.networks.push(name.clone());
        name
    }

    /// The id of such a network.
    pub fn network_id(&self, name: &str) -> String {
        let (status, answer) = json_of("GET", &format!("/networks/{name}"), &Value::Null);
        assert_eq!(status, 200, "{answer}");
        answer["Id"].as_str().expect("an id").to_owned()
    }

    /// What the daemon says of a container.
    pub fn inspect(&self, id: &EngineId) -> Value {
        json_of("GET", &format!("/containers/{id}/json"), &Value::Null).1
    }

    pub fn workload_name(&self, name: &str) -> WorkloadName {
        WorkloadName::parse(&self.name(name)).expect("a name")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let filters = json!({"label": [format!("{LABEL}={}", self.run)]}).to_string();
        let filters: String = filters.bytes().map(|b| format!("%{b:02X}")).collect();
        // A panic here would hide that of the test.
        let list = || ask("GET", &format!("/containers/json?all=1&filters={filters}"), "", b"").ok();
        let Some((_, text)) = (0..3).find_map(|_| list()) else {
            eprintln!("containers with the label {LABEL}={} may be left", self.run);
            return;
        };
        let all: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
        for container in all.as_array().into_iter().flatten() {
            let id = container["Id"].as_str().unwrap_or_default();
            let _ = ask("DELETE", &format!("/containers/{id}?force=1&v=1"), "", b"");
        }
        for network in &self.networks {
            let _ = ask("DELETE", &format!("/networks/{network}"), "", b"");
        }
    }
}
