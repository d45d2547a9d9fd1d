//! The program, from outside.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, ChildStderr, Command, Stdio},
    time::Duration,
};

const PATIENCE: Duration = Duration::from_secs(20);

struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(args: &[&str], env: &[(&str, &str)]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_eru-hello"))
            .args(["--port", "0"])
            .args(args)
            .envs(env.iter().copied())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
        let address = line.trim().strip_prefix("listening on ").expect("it says where").to_owned();
        Self { child, address }
    }

    fn send(&self, method: &str, target: &str) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let request = format!("{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("it reads");
        stream
    }

    fn ask(&self, method: &str, target: &str) -> String {
        let mut answer = String::new();
        self.send(method, target).read_to_string(&mut answer).expect("an answer");
        answer
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().expect("kill").success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn it_says_who_it_is_and_how_it_is() {
    let server = Server::start(&[], &[("ERU_IP", "127.64.77.3"), ("ERU_WORKLOAD_SEQ", "2")]);
    assert!(server.address.starts_with("127.64.77.3:"));
    assert!(server.ask("GET", "/").ends_with(&format!("hello from 2 pid {}\n", server.child.id())));
    assert!(server.ask("GET", "/health").starts_with("HTTP/1.1 200"));
    server.ask("POST", "/fail");
    assert!(server.ask("GET", "/health").starts_with("HTTP/1.1 503"));
}

#[test]
fn it_ends_with_the_code_that_was_asked_for() {
    let mut server = Server::start(&[], &[]);
    assert!(server.ask("POST", "/exit?code=7").contains("ends with code 7"));
    assert_eq!(server.child.wait().expect("its end").code(), Some(7));
    let mut server = Server::start(&["--exit-after", "10ms:3"], &[]);
    assert_eq!(server.child.wait().expect("its end").code(), Some(3));
}

#[test]
fn it_hangs_when_asked_to() {
    let server = Server::start(&[], &[]);
    assert!(server.ask("POST", "/hang").contains("last answer"));
    let mut stream = server.send("GET", "/health");
    stream.set_read_timeout(Some(Duration::from_millis(200))).expect("a timeout");
    let error = stream.read(&mut [0]).expect_err("no answer");
    assert!(matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut), "{error}");
}

#[test]
fn a_term_ends_it_unless_it_is_ignored() {
    let mut server = Server::start(&[], &[]);
    server.signal("TERM");
    assert_eq!(server.child.wait().expect("its end").code(), Some(0));
    let server = Server::start(&["--ignore-term"], &[]);
    server.signal("TERM");
    assert!(server.ask("GET", "/").contains("hello from"));
}

#[test]
fn what_it_cannot_do_it_says() {
    let server = Server::start(&[], &[]);
    let port = server.address.rsplit(':').next().expect("a port");
    let text = |stderr: Option<ChildStderr>| {
        let mut text = String::new();
        stderr.expect("a pipe").read_to_string(&mut text).expect("text");
        text
    };
    let taken = format!(
        "cannot listen on 127.0.0.1:{port}: Address already in use: end what listens on that port, or take another --port\n"
    );
    for (args, env, code, wanted) in [
        (["--port", port], ("X", ""), 1, taken),
        (["--port", "0"], ("ERU_IP", "nowhere"), 1, "ERU_IP must be an address, got \"nowhere\"\n".to_owned()),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_eru-hello"));
        let mut child = command.args(args).env(env.0, env.1).stderr(Stdio::piped()).spawn().expect("the program");
        assert_eq!(child.wait().expect("its end").code(), Some(code));
        assert_eq!(text(child.stderr.take()), wanted);
    }
}

#[test]
fn a_wrong_option_is_one_line() {
    let output = Command::new(env!("CARGO_BIN_EXE_eru-hello")).arg("--frob").output().expect("the program");
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(said, "eru-hello: unexpected argument '--frob' found; see --help\n");
}
