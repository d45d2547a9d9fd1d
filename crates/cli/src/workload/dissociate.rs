//! `workload dissociate`.

use super::summary;
use crate::context::Context;
use crate::error::{CliError, in_words};
use crate::ids;
use eru_api::pb;

pub(super) async fn run(context: &Context, ids: &[String]) -> Result<(), CliError> {
    let ids = ids::resolve(context, ids).await?;
    let total = ids.len();
    let options = pb::DissociateWorkloadOptions { ids };
    let mut stream = context
        .write_stream("DissociateWorkload", options, async |mut core, o| core.dissociate_workload(o).await)
        .await?;
    let mut good = 0;
    while let Some(message) = stream.next().await? {
        context.output.print_message(&message)?;
        let id = &message.id;
        if message.error.is_empty() {
            good += 1;
            context.log.info(format!("[Dissociate] Dissociate workload {id} from eru success"));
        } else {
            context
                .log
                .error(format!("[Dissociate] Dissociate workload {id} from eru failed {}", in_words(&message.error)));
        }
    }
    summary(good, total, "dissociated")
}
