//! Commands inside of containers, and containers from outside.

use super::{
    bodies::ExecBody, call::Call, containers::Made, create::user, fault::Fault, runtime::Docker, session::Hijacked,
    target::Target,
};
use crate::port::*;
use async_trait::async_trait;
use eru_types::EngineId;
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;
use std::time::{Duration, Instant};

/// How long after the end of its output a command may count as one that never ran.
const RUNS_WITHIN: Duration = Duration::from_secs(10);
/// How long a command that was begun may have no terminal yet.
const TERMINAL_WITHIN: Duration = Duration::from_secs(2);
/// The pause between two looks, doubled each time up to the last.
const LOOK_AGAIN: Duration = Duration::from_millis(2);
const LOOK_AGAIN_MAX: Duration = Duration::from_millis(100);

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ExecState {
    running: bool,
    exit_code: Option<i32>,
}

impl Docker {
    pub(super) async fn exec_inside(&self, id: &EngineId, request: &ExecRequest) -> Result<Session> {
        if request.command.is_empty() {
            return Err(Error::Invalid("a command to run inside must have a program, got none".into()));
        }
        let body = ExecBody {
            attach_stdin: request.stdin,
            attach_stdout: true,
            attach_stderr: true,
            tty: request.terminal,
            env: &request.env,
            cmd: &request.command,
            privileged: request.privileged,
            user: user(&request.user),
            working_dir: &request.dir,
        };
        let call = Call::post(Target::new(&["containers", id.as_str(), "exec"])).json(&body);
        let made: Made = self.transport.json(call).await.map_err(|fault| self.not_inside(fault, id))?;
        let call = Call::post(Target::new(&["exec", &made.id, "start"]));
        let call = call.json(&json!({"Detach": false, "Tty": request.terminal}));
        let Hijacked { output, input } =
            self.hijack(call, request.terminal).await.map_err(|fault| self.not_inside(fault, id))?;
        let control = ExecControl { docker: self.clone(), exec: made.id };
        Ok(Session { output, input: request.stdin.then_some(input), control: Box::new(control) })
    }

    fn not_inside(&self, fault: Fault, id: &EngineId) -> Error {
        match fault {
            Fault::Refused { status: StatusCode::CONFLICT, message } => Error::Invalid(message),
            other => other.of_workload(&self.options.endpoint, id),
        }
    }

    /// # Cost
    /// One round trip more than the connection: whether there is a terminal must be known.
    pub(super) async fn attach_container(&self, id: &EngineId) -> Result<Session> {
        let found = self.look(id.as_str()).await.map_err(self.error_of(id))?;
        let (terminal, stdin) = (found.config.tty, found.config.open_stdin);
        let target = Target::new(&["containers", id.as_str(), "attach"])
            .with("stream", "1")
            .with("stdout", "1")
            .with("stderr", "1");
        let target = if stdin { target.with("stdin", "1") } else { target };
        let Hijacked { output, input } = self.hijack(Call::post(target), terminal).await.map_err(self.error_of(id))?;
        let control = ContainerControl { docker: self.clone(), id: id.clone() };
        Ok(Session { output, input: stdin.then_some(input), control: Box::new(control) })
    }
}

struct ExecControl {
    docker: Docker,
    exec: String,
}

impl ExecControl {
    async fn look(&self) -> Result<ExecState> {
        let call = Call::get(Target::new(&["exec", &self.exec, "json"]));
        self.docker.transport.json(call).await.map_err(|fault| match fault {
            // The engine forgets a command with its container.
            fault if fault.is(StatusCode::NOT_FOUND) => {
                Error::Failed("the workload went before the command's end was seen".into())
            }
            other => self.docker.error(other),
        })
    }
}

#[async_trait]
impl SessionControl for ExecControl {
    async fn resize(&self, rows: u16, columns: u16) -> Result<()> {
        let target =
            Target::new(&["exec", &self.exec, "resize"]).with("h", rows.to_string()).with("w", columns.to_string());
        let begun = Instant::now();
        let mut pause = LOOK_AGAIN;
        loop {
            match self.docker.transport.done(Call::post(target.clone())).await {
                // The connection is there a little before the process is. One that has ended has no size.
                Err(Fault::Refused { message, .. }) => {
                    let over = self.look().await.is_ok_and(|seen| !seen.running && seen.exit_code.is_some());
                    if over {
                        return Ok(());
                    }
                    if begun.elapsed() > TERMINAL_WITHIN {
                        return Err(Error::Failed(message));
                    }
                }
                other => return other.map_err(|fault| self.docker.error(fault)),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LOOK_AGAIN_MAX);
        }
    }

    /// One that closed its output may run on for as long as it likes; how long to wait for it the caller knows.
    async fn exit_code(&self) -> Result<i32> {
        let begun = Instant::now();
        let mut pause = LOOK_AGAIN;
        loop {
            match self.look().await? {
                ExecState { running: false, exit_code: Some(code) } => return Ok(code),
                ExecState { running: false, exit_code: None } if begun.elapsed() > RUNS_WITHIN => {
                    return Err(Error::Failed("the engine did not run the command, and does not say why".into()));
                }
                _ => tokio::time::sleep(pause).await,
            }
            pause = (pause * 2).min(LOOK_AGAIN_MAX);
        }
    }
}

struct ContainerControl {
    docker: Docker,
    id: EngineId,
}

#[async_trait]
impl SessionControl for ContainerControl {
    async fn resize(&self, rows: u16, columns: u16) -> Result<()> {
        let target = Target::new(&["containers", self.id.as_str(), "resize"]);
        let target = target.with("h", rows.to_string()).with("w", columns.to_string());
        self.docker.transport.done(Call::post(target)).await.map_err(self.docker.error_of(&self.id))
    }

    async fn exit_code(&self) -> Result<i32> {
        Ok(self.docker.wait_container(&self.id).await?.code)
    }
}
