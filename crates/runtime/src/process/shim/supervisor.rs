//! What the shim does all its life: waits, and writes down what happens.

use super::{
    super::{
        adopt::unknown_exit,
        control::Wish,
        files::{self, CONTROL, ERR, EXIT, Exit, OUT, RUN, Run, SPEC, Spec},
        log::{Pump, Writer, text_of},
    },
    Task,
    command::{NotExecuted, execute, open_pipe},
    process::{Ending, Main},
};
use crate::{clock::now_ms, port::Stream, reason::one_line, restart::RestartPolicy};
use eru_types::ExitStatus;
use rustix::{
    event::{PollFd, PollFlags, poll},
    fs::OFlags,
    process::Signal,
    time::Timespec,
};
use std::{
    fs::{File, OpenOptions},
    io::{self, Read},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// The longest wait without a look at orphans that ended.
const SLEEP_MAX: Duration = Duration::from_secs(30);
/// How often it looks at orphans at most, while there is output.
const REAP_EVERY: Duration = Duration::from_secs(1);
/// How much output is read at once, in bytes: what a pipe holds.
const READ_BYTES: usize = 64 * 1024;
/// How much output is still read after the end, in bytes. What a pipe holds is less; more comes only from a process that
/// left group and parent, and it cannot hold up the exit record.
const DRAIN_BYTES_MAX: usize = 4 << 20;

struct Output {
    pipe: File,
    pump: Pump,
}

/// The stop that was asked for.
#[derive(Clone, Copy)]
struct Stop {
    /// When everything is killed; `None` when that is done.
    kill_at: Option<Instant>,
}

pub(super) struct Supervisor {
    folder: PathBuf,
    spec: Spec,
    policy: RestartPolicy,
    control: File,
    outputs: [Output; 2],
    writer: Writer,
    buffer: Vec<u8>,
    stop: Option<Stop>,
    /// The wait before the next restart.
    backoff: Duration,
}

impl Supervisor {
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        let spec: Spec = files::read(&folder.join(SPEC))?.ok_or(io::ErrorKind::NotFound)?;
        let pipe = |name| {
            let mut options = OpenOptions::new();
            options.custom_flags(OFlags::NONBLOCK.bits().cast_signed());
            open_pipe(&folder.join(name), &mut options)
        };
        let output = |name, stream| io::Result::Ok(Output { pipe: pipe(name)?, pump: Pump::new(stream) });
        Ok(Self {
            folder: folder.to_owned(),
            // The text was parsed when the workload was created.
            policy: spec.request.restart.parse().unwrap_or_default(),
            control: pipe(CONTROL)?,
            outputs: [output(OUT, Stream::Stdout)?, output(ERR, Stream::Stderr)?],
            writer: Writer::open(folder.to_owned(), spec.log_bytes_max),
            buffer: vec![0; READ_BYTES],
            stop: None,
            backoff: Duration::ZERO,
            spec,
        })
    }

    pub(super) fn run(mut self, task: Task) -> io::Result<()> {
        let Some(mut exit) = self.first(task)? else { return Ok(()) };
        while !exit.finished {
            if !self.sleep(self.backoff)? {
                exit.finished = true;
                return files::write_durably(&self.folder.join(EXIT), &exit);
            }
            exit = match execute(&self.folder, &self.spec, exit.run + 1, exit.restarts + 1) {
                Ok(run) => self.attend(&Main::child(run)?)?,
                Err(refusal) => self.refuse(exit.run + 1, exit.restarts + 1, refusal)?,
            };
        }
        Ok(())
    }

    /// The first exit that this shim sees; `None` when there is nothing to do.
    fn first(&mut self, task: Task) -> io::Result<Option<Exit>> {
        let run: Option<Run> = files::read(&self.folder.join(RUN))?;
        let exit: Option<Exit> = files::read(&self.folder.join(EXIT))?;
        let last_exit = exit.map_or(0, |e| e.run);
        if let Some(mut run) = run.filter(|run| run.run > last_exit) {
            if !run.executed {
                // Whoever wrote this was about to become the command, and is no longer bound to its shim.
                run.executed = run.child.is_alive();
                files::write(&self.folder.join(RUN), &run)?;
            }
            let exit = match Main::adopt(run.clone()) {
                Some(main) => self.attend(&main)?,
                None => self.record(unknown_exit(&run))?,
            };
            return Ok(Some(exit));
        }
        match task {
            Task::Start(wanted) if wanted == last_exit + 1 => {
                match execute(&self.folder, &self.spec, wanted, 0) {
                    Ok(run) => self.attend(&Main::child(run)?).map(Some),
                    Err(refusal) => {
                        // Whoever asked for the start is told; trying again would not make the program appear.
                        self.stop = Some(Stop { kill_at: None });
                        self.refuse(wanted, 0, refusal).map(Some)
                    }
                }
            }
            _ => Ok(None),
        }
    }

    /// Stays with a running command until it ended and its exit is recorded.
    fn attend(&mut self, main: &Main) -> io::Result<Exit> {
        let mut reaped_at = Instant::now();
        let ending = loop {
            if let Some(ending) = main.ending() {
                break ending;
            }
            self.wait(Some(main), SLEEP_MAX)?;
            if reaped_at.elapsed() >= REAP_EVERY {
                main.reap_orphans();
                reaped_at = Instant::now();
            }
        };
        main.kill_all();
        self.drain();
        let exit = self.exit_of(&main.run, ending);
        let exit = self.record(exit)?;
        main.reap_all();
        self.drain();
        Ok(exit)
    }

    fn exit_of(&self, run: &Run, ending: Ending) -> Exit {
        let (code, signal) = match ending {
            Ending::Code(code) => (code, 0),
            Ending::Signal(signal) => (128 + signal, signal),
            Ending::Unknown => return Exit { finished: false, ..unknown_exit(run) },
        };
        let reason = match code {
            0 => String::new(),
            _ if self.stop.is_some() => String::new(),
            _ => one_line(&text_of(self.outputs[1].pump.last_line())),
        };
        let status = ExitStatus { code, signal, oom_killed: false, at_ms: now_ms() };
        let (started_at_ms, restarts) = (run.started_at_ms, run.restarts);
        let (run, executed, finished, retry_at_ms) = (run.run, true, false, 0);
        Exit { run, status, executed, reason, started_at_ms, restarts, finished, retry_at_ms }
    }

    fn refuse(&mut self, run: u64, restarts: u32, refusal: NotExecuted) -> io::Result<Exit> {
        let status = ExitStatus { code: refusal.code, signal: 0, oom_killed: false, at_ms: now_ms() };
        let (executed, started_at_ms, reason) = (false, status.at_ms, refusal.reason);
        let (finished, retry_at_ms) = (false, 0);
        self.record(Exit { run, status, executed, reason, started_at_ms, restarts, finished, retry_at_ms })
    }

    /// Decides whether another run follows, and writes the record.
    fn record(&mut self, mut exit: Exit) -> io::Result<Exit> {
        exit.finished = self.stop.is_some() || !self.policy.restarts_after(exit.status.code, exit.restarts);
        if !exit.finished {
            let ran_ms = exit.status.at_ms - exit.started_at_ms;
            let was_healthy = u128::try_from(ran_ms).is_ok_and(|ms| ms >= RestartPolicy::HEALTHY_RUN.as_millis());
            self.backoff = RestartPolicy::next_backoff(if was_healthy { Duration::ZERO } else { self.backoff });
            exit.retry_at_ms = exit.status.at_ms + i64::try_from(self.backoff.as_millis()).expect("some seconds");
        }
        files::write_durably(&self.folder.join(EXIT), &exit)?;
        self.outputs.iter_mut().for_each(|o| o.pump.forget());
        Ok(exit)
    }

    /// Waits for something to happen, and attends to output and wishes. Answers whether a start was wished.
    fn wait(&mut self, main: Option<&Main>, at_most: Duration) -> io::Result<bool> {
        let kill_at = self.stop.and_then(|s| s.kill_at);
        let timeout = kill_at.map_or(at_most, |at| at_most.min(at.saturating_duration_since(Instant::now())));
        let timeout = Timespec::try_from(timeout).map_err(io::Error::other)?;
        let [out, err] = &self.outputs;
        let mut fds = vec![
            PollFd::new(&self.control, PollFlags::IN),
            PollFd::new(&out.pipe, PollFlags::IN),
            PollFd::new(&err.pipe, PollFlags::IN),
        ];
        let pidfd = main.map(Main::as_fd);
        fds.extend(pidfd.as_ref().map(|fd| PollFd::new(fd, PollFlags::IN)));
        match poll(&mut fds, Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
        let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        for which in 0..2 {
            if ready[1 + which] {
                self.read(which);
            }
        }
        self.writer.flush();
        let start = ready[0] && self.obey(main);
        if let (Some(Stop { kill_at: Some(at) }), Some(main)) = (self.stop, main)
            && Instant::now() >= at
        {
            main.kill_all();
            self.stop = Some(Stop { kill_at: None });
        }
        Ok(start)
    }

    /// Waits before a restart. Answers false when a stop came instead.
    fn sleep(&mut self, backoff: Duration) -> io::Result<bool> {
        let until = Instant::now() + backoff;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if self.stop.is_some() {
                return Ok(false);
            }
            if left.is_zero() || self.wait(None, left)? {
                return Ok(true);
            }
        }
    }

    /// Reads the wishes that came. Answers whether a start is among them.
    fn obey(&mut self, main: Option<&Main>) -> bool {
        let mut start = false;
        for wish in Wish::read_all(&mut self.control) {
            match wish {
                Wish::Start => start = true,
                Wish::Stop(grace) => {
                    let kill_at = Instant::now() + grace;
                    if let (Some(main), None, false) = (main, self.stop, grace.is_zero()) {
                        main.signal_group(Signal::TERM);
                    }
                    // A later wish may only shorten the time that is left.
                    let sooner = match self.stop {
                        Some(Stop { kill_at: Some(before) }) => before.min(kill_at),
                        _ => kill_at,
                    };
                    self.stop = Some(Stop { kill_at: Some(sooner) });
                }
            }
        }
        start
    }

    /// Reads once from an output. Answers how much came.
    fn read(&mut self, which: usize) -> usize {
        let output = &mut self.outputs[which];
        let count = output.pipe.read(&mut self.buffer).unwrap_or(0);
        output.pump.feed(&mut self.writer, now_ms(), &self.buffer[..count]);
        count
    }

    /// Takes what is left in the pipes.
    fn drain(&mut self) {
        for which in 0..self.outputs.len() {
            let mut drained = 0;
            while drained < DRAIN_BYTES_MAX {
                match self.read(which) {
                    0 => break,
                    count => drained += count,
                }
            }
            self.outputs[which].pump.finish(&mut self.writer, now_ms());
        }
        self.writer.flush();
    }
}
