//! What hooks said, and which of them failed.

use crate::log::Log;

/// Hooks as core calls them before their command, when it tells of a failure.
const KINDS: [&str; 3] = ["after_create", "after_start", "before_stop"];

/// Tells what the hooks of a workload said, under `head`; each failure is a warning, as the workload is there all the same.
pub(crate) fn report(log: &Log, head: &str, workload: &str, output: &[u8]) {
    let output = String::from_utf8_lossy(output);
    if !output.is_empty() {
        log.info(format!("{head}{output}"));
    }
    for failure in failures(&output) {
        log.warn(format!("hook of {workload} failed: {failure}"));
    }
}

/// The failures among what hooks said: `after_create "false": ended with exit code 1`. A command may end its output without
/// a line feed, and core's word follows on the same line.
fn failures(output: &str) -> impl Iterator<Item = &str> {
    let failure = |line: &'_ str| {
        let begin = KINDS.iter().filter_map(|kind| line.rfind(&format!("{kind} \""))).max()?;
        line[begin..].contains("\": ").then_some(begin)
    };
    output.lines().filter_map(move |line| Some(&line[failure(line)?..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_told_from_what_hooks_say() {
        for (output, want) in [
            ("", vec![]),
            ("all is well\nafter_create was fun\n", vec![]),
            (
                "after_create \"false\": ended with exit code 1\n",
                vec!["after_create \"false\": ended with exit code 1"],
            ),
            (
                "half a lineafter_start \"x\": did not end in 5m\nafter\nbefore_stop \"y\": ended with exit code 2",
                vec!["after_start \"x\": did not end in 5m", "before_stop \"y\": ended with exit code 2"],
            ),
        ] {
            assert_eq!(failures(output).collect::<Vec<_>>(), want, "{output:?}");
        }
    }
}
