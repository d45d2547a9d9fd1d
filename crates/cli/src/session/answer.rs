//! What a message of core means.

use bytes::Bytes;
use eru_api::pb;
use eru_api::pb::StdStreamType;

/// How the original's core begins the message that tells an exit code.
const EXIT_CODE: &[u8] = b"[exitcode] ";

/// Which output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Target {
    Stdout,
    Stderr,
}

/// What a message means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// A workload was made.
    Created(String),
    /// Something of Eru or the engine failed.
    Failed(String),
    /// The command wrote something.
    Output(Target, Bytes),
    /// The command ended.
    Exited(i32),
    /// The command ended, or it wrote something that looks like it: what follows tells.
    Looks(i32, Bytes),
}

/// What `message` means.
pub(super) fn read(message: &pb::AttachWorkloadMessage) -> Answer {
    if message.exited {
        return Answer::Exited(message.exit_code);
    }
    let text = || String::from_utf8_lossy(&message.data).into_owned();
    match message.std_stream_type() {
        StdStreamType::Typeworkloadid if message.data.is_empty() => Answer::Created(message.workload_id.clone()),
        StdStreamType::Typeworkloadid => Answer::Created(text()),
        StdStreamType::Eruerror => Answer::Failed(text()),
        // A number that the original's core does not use is read as standard output.
        StdStreamType::Stdout => match exit_code(&message.data) {
            Some(code) => Answer::Looks(code, message.data.clone()),
            None => Answer::Output(Target::Stdout, message.data.clone()),
        },
        StdStreamType::Stderr => Answer::Output(Target::Stderr, message.data.clone()),
    }
}

fn exit_code(data: &[u8]) -> Option<i32> {
    let number = std::str::from_utf8(data.strip_prefix(EXIT_CODE)?).ok()?;
    number.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind() {
        let message = |kind: StdStreamType, data: &'static [u8]| pb::AttachWorkloadMessage {
            workload_id: "abc".into(),
            data: data.into(),
            std_stream_type: kind as i32,
            ..Default::default()
        };
        let means = |kind, data| read(&message(kind, data));
        let out = |target, data: &'static [u8]| Answer::Output(target, Bytes::from_static(data));
        assert_eq!(means(StdStreamType::Typeworkloadid, b""), Answer::Created("abc".into()));
        assert_eq!(means(StdStreamType::Typeworkloadid, b"def"), Answer::Created("def".into()));
        assert_eq!(means(StdStreamType::Eruerror, b"no"), Answer::Failed("no".into()));
        assert_eq!(means(StdStreamType::Stderr, b"\xff"), out(Target::Stderr, b"\xff"));
        assert_eq!(means(StdStreamType::Stdout, b"[exitcode] 3\n"), out(Target::Stdout, b"[exitcode] 3\n"));
        assert_eq!(means(StdStreamType::Stderr, b"[exitcode] 3"), out(Target::Stderr, b"[exitcode] 3"));
        assert_eq!(means(StdStreamType::Stdout, b"[exitcode] x"), out(Target::Stdout, b"[exitcode] x"));
        let looks = Answer::Looks(-1, Bytes::from_static(b"[exitcode] -1"));
        assert_eq!(means(StdStreamType::Stdout, b"[exitcode] -1"), looks);
        let end = pb::AttachWorkloadMessage { exited: true, exit_code: 137, ..message(StdStreamType::Stdout, b"x") };
        assert_eq!(read(&end), Answer::Exited(137));
    }
}
