//! What the scheduler takes: planning alone, in this process, and a deploy through core.

mod deploys;
mod nodes;
mod plans;

use crate::{cluster::Store, table::Table};
use anyhow::Result;

/// Measures.
///
/// # Errors
/// When something does not fit that must.
pub async fn run(stores: &[Store]) -> Result<()> {
    let mut table = Table::new("Scheduler: select, spread, choose cores, lint, apply")?;
    plans::rows(&mut table);
    deploys::one_instance(&mut table).await?;
    if stores.contains(&Store::Etcd) {
        deploys::eight_cores(&mut table).await?;
    }
    table.print();
    Ok(())
}
