//! Standard input and the size of the terminal, as messages for core.

use super::terminal;
use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::sync::mpsc::Sender;

/// Most bytes of input in one message: what a pipe holds at half fill, and far below the largest request.
const CHUNK_BYTES_MAX: usize = 32 << 10;
/// First byte of a message that gives the terminal a size.
const RESIZE: u8 = 0x80;
/// First byte of a message that ends the input, and the key Ctrl-] that asks for it.
const END: u8 = 0x1d;

/// Where the input of the command comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stdin {
    /// It has none.
    None,
    /// Our standard input, byte for byte.
    Pipe,
    /// Our terminal, which is put into raw mode.
    Terminal,
}

impl Stdin {
    /// What `wanted` input is: our standard input as it is.
    pub fn of(wanted: bool) -> Self {
        match (wanted, terminal::is_terminal()) {
            (false, _) => Self::None,
            (true, false) => Self::Pipe,
            (true, true) => Self::Terminal,
        }
    }
}

/// A message to core, in the parts that both calls have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Input {
    /// Input whose first byte may have a meaning of its own: every core knows it.
    pub special: Bytes,
    /// Input in which no byte has a meaning: only cores of ours know it.
    pub plain: Bytes,
    /// The input ends.
    pub end: bool,
}

impl Input {
    /// Some input. It takes the way that every core knows, unless its first byte would be mistaken.
    fn data(bytes: Bytes) -> Self {
        match bytes.first() {
            Some(&RESIZE | &END) => Self { plain: bytes, ..Self::default() },
            _ => Self { special: bytes, ..Self::default() },
        }
    }

    /// The end of the input, for every core.
    fn end() -> Self {
        Self { special: Bytes::from_static(&[END]), end: true, ..Self::default() }
    }

    /// A size of the terminal.
    pub fn size((rows, columns): (u16, u16)) -> Self {
        let mut bytes = vec![RESIZE];
        bytes.extend_from_slice(format!("{{\"Row\":{rows},\"Col\":{columns}}}").as_bytes());
        Self { special: bytes.into(), ..Self::default() }
    }
}

/// Why input is no longer read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// Ctrl-] was pressed once more after it had ended the input: the user wants to leave.
    Key,
    /// Core listens no more; what it said is still to be read.
    Core,
}

/// Sends what is read as it comes, `keys` those of a terminal. At the end of the input it says so.
///
/// # Errors
/// What is wrong with standard input.
pub(super) async fn forward<M>(
    mut source: impl AsyncRead + Unpin,
    keys: bool,
    sender: &Sender<M>,
    wrap: fn(Input) -> M,
) -> std::io::Result<Left> {
    let mut buffer = vec![0; CHUNK_BYTES_MAX];
    let mut ended = false;
    loop {
        let read = source.read(&mut buffer).await?;
        let mut data = &buffer[..read];
        let key = if keys { data.iter().position(|byte| *byte == END) } else { None };
        if ended && key.is_some() {
            return Ok(Left::Key);
        }
        data = &data[..key.unwrap_or(read)];
        let mut messages = Vec::new();
        if !ended && !data.is_empty() {
            messages.push(Input::data(Bytes::copy_from_slice(data)));
        }
        if !ended && (read == 0 || key.is_some()) {
            messages.push(Input::end());
            ended = true;
        }
        for message in messages {
            if sender.send(wrap(message)).await.is_err() {
                return Ok(Left::Core);
            }
        }
        if read == 0 {
            return std::future::pending().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::mpsc;

    /// What is sent for reads of `pieces`, and how it ended if it did.
    async fn sent(pieces: &[&'static [u8]], keys: bool) -> (Vec<Input>, Option<Left>) {
        let mut source = tokio_test_source(pieces);
        let (sender, mut receiver) = mpsc::channel(64);
        let forward = forward(&mut source, keys, &sender, |input| input);
        let left = tokio::time::timeout(std::time::Duration::from_secs(60), forward).await.ok().map(Result::unwrap);
        drop(sender);
        let mut all = Vec::new();
        while let Some(input) = receiver.recv().await {
            all.push(input);
        }
        (all, left)
    }

    /// Gives one piece a read, then the end.
    fn tokio_test_source(pieces: &[&'static [u8]]) -> impl AsyncRead + Unpin + use<> {
        let pieces: Vec<std::io::Result<&'static [u8]>> = pieces.iter().map(|piece| Ok(*piece)).collect();
        tokio_util::io::StreamReader::new(tokio_stream::iter(pieces))
    }

    #[tokio::test(start_paused = true)]
    async fn a_pipe_is_sent_byte_for_byte_and_its_end_is_told() {
        let (sent, left) = sent(&[b"a\x1db", b"\x1d", b"\x80x", b"\xff\0"], false).await;
        let data = |bytes: &'static [u8]| Bytes::from_static(bytes);
        assert_eq!(sent[0], Input { special: data(b"a\x1db"), ..Input::default() });
        assert_eq!(sent[1], Input { plain: data(b"\x1d"), ..Input::default() });
        assert_eq!(sent[2], Input { plain: data(b"\x80x"), ..Input::default() });
        assert_eq!(sent[3], Input { special: data(b"\xff\0"), ..Input::default() });
        assert_eq!(sent[4..], [Input { special: data(b"\x1d"), end: true, ..Input::default() }]);
        assert_eq!(left, None);
    }

    #[tokio::test(start_paused = true)]
    async fn the_key_ends_the_input_and_then_the_session() {
        let (sent, left) = sent(&[b"ls\x1dmore", b"ignored", b"\x1d"], true).await;
        assert_eq!(sent, [Input { special: Bytes::from_static(b"ls"), ..Input::default() }, Input::end()]);
        assert_eq!(left, Some(Left::Key));
    }

    #[test]
    fn sizes() {
        assert_eq!(Input::size((24, 80)).special, &b"\x80{\"Row\":24,\"Col\":80}"[..]);
    }
}
