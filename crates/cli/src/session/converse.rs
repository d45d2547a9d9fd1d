//! Both directions at once, until the commands have ended.

use super::answer::{self, Target};
use super::input::{self, Input, Left, Stdin};
use super::output::{Expect, Output, Step};
use super::terminal::{self, RawMode};
use crate::context::{Context, Requests};
use crate::error::CliError;
use eru_api::pb;
use eru_client::CoreRpc;
use std::os::fd::BorrowedFd;
use tokio::io::{AsyncWriteExt as _, Stderr, Stdout};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::sync::mpsc::Sender;
use tonic::{Response, Status, Streaming};

/// Messages of input that wait to be sent. Few: what waits here is memory, and the pipe behind it waits as well.
const INPUT_LEN: usize = 4;
/// What a shell makes of the end by a signal.
const SIGNAL_EXIT_BASE: u8 = 128;

/// A command that is to be run.
pub(crate) struct Session<M> {
    /// Name of the call.
    pub name: &'static str,
    /// The first message.
    pub first: M,
    /// Later messages.
    pub wrap: fn(Input) -> M,
    /// Where its input comes from.
    pub stdin: Stdin,
    /// What is to come.
    pub expect: Expect,
    /// Each line of output begins with the workload's id.
    pub prefix: bool,
}

/// Runs it to its end.
///
/// # Errors
/// Why there is no exit code of the command: not the command failed then.
pub(crate) async fn converse<M: Clone>(
    context: &Context,
    session: Session<M>,
    call: impl AsyncFn(CoreRpc, Requests<M>) -> Result<Response<Streaming<pb::AttachWorkloadMessage>>, Status>,
) -> Result<u8, CliError> {
    let Session { name, first, wrap, stdin, expect, prefix } = session;
    let signals = Signals::listen()?;
    let raw = match stdin {
        Stdin::Terminal => Some(Raw::enter(context)?),
        Stdin::Pipe | Stdin::None => None,
    };
    let (sender, receiver) = mpsc::channel(INPUT_LEN);
    let answers = async {
        let stream = context.converse(name, first, receiver, call).await?;
        follow(context, stream, Output::new(expect, prefix)).await
    };
    let result = tokio::select! {
        result = answers => result,
        left = input(stdin, &sender, wrap) => left.and(Err(CliError::Interrupted("left; what runs there was not waited for".into()))),
        never = sizes(stdin, &sender, wrap) => never,
        signal = signals.first() => Ok(SIGNAL_EXIT_BASE + signal),
    };
    drop(raw);
    result
}

/// Raw mode, of the terminal and of the log lines on it.
struct Raw<'a> {
    context: &'a Context,
    // Read by nobody: it acts when it goes.
    _mode: RawMode<BorrowedFd<'static>>,
}

impl<'a> Raw<'a> {
    fn enter(context: &'a Context) -> Result<Self, CliError> {
        let mode = RawMode::enter(rustix::stdio::stdin())
            .map_err(|error| CliError::Failed(format!("cannot set the terminal: {error}")))?;
        context.log.set_raw(true);
        Ok(Self { context, _mode: mode })
    }
}

impl Drop for Raw<'_> {
    fn drop(&mut self) {
        self.context.log.set_raw(false);
    }
}

/// Sends standard input. Returns only when the user leaves, or standard input is broken.
async fn input<M>(stdin: Stdin, sender: &Sender<M>, wrap: fn(Input) -> M) -> Result<(), CliError> {
    if stdin == Stdin::None {
        return std::future::pending().await;
    }
    let left = input::forward(tokio::io::stdin(), stdin == Stdin::Terminal, sender, wrap).await;
    match left {
        Ok(Left::Key) => Ok(()),
        Ok(Left::Core) => std::future::pending().await,
        Err(error) => Err(CliError::Failed(format!("cannot read standard input: {error}"))),
    }
}

/// Sends the size of the terminal, at the start and as often as it changes. Never returns.
async fn sizes<M>(stdin: Stdin, sender: &Sender<M>, wrap: fn(Input) -> M) -> Result<u8, CliError> {
    if stdin == Stdin::Terminal {
        let mut changes = listen(SignalKind::window_change())?;
        while let Some(size) = terminal::size() {
            if sender.send(wrap(Input::size(size))).await.is_err() || changes.recv().await.is_none() {
                break;
            }
        }
    }
    std::future::pending().await
}

async fn follow(
    context: &Context,
    mut stream: crate::stream::Stream<pb::AttachWorkloadMessage>,
    mut output: Output,
) -> Result<u8, CliError> {
    let mut outputs = Outputs { stdout: tokio::io::stdout(), stderr: tokio::io::stderr() };
    while let Some(message) = stream.next().await? {
        let answer = answer::read(&message);
        for step in output.take(&message.workload_id, answer) {
            outputs.carry_out(context, step).await?;
        }
    }
    let (steps, code) = output.finish();
    for step in steps {
        outputs.carry_out(context, step).await?;
    }
    code
}

/// Our own outputs. They are written beside the conversation, so that a reader who is slow does not make us deaf.
struct Outputs {
    stdout: Stdout,
    stderr: Stderr,
}

impl Outputs {
    async fn carry_out(&mut self, context: &Context, step: Step) -> Result<(), CliError> {
        match step {
            Step::Write(Target::Stdout, bytes) => {
                let written = async {
                    self.stdout.write_all(&bytes).await?;
                    self.stdout.flush().await
                };
                written.await.map_err(|error| match error.kind() {
                    std::io::ErrorKind::BrokenPipe => CliError::Closed,
                    _ => CliError::Failed(format!("cannot write standard output: {error}")),
                })
            }
            Step::Write(Target::Stderr, bytes) => {
                // When nobody reads standard error, it is for nobody.
                if self.stderr.write_all(&bytes).await.is_ok() {
                    let _ = self.stderr.flush().await;
                }
                Ok(())
            }
            Step::Created(id) => {
                context.log.info(format!("[WorkloadID] {id}"));
                Ok(())
            }
            Step::Failed(reason) => {
                context.log.error(format!("[Error From ERU] {}", crate::error::in_words(&reason)));
                Ok(())
            }
        }
    }
}

/// Signals that end us. Raw mode keeps Ctrl-C and its like from being one.
struct Signals([(u8, Signal); 4]);

impl Signals {
    fn listen() -> Result<Self, CliError> {
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup(), SignalKind::quit()];
        let [interrupt, terminate, hangup, quit] = kinds.map(|kind| {
            let number = u8::try_from(kind.as_raw_value()).expect("signals have small numbers");
            listen(kind).map(|signal| (number, signal))
        });
        Ok(Self([interrupt?, terminate?, hangup?, quit?]))
    }

    /// The number of the first that comes.
    async fn first(mut self) -> u8 {
        let [(a, first), (b, second), (c, third), (d, fourth)] = &mut self.0;
        tokio::select! {
            _ = first.recv() => *a,
            _ = second.recv() => *b,
            _ = third.recv() => *c,
            _ = fourth.recv() => *d,
        }
    }
}

fn listen(kind: SignalKind) -> Result<Signal, CliError> {
    signal(kind).map_err(|error| CliError::Failed(format!("cannot listen for signals: {error}")))
}
