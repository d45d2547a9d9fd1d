//! The few calls of Docker's API that a figure is taken of: without the command line, whose start would be in it.

use anyhow::{Context, Result, ensure};
use eru_testkit::docker::now;
use std::{path::PathBuf, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
};

/// The machine's engine.
pub struct Engine(PathBuf);

impl Engine {
    /// At the socket of an endpoint `unix://PATH`.
    pub fn new(endpoint: &str) -> Self {
        Self(endpoint.trim_start_matches("unix://").into())
    }

    async fn call(&self, path: &str, body: &str) -> Result<String> {
        let mut stream = UnixStream::connect(&self.0).await?;
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: docker\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(head.as_bytes()).await?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await?;
        let code: u16 = text.split_whitespace().nth(1).context("no status")?.parse()?;
        ensure!((200..300).contains(&code), "{path}: {text}");
        Ok(text.split_once("\r\n\r\n").context("no body")?.1.to_owned())
    }

    /// Kills a container; when that was asked for.
    ///
    /// # Errors
    /// What the engine answered.
    pub async fn kill(&self, id: &str) -> Result<Duration> {
        let at = now();
        self.call(&format!("/containers/{id}/kill?signal=KILL"), "").await?;
        Ok(at)
    }

    /// Runs a command inside a container with a terminal; its input and output.
    ///
    /// # Errors
    /// What the engine answered.
    pub async fn terminal(&self, id: &str, command: &[&str]) -> Result<UnixStream> {
        let body = serde_json::json!({
            "AttachStdin": true, "AttachStdout": true, "AttachStderr": true, "Tty": true, "Cmd": command,
        });
        let answer = self.call(&format!("/containers/{id}/exec"), &body.to_string()).await?;
        // The body may be chunked: the object is what is between the braces.
        let object = answer.get(answer.find('{').context("no object")?..=answer.rfind('}').context("no object")?);
        let answer: serde_json::Value = serde_json::from_str(object.context("no object")?)?;
        let exec = answer["Id"].as_str().context("no id")?;
        let mut stream = UnixStream::connect(&self.0).await?;
        let body = r#"{"Detach":false,"Tty":true}"#;
        let head = format!(
            "POST /exec/{exec}/start HTTP/1.1\r\nHost: docker\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
             Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(head.as_bytes()).await?;
        let mut answered = Vec::new();
        while !answered.ends_with(b"\r\n\r\n") {
            answered.push(stream.read_u8().await?);
        }
        ensure!(answered.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&answered));
        Ok(stream)
    }
}
