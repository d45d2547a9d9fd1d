//! The two acts of a controller: one create, one removal. What became of each is one of three: done, refused, unknown.

use crate::trouble::one_line;
use crate::view;
use eru_api::controller::ReplicaSetSpec;
use eru_api::pb;
use eru_client::{Address, Client, CoreRpc, Error};
use eru_reconcile::{Create, Remove};
use std::time::Duration;
use tonic::{Code, Status, Streaming};

/// How long one act may take: an image may have to be pulled, a command may take its time to stop.
const ACT_DEADLINE: Duration = Duration::from_secs(600);
/// How long a list of a set's workloads may take: ten thousand of them take less than a second.
const LIST_DEADLINE: Duration = Duration::from_secs(30);

/// Acts in the name of one set and one leader.
#[derive(Clone)]
pub struct Actor {
    client: Client,
    set_name: String,
    owner: String,
    owner_epoch: i64,
}

/// What became of an act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was done; of a create, the id of the workload.
    Done(String),
    /// It was not done, and this is why.
    Refused(String),
    /// Nothing was sent: no core could be reached.
    Unsent(String),
    /// Whether it was done is not known.
    Unknown(String),
}

impl Actor {
    /// Acts for the set with uid `owner` in the leader's term `owner_epoch`.
    pub fn new(client: &Client, set_name: &str, owner: &str, owner_epoch: i64) -> Self {
        let client = client.with_deadline(ACT_DEADLINE);
        Self { client, set_name: set_name.to_owned(), owner: owner.to_owned(), owner_epoch }
    }

    /// Creates an instance of `spec`. Repeated with the same `op_id` it finds its own.
    pub async fn create(&self, create: &Create, spec: &ReplicaSetSpec) -> Outcome {
        let options = self.deploy_options(create, spec);
        let send = |mut core: CoreRpc| {
            let options = options.clone();
            async move { core.create_workload(options).await }
        };
        let stream = match self.client.write(send).await {
            Ok(stream) => stream,
            Err(error) => return failed(&error),
        };
        let result = |message: &pb::CreateWorkloadMessage| match message.success {
            true => Outcome::Done(message.id.clone()),
            false => Outcome::Refused(one_line(&message.error)),
        };
        self.last(stream, result).await
    }

    /// Removes an instance, if core finds the precondition to hold.
    pub async fn remove(&self, remove: &Remove) -> Outcome {
        let options = pb::RemoveWorkloadOptions {
            ids: vec![remove.id.clone()],
            force: true,
            owner: self.owner.clone(),
            owner_epoch: self.owner_epoch,
            healthy_min: i32::try_from(remove.healthy_min).unwrap_or(i32::MAX),
        };
        let send = |mut core: CoreRpc| {
            let options = options.clone();
            async move { core.remove_workload(options).await }
        };
        let stream = match self.client.write(send).await {
            Ok(stream) => stream,
            Err(error) => return failed(&error),
        };
        let result = |message: &pb::RemoveWorkloadMessage| match (message.success, message.error.is_empty()) {
            (true, _) => Outcome::Done(message.id.clone()),
            (false, false) => Outcome::Refused(one_line(&message.error)),
            // The original gives the error in the output of the hooks.
            (false, true) => Outcome::Refused(one_line(&message.hook)),
        };
        self.last(stream, result).await
    }

    /// Ids of the set's workloads by the op ids that made them, as core has them now.
    ///
    /// # Errors
    /// Those of the client.
    pub async fn list(&self) -> Result<Vec<(String, String)>, Error> {
        let options = pb::ListWorkloadsOptions { owner: self.owner.clone(), ..Default::default() };
        let ask = |mut core: CoreRpc| {
            let options = options.clone();
            async move { core.list_workloads(options).await }
        };
        let read = async {
            let mut stream = self.client.read(ask).await?;
            let mut found = Vec::new();
            while let Some(workload) = stream.message().await.map_err(|status| self.error(status))? {
                found.push((workload.op_id, workload.id));
            }
            Ok(found)
        };
        let late = |_| Err(Error::Timeout { address: self.address(), after: LIST_DEADLINE });
        tokio::time::timeout(LIST_DEADLINE, read).await.unwrap_or_else(late)
    }

    /// What the stream says of its only item.
    async fn last<M>(&self, mut stream: Streaming<M>, result: impl Fn(&M) -> Outcome) -> Outcome {
        let mut outcome = Outcome::Unknown("the core ended the answer before its result".to_owned());
        let read = async {
            loop {
                match stream.message().await {
                    Ok(Some(message)) => outcome = result(&message),
                    Ok(None) => return,
                    // A result that has come is not lost by what follows it.
                    Err(_) if !matches!(outcome, Outcome::Unknown(_)) => return,
                    Err(status) => return outcome = failed(&self.error(status)),
                }
            }
        };
        match tokio::time::timeout(ACT_DEADLINE, read).await {
            Ok(()) => outcome,
            Err(_) => Outcome::Unknown(format!("no answer within {} s", ACT_DEADLINE.as_secs())),
        }
    }

    fn address(&self) -> Address {
        self.client.addresses().next().expect("a client has at least one core").clone()
    }

    fn error(&self, status: Status) -> Error {
        Error::from_status(&self.address(), status)
    }

    fn deploy_options(&self, create: &Create, spec: &ReplicaSetSpec) -> pb::DeployOptions {
        let mut options = spec.template.clone().unwrap_or_default();
        options.count = 1;
        options.op_id = create.op_id.clone();
        options.owner = self.owner.clone();
        options.owner_epoch = self.owner_epoch;
        for (key, value) in [
            (view::LABEL_SET, self.set_name.clone()),
            (view::LABEL_UID, self.owner.clone()),
            (view::LABEL_SLOT, create.slot.to_string()),
            (view::LABEL_EPOCH, create.epoch.to_string()),
            (view::LABEL_GENERATION, create.generation.to_string()),
        ] {
            options.labels.insert(key.to_owned(), value);
        }
        options
    }
}

fn failed(error: &Error) -> Outcome {
    let text = one_line(&error.to_string());
    match error {
        Error::Unreachable { .. } => Outcome::Unsent(text),
        Error::Broken { .. } | Error::Timeout { .. } => Outcome::Unknown(text),
        Error::Answered(status) => match status.code() {
            Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Unknown | Code::Internal => {
                Outcome::Unknown(text)
            }
            _ => Outcome::Refused(text),
        },
    }
}
