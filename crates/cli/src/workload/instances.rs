//! What `deploy` and `replace` say of every instance.

use super::files;
use crate::deploy_options::DeployFlags;
use crate::error::CliError;
use crate::values;

#[derive(Debug, clap::Args)]
pub(super) struct Instances {
    /// A variable of the environment; repeatable
    #[arg(long, value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// User to run as
    #[arg(long, value_name = "USER", default_value = "root")]
    user: String,
    /// A file to put into each instance; repeatable
    #[arg(long, value_name = "SOURCE:TARGET[:MODE[:UID[:GID]]]")]
    file: Vec<String>,
    /// A command to run inside an instance when it has been created; repeatable
    #[arg(long, value_name = "COMMAND")]
    after_create: Vec<String>,
    /// Send the workload's logs where core's configuration says for debugging
    #[arg(id = "debug_log", long = "debug", visible_alias = "debug-log")]
    debug: bool,
    /// Do not run hooks
    #[arg(long)]
    ignore_hook: bool,
    /// Settings that only the engine knows
    #[arg(long, value_name = "JSON", value_parser = values::raw_args, default_value = "", hide_default_value = true)]
    raw_args: String,
}

impl Instances {
    /// As flags of a deploy; the rest is left empty.
    pub fn flags(self) -> Result<DeployFlags, CliError> {
        Ok(DeployFlags {
            env: values::env("--env", &self.env)?.iter().map(ToString::to_string).collect(),
            files: files::read("--file", &self.file)?,
            user: self.user,
            after_create: self.after_create,
            debug: self.debug,
            ignore_hook: self.ignore_hook,
            raw_args: self.raw_args.into_bytes(),
            ..Default::default()
        })
    }
}
