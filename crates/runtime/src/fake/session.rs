//! Commands inside of simulated workloads, and what is attached to those themselves.
//!
//! There is no task behind a session: whoever reads its output plays it, so that output that nobody reads is not made.

use super::{
    engine::{Fake, Inner, die},
    output,
    script::{PATTERN, Script, Step},
};
use crate::{
    events::EventHub,
    port::{Error, ExecRequest, Input, LogOptions, Result, Session, SessionControl, State, Stream},
};
use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use eru_types::EngineId;
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use parking_lot::Mutex;
use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};
use tokio::{
    io::{AsyncReadExt, AsyncWrite, DuplexStream},
    sync::watch,
};

/// Input that a process has not read yet, in bytes: that of a pipe.
const INPUT_BYTES_MAX: usize = 64 * 1024;
/// Output that comes at a time, in bytes.
const PIECE_BYTES: u64 = 32 * 1024;
/// The exit code of what was ended with its workload.
const KILLED: i32 = 137;

type Piece = Result<(Stream, Bytes)>;
type Size = Option<(u16, u16)>;

/// Counts what is open, and what was made.
#[derive(Default)]
pub(super) struct Sessions {
    outputs: AtomicUsize,
    inputs: AtomicUsize,
    output_bytes: AtomicU64,
}

impl Fake {
    /// Sessions whose output is still held by somebody, and those whose input was not ended.
    pub fn open_sessions(&self) -> (usize, usize) {
        (self.sessions.outputs.load(Ordering::SeqCst), self.sessions.inputs.load(Ordering::SeqCst))
    }

    /// Bytes of output that sessions made so far.
    pub fn session_bytes(&self) -> u64 {
        self.sessions.output_bytes.load(Ordering::SeqCst)
    }
}

/// An output that is held by somebody.
struct Held(Arc<Sessions>);

impl Held {
    fn new(sessions: &Arc<Sessions>) -> Self {
        sessions.outputs.fetch_add(1, Ordering::SeqCst);
        Self(sessions.clone())
    }

    fn count(&self, piece: &Piece) {
        if let Ok((_, data)) = piece {
            self.0.output_bytes.fetch_add(data.len() as u64, Ordering::SeqCst);
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.outputs.fetch_sub(1, Ordering::SeqCst);
    }
}

/// An input that was not ended yet.
struct OpenInput {
    pipe: Option<DuplexStream>,
    sessions: Arc<Sessions>,
}

impl OpenInput {
    fn open(sessions: &Arc<Sessions>) -> (Input, DuplexStream) {
        let (ours, theirs) = tokio::io::duplex(INPUT_BYTES_MAX);
        sessions.inputs.fetch_add(1, Ordering::SeqCst);
        (Box::pin(Self { pipe: Some(ours), sessions: sessions.clone() }), theirs)
    }

    fn end(&mut self) {
        if self.pipe.take().is_some() {
            self.sessions.inputs.fetch_sub(1, Ordering::SeqCst);
        }
    }

    fn pipe(&mut self) -> io::Result<Pin<&mut DuplexStream>> {
        self.pipe.as_mut().map(Pin::new).ok_or_else(|| io::ErrorKind::BrokenPipe.into())
    }
}

impl Drop for OpenInput {
    fn drop(&mut self) {
        self.end();
    }
}

impl AsyncWrite for OpenInput {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        self.pipe()?.poll_write(cx, data)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.end();
        Poll::Ready(Ok(()))
    }
}

/// The terminal and the end of a session.
struct Control {
    terminal: bool,
    size: watch::Sender<Size>,
    end: watch::Receiver<Option<i32>>,
}

#[async_trait]
impl SessionControl for Control {
    async fn resize(&self, rows: u16, columns: u16) -> Result<()> {
        if !self.terminal {
            return Err(Error::Invalid("it has no terminal".into()));
        }
        self.size.send_replace(Some((rows, columns)));
        Ok(())
    }

    async fn exit_code(&self) -> Result<i32> {
        let mut end = self.end.clone();
        let code = end.wait_for(Option::is_some).await.map_err(|_| Error::Failed("the session was cut off".into()))?;
        Ok(code.expect("it was waited for"))
    }
}

/// A command that is played as its output is read.
struct Player {
    inner: Arc<Mutex<Inner>>,
    changes: watch::Receiver<u64>,
    id: EngineId,
    request: ExecRequest,
    steps: VecDeque<Step>,
    input: Option<DuplexStream>,
    size: watch::Receiver<Size>,
    end: watch::Sender<Option<i32>>,
    over: bool,
    held: Held,
}

/// Runs a command inside of a workload.
pub(super) fn exec(
    engine: &Fake,
    changes: watch::Receiver<u64>,
    id: &EngineId,
    request: &ExecRequest,
    steps: VecDeque<Step>,
) -> Session {
    let (input, theirs) = request.stdin.then(|| OpenInput::open(&engine.sessions)).unzip();
    let (size, asked_size) = watch::channel(None);
    let (end, ended) = watch::channel(None);
    let player = Player {
        inner: engine.inner.clone(),
        changes,
        id: id.clone(),
        request: request.clone(),
        steps,
        input: theirs,
        size: asked_size,
        end,
        over: false,
        held: Held::new(&engine.sessions),
    };
    let output = stream::unfold(player, |mut player| async move {
        let piece = player.next().await?;
        player.held.count(&piece);
        Some((piece, player))
    });
    let control = Control { terminal: request.terminal, size, end: ended };
    Session { output: output.boxed(), input, control: Box::new(control) }
}

impl Player {
    async fn next(&mut self) -> Option<Piece> {
        loop {
            if let Some(cut) = self.cut() {
                return cut;
            }
            let step = self.steps.pop_front().unwrap_or(Step::Exit(0));
            match step {
                Step::Say(_, data) if data.is_empty() => {}
                Step::Say(stream, data) => return Some(Ok((self.stream(stream), data))),
                Step::Pattern { at, end } if at < end => {
                    let next = end.min(at + PIECE_BYTES);
                    self.steps.push_front(Step::Pattern { at: next, end });
                    let data: BytesMut = (at..next).map(|place| (place % PATTERN) as u8).collect();
                    return Some(Ok((Stream::Stdout, data.freeze())));
                }
                Step::Pattern { .. } => {}
                Step::Cat => {
                    if let Some(data) = self.read().await {
                        self.steps.push_front(Step::Cat);
                        if !data.is_empty() {
                            return Some(Ok((Stream::Stdout, data)));
                        }
                    }
                }
                Step::Size { awaited } => {
                    let size = *self.size.borrow_and_update();
                    if awaited && size.is_none() {
                        self.steps.push_front(step);
                        tokio::select! {
                            changed = self.size.changed() => if changed.is_err() { self.finish(KILLED) },
                            _ = self.changes.changed() => {}
                        }
                        continue;
                    }
                    let (rows, columns) = size.unwrap_or_default();
                    return Some(Ok((Stream::Stdout, format!("{rows}x{columns}\n").into())));
                }
                Step::Env => self.say(self.request.env.iter().map(|pair| format!("{pair}\n")).collect()),
                Step::Dir => self.say(format!("{}\n", self.request.dir)),
                Step::Hang => {
                    self.steps.push_front(Step::Hang);
                    // Whatever changed is looked at by the next turn.
                    let _ = self.changes.changed().await;
                }
                Step::Exit(code) => self.finish(code),
            }
        }
    }

    fn say(&mut self, text: String) {
        self.steps.push_front(Step::Say(Stream::Stdout, text.into()));
    }

    fn finish(&mut self, code: i32) {
        self.over = true;
        self.end.send_replace(Some(code));
    }

    /// A terminal has one output.
    fn stream(&self, stream: Stream) -> Stream {
        if self.request.terminal { Stream::Stdout } else { stream }
    }

    /// Whether it is over: because it ended, with its workload, or with its engine.
    fn cut(&mut self) -> Option<Option<Piece>> {
        if self.over {
            return Some(None);
        }
        let inner = self.inner.clone();
        let inner = inner.lock();
        if inner.is_down() {
            self.over = true;
            return Some(Some(Err(inner.unavailable())));
        }
        let runs = inner.records.get(&self.id).is_some_and(|record| record.state == State::Running);
        if !runs {
            self.finish(KILLED);
            return Some(None);
        }
        None
    }

    /// What was written to its input; nothing when something else is to be looked at; `None` = it ended.
    async fn read(&mut self) -> Option<Bytes> {
        let input = self.input.as_mut()?;
        let mut data = BytesMut::with_capacity(INPUT_BYTES_MAX);
        tokio::select! {
            read = input.read_buf(&mut data) => match read {
                Ok(0) | Err(_) => None,
                Ok(_) => Some(data.freeze()),
            },
            _ = self.changes.changed() => Some(Bytes::new()),
        }
    }
}

/// What is attached to a workload itself: its lines as they come, and its input.
struct Attached {
    terminal: bool,
    lines: BoxStream<'static, Result<crate::port::LogLine>>,
    input: Option<DuplexStream>,
    inner: Arc<Mutex<Inner>>,
    events: Arc<EventHub>,
    changes: watch::Sender<u64>,
    id: EngineId,
    /// What it ends with when its input does.
    code: i32,
    end: watch::Sender<Option<i32>>,
    held: Held,
}

/// Output from now on, and the input of a workload that has one.
pub(super) fn attach(engine: &Fake, changes: watch::Receiver<u64>, id: &EngineId) -> Result<Session> {
    let (extras, script, created) = {
        let inner = engine.inner.lock();
        let record = inner.records.get(id).ok_or_else(|| Error::NotFound(id.to_string()))?;
        let script = Script::parse(&record.request.command).map_err(Error::Invalid)?;
        (record.request.extras.clone(), script, record.state == State::Created)
    };
    let tail = if created { None } else { Some(0) };
    let options = LogOptions { tail, follow: true, ..LogOptions::default() };
    let lines = output::read(engine.inner.clone(), changes, id.clone(), options, created);
    let (terminal, has_input) = (extras.terminal, extras.has_input());
    let (input, theirs) = has_input.then(|| OpenInput::open(&engine.sessions)).unzip();
    let (size, _) = watch::channel(None);
    let (end, ended) = watch::channel(None);
    let attached = Attached {
        terminal,
        lines,
        input: theirs.filter(|_| script.reads_input),
        inner: engine.inner.clone(),
        events: engine.events.clone(),
        changes: engine.changes.clone(),
        id: id.clone(),
        code: script.exit_code.unwrap_or_default(),
        end,
        held: Held::new(&engine.sessions),
    };
    let output = stream::unfold(attached, |mut attached| async move {
        let piece = attached.next().await?;
        attached.held.count(&piece);
        Some((piece, attached))
    });
    let control = Control { terminal, size, end: ended };
    Ok(Session { output: output.boxed(), input, control: Box::new(control) })
}

impl Attached {
    async fn next(&mut self) -> Option<Piece> {
        loop {
            let Some(input) = self.input.as_mut() else {
                return self.take_line().await;
            };
            let mut data = BytesMut::with_capacity(INPUT_BYTES_MAX);
            tokio::select! {
                biased;
                line = self.lines.next() => return self.piece(line),
                read = input.read_buf(&mut data) => match read {
                    Ok(0) | Err(_) => {
                        self.input = None;
                        die(&self.inner, &self.events, &self.changes, &self.id, self.code);
                    }
                    Ok(_) => self.echo(&data),
                },
            }
        }
    }

    async fn take_line(&mut self) -> Option<Piece> {
        let line = self.lines.next().await;
        self.piece(line)
    }

    fn piece(&mut self, line: Option<Result<crate::port::LogLine>>) -> Option<Piece> {
        let Some(line) = line else {
            let inner = self.inner.lock();
            if inner.is_down() && self.end.borrow().is_none() {
                self.end.send_replace(Some(-1));
                return Some(Err(inner.unavailable()));
            }
            let exit = inner.records.get(&self.id).and_then(|record| record.exit);
            self.end.send_replace(Some(exit.map_or(KILLED, |exit| exit.code)));
            return None;
        };
        Some(line.map(|line| {
            let mut data = BytesMut::from(&line.data[..]);
            if !line.partial {
                data.extend_from_slice(b"\n");
            }
            // A terminal has one output.
            let stream = if self.terminal { Stream::Stdout } else { line.stream };
            (stream, data.freeze())
        }))
    }

    /// What was typed is what it says.
    fn echo(&self, data: &[u8]) {
        let mut inner = self.inner.lock();
        if let Some(record) = inner.records.get_mut(&self.id) {
            for line in data.split_inclusive(|b| *b == b'\n') {
                let text = line.strip_suffix(b"\n");
                record.write(Stream::Stdout, Bytes::copy_from_slice(text.unwrap_or(line)), text.is_none());
            }
        }
        drop(inner);
        self.changes.send_modify(|n| *n += 1);
    }
}
