//! One core, chosen for one call.

use crate::{Address, Error, credentials::Transport, endpoints::Endpoints, error::Failure};
use eru_api::{
    agent::agent_client::AgentClient, controller::controller_client::ControllerClient,
    pb::core_rpc_client::CoreRpcClient,
};
use std::sync::Arc;
use tonic::{Code, Status};

/// The generated client of the public API.
pub type CoreRpc = CoreRpcClient<Transport>;
/// The generated client of `eru.agent.v1`.
pub type AgentRpc = AgentClient<Transport>;
/// The generated client of `eru.controller.v1`.
pub type ControllerRpc = ControllerClient<Transport>;

/// The way to one core. What a call over it came to must be told to [`Route::settle`], so that the next call knows.
#[derive(Clone)]
pub struct Route {
    pub(crate) endpoints: Arc<Endpoints>,
    pub(crate) index: usize,
    pub(crate) message_bytes_max: usize,
}

impl Route {
    /// Where it leads.
    pub fn address(&self) -> &Address {
        self.endpoints.address(self.index)
    }

    /// The public API.
    pub fn core(&self) -> CoreRpc {
        CoreRpcClient::new(self.endpoints.transport(self.index)).max_decoding_message_size(self.message_bytes_max)
    }

    /// The service for agents.
    pub fn agent(&self) -> AgentRpc {
        AgentClient::new(self.endpoints.transport(self.index)).max_decoding_message_size(self.message_bytes_max)
    }

    /// The service of the controller, for a client that was made with addresses of controllers.
    pub fn controller(&self) -> ControllerRpc {
        ControllerClient::new(self.endpoints.transport(self.index)).max_decoding_message_size(self.message_bytes_max)
    }

    /// Takes note of an outcome, and says what it means.
    ///
    /// # Errors
    /// What `outcome` carries, as [`Error`].
    pub fn settle<T>(&self, outcome: Result<T, Status>) -> Result<T, Error> {
        match outcome {
            Ok(answer) => {
                self.endpoints.answered(self.index);
                Ok(answer)
            }
            Err(status) => {
                let answered = matches!(Failure::of(&status), Failure::Answered) && status.code() != Code::Unavailable;
                if answered {
                    self.endpoints.answered(self.index);
                } else {
                    self.failed();
                }
                Err(Error::from_status(self.address(), status))
            }
        }
    }

    /// Notes that this core is of no use for now: a stream of it ended or fell silent.
    pub fn failed(&self) {
        self.endpoints.failed(self.index);
    }
}
