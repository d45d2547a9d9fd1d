//! A run as it was asked for.

use super::{
    super::{Cluster, DeployRequest, Error, Result, request::Spread},
    ASYNC_MAX,
};
use eru_api::pb;
use eru_scheduler::{Content, Strategy};
use eru_types::name::excerpt;
use std::time::Duration;

/// Most instances of one run: the output of each is read.
const COUNT_MAX: u32 = 1000;
/// The log driver whose output every engine gives back.
const LOG_DRIVER: &str = "json-file";

/// A run as it was asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct LambdaRequest {
    pub(super) deploy: DeployRequest,
    /// Its one instance has input.
    pub(super) input: bool,
    /// Nobody waits for it, and so it ends after so long; `None` = somebody does.
    pub(super) patience: Option<Duration>,
}

impl Cluster {
    /// Proves a run.
    ///
    /// # Errors
    /// [`Error::Invalid`] names the field and quotes the value.
    pub fn lambda_request(&self, options: &pb::RunAndWaitOptions) -> Result<LambdaRequest> {
        let Some(asked) = &options.deploy_options else { return Err(Error::Invalid("No deploy options".into())) };
        let mut deploy = DeployRequest::from_pb(asked)?;
        if asked.open_stdin && (deploy.count != 1 || deploy.spread != Spread::By(Strategy::Auto)) {
            return Err(Error::Invalid("Count must be 1 if OpenStdin is true".into()));
        }
        if deploy.count > COUNT_MAX {
            return Err(Error::Invalid(format!("count of a run must be 1 to {COUNT_MAX}, got {}", deploy.count)));
        }
        if !matches!(deploy.spec.restart.as_str(), "" | "no") {
            return Err(Error::Invalid(format!(
                "entrypoint.restart must be \"no\" for a run to the end, got \"{}\"",
                excerpt(&deploy.spec.restart)
            )));
        }
        let seconds = u64::try_from(options.async_timeout).ok().map(Duration::from_secs).filter(|t| *t <= ASYNC_MAX);
        let Some(seconds) = seconds else {
            let max = ASYNC_MAX.as_secs();
            return Err(Error::Invalid(format!("async_timeout must be 0 to {max} s, got {}", options.async_timeout)));
        };
        let seconds = if seconds.is_zero() { self.settings.global_timeout } else { seconds };
        deploy.spec.lambda = true;
        // A deploy with the same op id is another request, however equal the two are otherwise.
        deploy.digest.insert_str(0, "run ");
        if deploy.content == Content::Image || !deploy.spec.extras.log_driver.is_empty() {
            // Its output is read from there, whatever the engine or the configuration would do with it.
            deploy.spec.extras.log_driver = LOG_DRIVER.into();
            deploy.spec.extras.log_options.clear();
            deploy.debug = false;
        }
        if options.no_terminal && !asked.open_stdin {
            return Err(Error::Invalid(
                "no_terminal needs deploy_options.open_stdin: without input there is no terminal anyway".into(),
            ));
        }
        // Nobody could type into what nobody waits for.
        let input = asked.open_stdin && !options.r#async;
        deploy.spec.extras.terminal = input && !options.no_terminal;
        deploy.spec.extras.pipe = input && options.no_terminal;
        Ok(LambdaRequest { deploy, input, patience: options.r#async.then_some(seconds) })
    }
}
