//! What was passed on of an output, so that it can be read again without saying anything twice.

use eru_runtime::{LogLine, Stream};

/// How far apart in time lines may be written whose order an engine does not keep: those of the two outputs.
const DISORDER_MS: i64 = 100;

/// How far each output was read: the time of its last line, and how many lines it had at that time. The lines of one output
/// are in the order of their times.
#[derive(Debug, Default)]
pub(super) struct Seen {
    outputs: [Option<(i64, u64)>; 2],
}

impl Seen {
    /// Notes a line that is passed on.
    pub(super) fn note(&mut self, line: &LogLine) {
        let last = &mut self.outputs[index(line.stream)];
        *last = match *last {
            Some((at_ms, count)) if at_ms == line.at_ms => Some((at_ms, count + 1)),
            _ => Some((line.at_ms, 1)),
        };
    }

    /// Whether lines from `oldest` on reach back to what was seen.
    pub(super) fn reaches(&self, oldest: &LogLine) -> bool {
        let last = self.outputs.iter().flatten().map(|(at_ms, _)| *at_ms).max();
        last.is_some_and(|last| oldest.at_ms < last - DISORDER_MS)
    }

    /// Begins to read it again, from a place before the last line of each output.
    pub(super) fn again(&self) -> Again {
        Again { outputs: self.outputs }
    }
}

/// Tells what is new when an output is read again.
pub(super) struct Again {
    outputs: [Option<(i64, u64)>; 2],
}

impl Again {
    /// Whether the next line was not seen.
    pub(super) fn is_new(&mut self, line: &LogLine) -> bool {
        match &mut self.outputs[index(line.stream)] {
            Some((at_ms, _)) if line.at_ms < *at_ms => false,
            Some((at_ms, left)) if line.at_ms == *at_ms && *left > 0 => {
                *left -= 1;
                false
            }
            _ => true,
        }
    }
}

fn index(stream: Stream) -> usize {
    match stream {
        Stream::Stdout => 0,
        Stream::Stderr => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn line(at_ms: i64, stream: Stream, text: &'static str) -> LogLine {
        LogLine { at_ms, stream, data: Bytes::from_static(text.as_bytes()), partial: false }
    }

    #[test]
    fn only_what_was_not_seen_is_new() {
        use Stream::{Stderr, Stdout};
        let all = [
            line(1000, Stdout, "a"),
            line(1000, Stdout, "a"),
            line(1005, Stderr, "e"),
            line(1004, Stdout, "a"),
            line(1004, Stdout, "a"),
            line(1004, Stdout, "a"),
            line(1006, Stderr, "f"),
        ];
        for seen_len in 0..=all.len() {
            let mut seen = Seen::default();
            all[..seen_len].iter().for_each(|line| seen.note(line));
            let mut again = seen.again();
            let new: Vec<_> = all.iter().filter(|line| again.is_new(line)).cloned().collect();
            assert_eq!(new, all[seen_len..], "after {seen_len}");
        }
        let mut seen = Seen::default();
        assert!(!seen.reaches(&all[0]), "nothing was seen");
        all.iter().for_each(|line| seen.note(line));
        assert!(!seen.reaches(&all[0]) && seen.reaches(&line(900, Stdout, "")));
    }
}
