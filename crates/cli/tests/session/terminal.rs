//! `workload exec -i` on a terminal.

use crate::child::{command, exit_code};
use crate::core::{ID, PATIENCE};
use crate::exec::{Exec, core};
use eru_api::pb::StdStreamType::Stdout;
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, OutputModes, Termios, Winsize, tcgetattr, tcsetwinsize};
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use tokio::process::Child;
use tonic::Status;

/// A terminal: what a person looks at, and what a program is given.
struct Terminal {
    master: File,
    slave: File,
    before: Termios,
}

impl Terminal {
    fn new() -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let slave = OpenOptions::new().read(true).write(true).open(name).unwrap();
        let before = tcgetattr(&slave).unwrap();
        let terminal = Self { master: master.into(), slave, before };
        terminal.resize(30, 100);
        terminal
    }

    fn resize(&self, rows: u16, columns: u16) {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&self.slave, size).unwrap();
    }

    fn start(&self, address: &str) -> Child {
        let end = || self.slave.try_clone().unwrap();
        let mut command = command(address, &["workload", "exec", "-i", ID, "sh"]);
        command.stdin(end()).stdout(end()).stderr(end()).spawn().unwrap()
    }

    fn press(&self, keys: &[u8]) {
        (&self.master).write_all(keys).unwrap();
    }

    /// Reads from the screen until it ends with `text`.
    async fn shows(&self, text: &str) {
        let mut master = self.master.try_clone().unwrap();
        let text = text.to_owned();
        let reader = tokio::task::spawn_blocking(move || {
            let (mut screen, mut byte) = (Vec::new(), [0]);
            while !screen.ends_with(text.as_bytes()) {
                master.read_exact(&mut byte).unwrap();
                screen.push(byte[0]);
            }
        });
        tokio::time::timeout(PATIENCE, reader).await.expect("it is shown").unwrap();
    }

    fn is_raw(&self) -> bool {
        let now = tcgetattr(&self.slave).unwrap();
        !now.local_modes.intersects(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG)
            && !now.output_modes.contains(OutputModes::OPOST)
    }

    fn is_as_before(&self) -> bool {
        let now = tcgetattr(&self.slave).unwrap();
        let modes = |t: &Termios| (t.input_modes, t.output_modes, t.control_modes, t.local_modes);
        modes(&now) == modes(&self.before)
    }
}

/// Takes the first two messages: what to run, and the size of the terminal.
async fn begin(call: &mut Exec) {
    let first = call.hear().await.unwrap();
    assert!(first.open_stdin && !first.no_terminal);
    assert_eq!(call.hear().await.unwrap().repl_cmd, &b"\x80{\"Row\":30,\"Col\":100}"[..]);
}

pub async fn raw_and_back() {
    let terminal = Terminal::new();
    let mut core = core().await;
    let mut child = terminal.start(&core.address);
    let mut call = core.accept().await;
    begin(&mut call).await;
    assert!(terminal.is_raw());

    // Ctrl-C, Ctrl-D and Ctrl-Z are keys like all others.
    for keys in [&b"ls\r"[..], b"\x03", b"\x04", b"\x1a", "ü".as_bytes()] {
        terminal.press(keys);
        assert_eq!(call.hear().await.unwrap().repl_cmd, keys);
    }
    terminal.resize(24, 80);
    kill_process(Pid::from_raw(child.id().unwrap() as i32).unwrap(), Signal::WINCH).unwrap();
    assert_eq!(call.hear().await.unwrap().repl_cmd, &b"\x80{\"Row\":24,\"Col\":80}"[..]);

    call.output(ID, Stdout, b"one\ntwo").await;
    terminal.shows("one\ntwo").await;
    call.exited(ID, 42).await;
    drop(call);
    assert_eq!(exit_code(&mut child).await, 42);
    assert!(terminal.is_as_before());
}

pub async fn ended_by_a_signal() {
    for (signal, code) in [(Signal::TERM, 143), (Signal::HUP, 129), (Signal::INT, 130), (Signal::QUIT, 131)] {
        let terminal = Terminal::new();
        let mut core = core().await;
        let mut child = terminal.start(&core.address);
        let mut call = core.accept().await;
        begin(&mut call).await;
        assert!(terminal.is_raw());
        kill_process(Pid::from_raw(child.id().unwrap() as i32).unwrap(), signal).unwrap();
        call.abandoned().await;
        assert_eq!(exit_code(&mut child).await, code);
        assert!(terminal.is_as_before(), "after {code}");
    }
}

pub async fn left_by_the_key() {
    let terminal = Terminal::new();
    let mut core = core().await;
    let mut child = terminal.start(&core.address);
    let mut call = core.accept().await;
    begin(&mut call).await;
    terminal.press(b"\x1d");
    let end = call.hear().await.unwrap();
    assert_eq!((end.close_input, &end.repl_cmd[..]), (true, &b"\x1d"[..]));
    // What it still says is shown.
    call.output(ID, Stdout, b"bye").await;
    terminal.shows("bye").await;
    terminal.press(b"\x1d");
    call.abandoned().await;
    assert_eq!(exit_code(&mut child).await, 130);
    assert!(terminal.is_as_before());
}

pub async fn refused_by_core() {
    let terminal = Terminal::new();
    let mut core = core().await;
    let mut child = terminal.start(&core.address);
    let mut call = core.accept().await;
    begin(&mut call).await;
    call.refuse(Status::failed_precondition("the workload is stopped")).await;
    drop(call);
    // The message comes when lines return to their start again.
    terminal.shows("the workload is stopped\r\n").await;
    assert_eq!(exit_code(&mut child).await, 125);
    assert!(terminal.is_as_before());
}
