//! The client: calls with deadlines, over the core that answers.

use crate::{
    Address, AgentRpc, ClientOptions, ConnectError, CoreRpc, Error, Route, address::parse_all,
    credentials::Credentials, endpoints::Endpoints,
};
use std::{future::Future, sync::Arc, time::Duration};
use tonic::{Code, Response, Status};

/// When a failed call may be sent again, to the next core.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Carrying it out twice does no harm: after any failure of a core or of the way to it.
    Idempotent,
    /// Only when it surely never arrived.
    Unsent,
}

/// A client of one or several cores of one cluster. Cheap to clone; connects with the first call.
#[derive(Clone)]
pub struct Client {
    endpoints: Arc<Endpoints>,
    deadline: Duration,
    message_bytes_max: usize,
}

impl Client {
    /// Makes a client of the cores at `addresses` (`host:port`, `eru://host:port`, `static://a:1,b:2`). Nothing is
    /// connected yet. Needs a tokio runtime around it.
    ///
    /// # Errors
    /// [`ConnectError`] for a malformed address or login.
    pub fn connect<S: AsRef<str>>(addresses: &[S], options: ClientOptions) -> Result<Self, ConnectError> {
        let parsed = parse_all(addresses)?;
        let login = match (options.username.as_str(), &parsed.login) {
            ("", Some((user, password))) => (user.as_str(), password.as_str()),
            (user, _) => (user, options.password.as_str()),
        };
        let credentials = Credentials::new(login.0, login.1)?;
        Ok(Self {
            endpoints: Arc::new(Endpoints::new(parsed.addresses, &credentials, &options)),
            deadline: options.deadline,
            message_bytes_max: options.message_bytes_max,
        })
    }

    /// The same client with another deadline for calls.
    #[must_use]
    pub fn with_deadline(&self, deadline: Duration) -> Self {
        Self { deadline, ..self.clone() }
    }

    /// The addresses that it was made with.
    pub fn addresses(&self) -> impl Iterator<Item = &Address> {
        self.endpoints.addresses()
    }

    /// The way to the core that is best right now.
    pub fn route(&self) -> Route {
        self.routes().next().expect("a client has at least one core")
    }

    /// The generated client on the core that is best right now: no retry, no deadline.
    pub fn core(&self) -> CoreRpc {
        self.route().core()
    }

    /// The generated client of the service for agents, likewise.
    pub fn agent(&self) -> AgentRpc {
        self.route().agent()
    }

    /// A call that only reads. `f` is given the generated client and makes the call, perhaps several times.
    ///
    /// ```no_run
    /// # use eru_api::pb;
    /// # async fn example(client: eru_client::Client) -> Result<(), eru_client::Error> {
    /// let pods = client.read(|mut core| async move { core.list_pods(pb::Empty {}).await }).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error`] of the last core that was tried.
    ///
    /// # Cost
    /// One round trip, one more for each core that fails.
    pub async fn read<T, F, Fut>(&self, f: F) -> Result<T, Error>
    where
        F: Fn(CoreRpc) -> Fut,
        Fut: Future<Output = Result<Response<T>, Status>>,
    {
        self.call(Retry::Idempotent, |route| f(route.core())).await
    }

    /// A call that changes something: sent to a second core only when it never left for the first.
    ///
    /// # Errors
    /// [`Error`] of the last core that was tried.
    pub async fn write<T, F, Fut>(&self, f: F) -> Result<T, Error>
    where
        F: Fn(CoreRpc) -> Fut,
        Fut: Future<Output = Result<Response<T>, Status>>,
    {
        self.call(Retry::Unsent, |route| f(route.core())).await
    }

    /// A call of any service, under the given rule.
    ///
    /// # Errors
    /// [`Error`] of the last core that was tried; when none could be reached, of all.
    pub async fn call<T, F, Fut>(&self, retry: Retry, f: F) -> Result<T, Error>
    where
        F: Fn(Route) -> Fut,
        Fut: Future<Output = Result<Response<T>, Status>>,
    {
        let until = tokio::time::Instant::now() + self.deadline;
        let mut unreachable = Vec::new();
        let mut last = None;
        let mut routes: Vec<Route> = self.routes().collect();
        if routes.len() == 1 && retry == Retry::Idempotent {
            // The only core may have been started again under an old connection.
            routes.push(routes[0].clone());
        }
        for route in routes {
            let address = route.address().clone();
            if unreachable.iter().any(|(a, _)| *a == address) {
                continue;
            }
            let Ok(outcome) = tokio::time::timeout_at(until, f(route.clone())).await else {
                route.failed();
                return Err(Error::Timeout { address, after: self.deadline });
            };
            let error = match route.settle(outcome) {
                Ok(answer) => return Ok(answer.into_inner()),
                Err(error) => error,
            };
            match error {
                Error::Unreachable { tried } => unreachable.extend(tried),
                error if retry == Retry::Idempotent && error.code() == Code::Unavailable => last = Some(error),
                error => return Err(error),
            }
        }
        Err(last.unwrap_or(Error::Unreachable { tried: unreachable }))
    }

    fn routes(&self) -> impl Iterator<Item = Route> {
        self.endpoints.order().into_iter().map(|index| Route {
            endpoints: self.endpoints.clone(),
            index,
            message_bytes_max: self.message_bytes_max,
        })
    }
}
