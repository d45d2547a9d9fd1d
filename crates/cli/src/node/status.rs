//! `node set-status` and `node watch-status`.

use crate::context::Context;
use crate::error::CliError;
use crate::output::Format;
use crate::status;
use crate::stream::Stream;
use eru_api::pb;
use eru_types::NodeName;
use std::time::Duration;

/// Reports once, or with an interval until Ctrl-C.
pub(super) async fn set(context: &Context, node: &NodeName, ttl: i64, interval: i64) -> Result<(), CliError> {
    let options = pb::SetNodeStatusOptions { nodename: node.to_string(), ttl };
    context.write("SetNodeStatus", options.clone(), async |mut core, o| core.set_node_status(o).await).await?;
    if interval == 0 {
        return Ok(());
    }
    loop {
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(interval as u64)) => {}
            _ = tokio::signal::ctrl_c() => return Err(CliError::Interrupted("stopped reporting".into())),
        }
        if let Err(error) =
            context.write("SetNodeStatus", options.clone(), async |mut core, o| core.set_node_status(o).await).await
        {
            context.log.warn(format!("[SetNodeStatus] {error}"));
        }
    }
}

/// Prints each change, and goes on when the stream breaks.
pub(super) async fn watch(context: &Context) -> Result<(), CliError> {
    let mut backoff = status::backoff();
    // The first time somebody waits for an answer, so that a wrong address is an error and not a wait.
    let mut stream = open(context).await?;
    loop {
        let why = match stream.next().await {
            Ok(Some(message)) => {
                backoff.reset();
                show(context, &message)?;
                continue;
            }
            Ok(None) => "core ended the stream".to_owned(),
            Err(error) => error.to_string(),
        };
        stream.give_up();
        context.log.warn(format!("[WatchNodeStatus] {why}, reconnecting"));
        stream = loop {
            tokio::time::sleep(backoff.next_bound()).await;
            match open(context).await {
                Ok(stream) => break stream,
                Err(error) => context.log.debug(format!("[WatchNodeStatus] {error}")),
            }
        };
        context.log.info("[WatchNodeStatus] reconnected; changes in between were not seen");
    }
}

async fn open(context: &Context) -> Result<Stream<pb::NodeStatusStreamMessage>, CliError> {
    context.read_stream("NodeStatusStream", pb::Empty {}, async |mut core, o| core.node_status_stream(o).await).await
}

fn show(context: &Context, message: &pb::NodeStatusStreamMessage) -> Result<(), CliError> {
    if context.output != Format::Table {
        return context.output.print_one(message, String::new);
    }
    let (node, pod) = (&message.nodename, &message.podname);
    if message.error.is_empty() {
        context.log.info(format!("[WatchNodeStatus] Node {node} on pod {pod}, alive: {}", message.alive));
    } else {
        context.log.error(format!("[WatchNodeStatus] Error when get status for node {node}: {}", message.error));
    }
    Ok(())
}
