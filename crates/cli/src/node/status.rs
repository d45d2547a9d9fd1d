//! `node set-status` and `node watch-status`.

use crate::context::Context;
use crate::error::CliError;
use crate::output::Format;
use crate::status::Backoff;
use eru_api::pb;
use eru_types::NodeName;
use std::time::Duration;

/// Reports once, or with an interval until Ctrl-C.
pub(super) async fn set(context: &Context, node: &NodeName, ttl: i64, interval: i64) -> Result<(), CliError> {
    let options = pb::SetNodeStatusOptions { nodename: node.to_string(), ttl };
    let mut core = context.core()?;
    context.ask("SetNodeStatus", core.set_node_status(options.clone())).await?;
    if interval == 0 {
        return Ok(());
    }
    loop {
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(interval as u64)) => {}
            _ = tokio::signal::ctrl_c() => return Err(CliError::Interrupted("stopped reporting".into())),
        }
        if let Err(error) = context.ask("SetNodeStatus", core.set_node_status(options.clone())).await {
            context.log.warn(format!("[SetNodeStatus] {error}"));
        }
    }
}

/// Prints each change, and goes on when the stream breaks.
pub(super) async fn watch(context: &Context) -> Result<(), CliError> {
    let mut backoff = Backoff::default();
    let mut core = context.core()?;
    let mut stream = context.ask("NodeStatusStream", core.node_status_stream(pb::Empty {})).await?;
    loop {
        match stream.message().await {
            Ok(Some(message)) => {
                backoff = Backoff::default();
                show(context, &message)?;
                continue;
            }
            Ok(None) => context.log.warn("[WatchNodeStatus] core ended the stream, reconnecting"),
            Err(status) => {
                let error = context.core_failure(status);
                context.log.warn(format!("[WatchNodeStatus] {error}, reconnecting"));
            }
        }
        stream = loop {
            tokio::time::sleep(backoff.next()).await;
            match context.ask("NodeStatusStream", core.node_status_stream(pb::Empty {})).await {
                Ok(stream) => break stream,
                Err(error) => context.log.debug(format!("[WatchNodeStatus] {error}")),
            }
        };
        context.log.info("[WatchNodeStatus] reconnected; changes in between were not seen");
    }
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
