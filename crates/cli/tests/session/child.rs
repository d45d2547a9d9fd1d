//! The command line as a process.

use crate::AS_COMMAND_LINE;
use crate::core::PATIENCE;
use std::process::Stdio;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};

/// The command line, not started yet.
pub fn command(address: &str, words: &[&str]) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([AS_COMMAND_LINE, "--eru", address]).args(words);
    for variable in ["ERU", "ERU_USERNAME", "ERU_PASSWORD", "ERU_OUTPUT_FORMAT"] {
        command.env_remove(variable);
    }
    command.kill_on_drop(true);
    command
}

/// The command line, started, with pipes.
pub fn start(address: &str, words: &[&str]) -> Child {
    let mut command = command(address, words);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// The exit code, when it ends.
pub async fn exit_code(child: &mut Child) -> i32 {
    let status = tokio::time::timeout(PATIENCE, child.wait()).await.expect("it ends").unwrap();
    status.code().expect("it exits by itself")
}

/// All that it wrote, and its exit code.
pub async fn end(mut child: Child) -> (Vec<u8>, String, i32) {
    let (mut out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let (out, err) = tokio::join!(all(&mut out), all(&mut err));
    let code = exit_code(&mut child).await;
    (out, String::from_utf8(err).unwrap(), code)
}

async fn all(pipe: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
    let mut bytes = Vec::new();
    tokio::time::timeout(PATIENCE, pipe.read_to_end(&mut bytes)).await.expect("it closes").unwrap();
    bytes
}
