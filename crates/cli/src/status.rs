//! `status`: the live watch.

use crate::context::Context;
use crate::error::CliError;
use crate::ids::short;
use crate::log::Log;
use crate::output::Format;
use crate::stream::Stream;
use crate::values;
use eru_api::pb;
use eru_api::pb::workload_status_stream_message::Kind;
use eru_client::{Backoff, CoreRpc};
use eru_types::{AppName, EntrypointName, NodeName};
use std::collections::HashMap;
use std::time::Duration;

/// How often core shows that the stream is alive when nothing happens.
const BOOKMARK_INTERVAL: Duration = Duration::from_secs(10);
/// How long nothing may come before the stream counts as dead.
const SILENCE_MAX: Duration = Duration::from_secs(35);

/// Watch how workloads are, as it changes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
It goes on until Ctrl-C, and over restarts of core without losing a change.

Examples:
  eru-cli status
  eru-cli status web --entry http
  eru-cli status --snapshot --node node1  # what is there first, then changes
  eru-cli -o json status  # a line of JSON a message")]
pub(crate) struct Args {
    /// Only this entrypoint
    #[arg(long, value_name = "NAME")]
    entry: Option<EntrypointName>,
    /// Only workloads on this node
    #[arg(long, value_name = "NODE")]
    node: Option<NodeName>,
    /// Only workloads with this label; repeatable
    #[arg(long, value_name = "KEY=VALUE")]
    label: Vec<String>,
    /// What is there first, then changes
    #[arg(long)]
    snapshot: bool,
    /// Only this app
    #[arg(value_name = "APP")]
    app: Option<AppName>,
}

/// The pauses before a stream is asked for again.
pub(crate) fn backoff() -> Backoff {
    Backoff::new(Duration::from_millis(200), Duration::from_secs(5))
}

pub(crate) async fn run(context: &Context, args: Args) -> Result<(), CliError> {
    let mut options = pb::WorkloadStatusStreamOptions {
        appname: args.app.map(String::from).unwrap_or_default(),
        entrypoint: args.entry.map(String::from).unwrap_or_default(),
        nodename: args.node.map(String::from).unwrap_or_default(),
        labels: values::pairs("--label", &args.label)?,
        snapshot: args.snapshot,
        bookmark_interval_ms: BOOKMARK_INTERVAL.as_millis() as u32,
        ..Default::default()
    };
    // The first time somebody waits for an answer, so that a wrong address is an error and not a wait.
    let mut stream = open(context, &options).await?;
    let mut printed = Printed::default();
    loop {
        let mut watch = Watch { context, options: &mut options, printed: &mut printed, seen: false };
        let why = watch.follow(&mut stream).await?;
        stream.give_up();
        let mut backoff = backoff();
        if !watch.seen {
            tokio::time::sleep(backoff.next_bound()).await;
        }
        context.log.warn(format!("[Status] {why}, reconnecting"));
        stream = loop {
            match open(context, &options).await {
                Ok(stream) => break stream,
                Err(error) => context.log.debug(format!("[Status] {error}")),
            }
            tokio::time::sleep(backoff.next_bound()).await;
        };
        let gap = if options.resume_token.is_empty() { "; changes in between were not seen" } else { "" };
        context.log.info(format!("[Status] reconnected{gap}"));
    }
}

async fn open(context: &Context, options: &pb::WorkloadStatusStreamOptions) -> Result<Statuses, CliError> {
    let open = async |mut core: CoreRpc, o| core.workload_status_stream(o).await;
    context.read_stream("WorkloadStatusStream", options.clone(), open).await
}

type Statuses = Stream<pb::WorkloadStatusStreamMessage>;

struct Watch<'a> {
    context: &'a Context,
    options: &'a mut pb::WorkloadStatusStreamOptions,
    printed: &'a mut Printed,
    /// Whether this stream carried anything.
    seen: bool,
}

impl Watch<'_> {
    /// Prints a stream to its end, keeps its newest token, and returns why it ended.
    async fn follow(&mut self, stream: &mut Statuses) -> Result<String, CliError> {
        loop {
            // A core of the original sends no bookmarks, so there silence means nothing.
            let bookmarked = !self.options.resume_token.is_empty();
            let next = async {
                if bookmarked {
                    tokio::time::timeout(SILENCE_MAX, stream.next()).await.ok()
                } else {
                    Some(stream.next().await)
                }
            };
            match next.await {
                None => return Ok("core has fallen silent".into()),
                Some(Ok(None)) => return Ok("core ended the stream".into()),
                Some(Err(error)) => return Ok(error.to_string()),
                Some(Ok(Some(message))) => self.take(&message)?,
            }
        }
    }

    fn take(&mut self, message: &pb::WorkloadStatusStreamMessage) -> Result<(), CliError> {
        self.seen = true;
        if !message.resume_token.is_empty() {
            self.options.resume_token = message.resume_token.clone();
            self.options.snapshot = false;
        }
        if self.context.output != Format::Table {
            return self.context.output.print_one(message, String::new);
        }
        match message.kind() {
            Kind::Change | Kind::Snapshot => change(&self.context.log, self.printed.news(message)),
            Kind::Resync => self.context.log.warn(format!("[Status] starting over: {}", message.reason)),
            Kind::Synced | Kind::Bookmark => {}
        }
        Ok(())
    }
}

/// The last lines of each workload, so that a change of something else does not repeat them. A removal forgets them.
#[derive(Debug, Default)]
struct Printed(HashMap<String, Vec<(Weight, String)>>);

impl Printed {
    /// The lines of a message that say something new.
    fn news(&mut self, message: &pb::WorkloadStatusStreamMessage) -> Vec<(Weight, String)> {
        let lines = lines(message);
        if !message.error.is_empty() || message.delete {
            self.0.remove(&message.id);
            return lines;
        }
        // Nobody has reported it yet: the original, which only sees reports, says nothing.
        if message.status.as_ref().is_none_or(|status| status.id.is_empty()) {
            return Vec::new();
        }
        let before = self.0.insert(message.id.clone(), lines.clone());
        if before.as_ref() == Some(&lines) { Vec::new() } else { lines }
    }
}

fn change(log: &Log, lines: Vec<(Weight, String)>) {
    for (weight, line) in lines {
        match weight {
            Weight::Info => log.info(line),
            Weight::Warning => log.warn(line),
            Weight::Error => log.error(line),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Weight {
    Info,
    Warning,
    Error,
}

/// The lines of one change, as the original words them.
fn lines(message: &pb::WorkloadStatusStreamMessage) -> Vec<(Weight, String)> {
    let id = short(&message.id);
    if !message.error.is_empty() {
        return vec![if message.delete {
            (Weight::Warning, format!("{id} deleted"))
        } else {
            (Weight::Error, format!("[{id}] status changed with error {}", message.error))
        }];
    }
    let none = pb::Workload::default();
    let workload = message.workload.as_ref().unwrap_or(&none);
    let (name, node) = (&workload.name, &workload.nodename);
    let (running, healthy) = message.status.as_ref().map_or((false, false), |status| (status.running, status.healthy));
    let mut lines = Vec::new();
    if message.delete {
        lines.push((Weight::Warning, format!("[{id}] {name} status expired")));
    }
    if !running {
        lines.push((Weight::Warning, format!("[{id}] {name} on {node} is stopped")));
    } else if !healthy {
        lines.push((Weight::Warning, format!("[{id}] {name} on {node} is unhealthy")));
    } else {
        lines.push((Weight::Info, format!("[{id}] {name} back to life")));
        for (network, addresses) in &workload.publish {
            lines.push((Weight::Info, format!("[{id}] published at {network} bind {addresses}")));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_original() {
        let message = |running, healthy, delete, error: &str| {
            let message = pb::WorkloadStatusStreamMessage {
                id: "a1b2c3d4e5f6a7b8".into(),
                workload: Some(pb::Workload {
                    name: "web_http_AbCdEf".into(),
                    nodename: "node1".into(),
                    publish: [("host".into(), "10.0.0.1:80".into())].into(),
                    ..Default::default()
                }),
                status: Some(pb::WorkloadStatus { running, healthy, ..Default::default() }),
                delete,
                error: error.into(),
                ..Default::default()
            };
            lines(&message).into_iter().map(|(weight, line)| format!("{weight:?} {line}")).collect::<Vec<_>>()
        };
        assert_eq!(message(true, false, false, ""), ["Warning [a1b2c3d4e5f6] web_http_AbCdEf on node1 is unhealthy"]);
        assert_eq!(
            message(true, true, false, ""),
            [
                "Info [a1b2c3d4e5f6] web_http_AbCdEf back to life",
                "Info [a1b2c3d4e5f6] published at host bind 10.0.0.1:80"
            ]
        );
        assert_eq!(
            message(false, false, true, ""),
            [
                "Warning [a1b2c3d4e5f6] web_http_AbCdEf status expired",
                "Warning [a1b2c3d4e5f6] web_http_AbCdEf on node1 is stopped"
            ]
        );
        assert_eq!(message(false, false, true, "bad `Count` value"), ["Warning a1b2c3d4e5f6 deleted"]);
        assert_eq!(message(true, true, false, "x"), ["Error [a1b2c3d4e5f6] status changed with error x"]);
    }

    #[test]
    fn what_was_said_is_not_repeated() {
        let message = |id: &str, running| pb::WorkloadStatusStreamMessage {
            id: "a".into(),
            status: Some(pb::WorkloadStatus { id: id.into(), running, ..Default::default() }),
            ..Default::default()
        };
        let mut printed = Printed::default();
        assert!(printed.news(&message("", false)).is_empty());
        assert_eq!(printed.news(&message("a", false)).len(), 1);
        assert!(printed.news(&message("a", false)).is_empty());
        assert_eq!(printed.news(&message("a", true)).len(), 1);
        let removed = pb::WorkloadStatusStreamMessage { delete: true, error: "gone".into(), ..message("a", true) };
        assert_eq!(printed.news(&removed).len(), 1);
        assert!(printed.0.is_empty());
    }
}
