//! `workload copy`.

mod archive;
mod target;

use super::summary;
use crate::context::Context;
use crate::error::{CliError, in_words};
use crate::ids;
use archive::Archives;
use eru_api::pb;
use std::collections::BTreeMap;
use std::path::PathBuf;
use target::Target;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder for the archives; made if it is not there
    #[arg(long, short = 'd', value_name = "FOLDER", default_value = "/tmp")]
    dir: PathBuf,
    /// A workload, by id, prefix or name, and paths inside it, as 76bc45a2:/etc/passwd,/var/log
    #[arg(value_name = "ID:PATHS", required = true, value_parser = target::parse)]
    targets: Vec<Target>,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<(), CliError> {
    tokio::select! {
        result = copy(context, args) => result,
        _ = tokio::signal::ctrl_c() => {
            context.log.end_progress();
            Err(CliError::Interrupted("interrupted; nothing is left of what was not whole".into()))
        }
    }
}

async fn copy(context: &Context, args: Args) -> Result<(), CliError> {
    let targets = wanted(context, &args.targets).await?;
    let total = targets.values().map(|target| target.paths.len()).sum();
    let mut archives = Archives::in_folder(&args.dir)?;
    let options = pb::CopyOptions { targets };
    let mut stream = context.read_stream("Copy", options, async |mut core, o| core.copy(o).await).await?;
    let mut bytes = 0;
    while let Some(message) = stream.next().await? {
        let from = (message.id.clone(), message.path.clone());
        if message.error.is_empty() {
            archives.append(from, &message.name, &message.data)?;
            bytes += message.data.len() as u64;
            context.log.progress(&format!("{} copied", crate::render::size(bytes)));
        } else {
            archives.refuse(from);
            let (id, path) = (ids::short(&message.id), &message.path);
            context.log.error(format!("[Copy] Failed {id} {path} {}", in_words(&message.error)));
        }
    }
    context.log.end_progress();
    let done = archives.finish()?;
    for copied in &done {
        context.output.print_message(copied)?;
        let (id, path, file) = (ids::short(&copied.id), &copied.path, copied.file.display());
        context.log.info(format!("[Copy] Copied {id}:{path} to {file}"));
    }
    summary(done.len(), total, "copied")
}

/// What is wanted, by whole id, each path once.
async fn wanted(context: &Context, targets: &[Target]) -> Result<BTreeMap<String, pb::CopyPaths>, CliError> {
    let mut wanted: BTreeMap<String, pb::CopyPaths> = BTreeMap::new();
    for target in targets {
        let id = ids::resolve(context, std::slice::from_ref(&target.id)).await?.remove(0);
        let paths = &mut wanted.entry(id).or_default().paths;
        for path in &target.paths {
            if !paths.contains(path) {
                paths.push(path.clone());
            }
        }
    }
    Ok(wanted)
}
