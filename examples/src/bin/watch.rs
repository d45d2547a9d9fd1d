//! A watch application: says what happens to the workloads of an app, and raises an alarm for those that fail.
//! Usage: `watch CORE [APP]`, as in `watch 127.0.0.1:5001 web`.
use eru_client::{Change, Client, ClientOptions, Entry, Filter, Informer, InformerOptions};
use tokio_util::sync::CancellationToken;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let core = args.next().unwrap_or_else(|| "127.0.0.1:5001".into());
    let filter = Filter { app: args.next().unwrap_or_default(), ..Filter::default() };
    let client = Client::connect(&[core], ClientOptions::default())?;
    let informer = Informer::start(client, filter, InformerOptions::default(), CancellationToken::new());
    let mut changes = informer.changes();
    while let Some(change) = changes.next().await {
        match change {
            Change::Added(new) => println!("new     {}", line(&new)),
            Change::Updated { new, .. } if new.healthy() => println!("healthy {}", line(&new)),
            Change::Updated { new, .. } if new.running() => println!("waiting {}", line(&new)),
            Change::Updated { new, .. } => println!("ALARM   {}", line(&new)),
            Change::Removed(old) => println!("removed {}", line(&old)),
            Change::Expired(old) => println!("unknown {}", line(&old)),
            Change::Synced => println!("-- {} workloads are watched", informer.snapshot().len()),
        }
    }
    Ok(())
}

fn line(entry: &Entry) -> String {
    let reason = entry.status.as_ref().map_or("", |status| &status.reason);
    format!("{} on {} {reason:?}", entry.workload.name, entry.node())
}
