//! Output with a terminal and without, to the last byte.

use crate::daemon::Daemon;
use eru_runtime::{LogOptions, Runtime, Stream};
use eru_types::EngineId;
use futures::{StreamExt, TryStreamExt};
use tokio::io::AsyncWriteExt;

/// Bytes that look like the header of a frame, and those that do not.
const ODD: &str = r"\001\000\000\000\000\000\000\005ab\002cdefghijkl";
const ODD_BYTES: &[u8] = b"\x01\0\0\0\0\0\0\x05ab\x02cdefghijkl";

async fn ended(daemon: &Daemon, name: &str, script: &str, terminal: bool) -> EngineId {
    let mut request = daemon.script(name, script);
    request.extras.terminal = terminal;
    let id = daemon.docker.create(&request).await.expect("create");
    daemon.docker.start(&id).await.expect("start");
    assert_eq!(daemon.docker.wait(&id).await.expect("wait").code, 0);
    id
}

async fn lines(daemon: &Daemon, id: &EngineId) -> Vec<(Stream, Vec<u8>, bool)> {
    let lines = daemon.docker.logs(id, LogOptions::default()).await.expect("logs");
    let lines = lines.map_ok(|line| (line.stream, line.data.to_vec(), line.partial));
    lines.try_collect().await.expect("lines")
}

#[tokio::test]
async fn lines_are_whole_or_in_pieces_on_docker() {
    const LONG: usize = 40_000;
    let Some(daemon) = Daemon::find("lines_are_whole_or_in_pieces_on_docker") else { return };
    let script = format!("printf '{ODD}\\n'; head -c {LONG} /dev/zero; echo; echo; printf end");
    for (name, terminal, line_end) in [("app_web_aaaaaa", false, &b""[..]), ("app_web_aaaaab", true, b"\r")] {
        let id = ended(&daemon, name, &script, terminal).await;
        let mut seen: Vec<(Vec<u8>, bool)> = Vec::new();
        let mut pieces = 0;
        for (stream, data, partial) in lines(&daemon, &id).await {
            assert_eq!(stream, Stream::Stdout);
            assert!(data.len() <= 16 * 1024);
            pieces += 1;
            match seen.last_mut() {
                Some((line, open)) if *open => {
                    line.extend_from_slice(&data);
                    *open = partial;
                }
                _ => seen.push((data, partial)),
            }
        }
        let ended = |line: &[u8]| ([line, line_end].concat(), false);
        assert_eq!(seen[0], ended(ODD_BYTES));
        assert_eq!((seen[1].0.len(), seen[1].1), (LONG + line_end.len(), false));
        assert_eq!(seen[2], ended(b""));
        assert_eq!(seen[3], (b"end".to_vec(), true));
        assert_eq!((seen.len(), pieces), (4, 6), "terminal: {terminal}");
        assert_eq!(daemon.docker.last_lines(&id, 2).await.expect("last lines"), ["", "end"]);
    }
}

#[tokio::test]
async fn an_attached_terminal_talks_on_docker() {
    let Some(daemon) = Daemon::find("an_attached_terminal_talks_on_docker") else { return };
    let mut request = daemon.script("app_web_aaaaaa", &format!("stty -echo; printf '{ODD}'; cat; exit 9"));
    request.extras.terminal = true;
    let id = daemon.docker.create(&request).await.expect("create");
    let mut session = daemon.docker.attach(&id).await.expect("attach");
    daemon.docker.start(&id).await.expect("start");
    session.control.resize(50, 132).await.expect("resize");
    let mut seen = Vec::new();
    while seen.len() < ODD_BYTES.len() {
        seen.extend_from_slice(&session.output.next().await.expect("more").expect("output").1);
    }
    assert_eq!(seen, ODD_BYTES);
    let mut input = session.input.take().expect("input");
    input.write_all(b"hello\n").await.expect("write");
    input.shutdown().await.expect("the end of the input");
    let mut rest = Vec::new();
    while let Some(piece) = session.output.next().await {
        rest.extend_from_slice(&piece.expect("output").1);
    }
    assert_eq!(rest, b"hello\r\n");
    assert_eq!(session.control.exit_code().await.expect("exit code"), 9);
}
