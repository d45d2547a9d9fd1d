//! What every verb is given: where to ask, how to print.

use crate::args::Globals;
use crate::connect::{self, Address, Controller, Core, Login};
use crate::error::CliError;
use crate::log::Log;
use crate::output::Format;
use tonic::Status;

/// Where to ask and how to print.
pub(crate) struct Context {
    /// How standard output is written.
    pub output: Format,
    /// Standard error.
    pub log: Log,
    core: Address,
    controller: Address,
    login: Login,
}

impl Context {
    pub fn new(globals: Globals) -> Result<Self, CliError> {
        let address = |name: &str, text: &str| {
            text.parse::<Address>().map_err(|error| CliError::Usage(format!("{name} address: {error}")))
        };
        Ok(Self {
            output: globals.output,
            log: Log::new(globals.debug),
            core: address("core", &globals.eru)?,
            controller: address("controller", &globals.controller)?,
            login: Login::new(&globals.username, &globals.password)?,
        })
    }

    /// A client of core. It connects with its first call.
    pub fn core(&self) -> Result<Core, CliError> {
        self.log.debug(format!("core is {}", self.core.as_str()));
        connect::core(&self.core, self.login.clone())
    }

    /// A client of the controller. It connects with its first call.
    pub fn controller(&self) -> Result<Controller, CliError> {
        self.log.debug(format!("controller is {}", self.controller.as_str()));
        connect::controller(&self.controller, self.login.clone())
    }

    /// The error of a failed call of core.
    pub fn core_failure(&self, status: Status) -> CliError {
        connect::failure("core", &self.core, status)
    }

    /// The error of a failed call of the controller.
    pub fn controller_failure(&self, status: Status) -> CliError {
        connect::failure("controller", &self.controller, status)
    }

    /// Waits for one call of core and takes its message.
    pub async fn ask<T>(
        &self,
        name: &str,
        call: impl Future<Output = Result<tonic::Response<T>, Status>>,
    ) -> Result<T, CliError> {
        let start = std::time::Instant::now();
        let result = call.await;
        self.log.debug(format!("{name} took {:?}", start.elapsed()));
        result.map(tonic::Response::into_inner).map_err(|status| self.core_failure(status))
    }

    /// Waits for the next message of a stream of core.
    pub async fn next<T>(&self, stream: &mut tonic::Streaming<T>) -> Result<Option<T>, CliError> {
        stream.message().await.map_err(|status| self.core_failure(status))
    }

    /// Takes all messages of a stream of core.
    pub async fn collect<T>(&self, mut stream: tonic::Streaming<T>) -> Result<Vec<T>, CliError> {
        let mut all = Vec::new();
        while let Some(message) = self.next(&mut stream).await? {
            all.push(message);
        }
        Ok(all)
    }
}
