//! Listening, and ending.

use crate::{
    args::Args,
    respond::{State, respond},
};
use anyhow::Context;
use clap::Parser;
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{
    env,
    ffi::OsString,
    future::pending,
    io::{self, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    process::ExitCode,
    rc::Rc,
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpStream},
    signal::unix::{SignalKind, signal},
    task::{JoinSet, LocalSet},
};

/// Connections at once; further ones wait in the kernel. Many more than a person and a few probes have.
const CONNECTIONS_LEN_MAX: usize = 256;
/// How long a client may take to send its request.
const HEADER_WAIT: Duration = Duration::from_secs(10);
/// The pause after an accept that failed, for want of descriptors as a rule.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Runs `eru-hello`. `args` begins with the program's name.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args = match Args::try_parse_from(args) {
        Ok(args) => args,
        Err(error) => {
            // Help and version are no errors, and go to standard output. Where that is closed nobody reads.
            if error.use_stderr() {
                let _ = writeln!(io::stderr(), "{}", wrong(&error));
            } else {
                let _ = error.print();
            }
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let code = runtime.context("cannot begin").and_then(|runtime| LocalSet::new().block_on(&runtime, run(args)));
    match code {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            let _ = writeln!(io::stderr(), "{error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> anyhow::Result<u8> {
    let address = SocketAddr::new(own_ip()?, args.port);
    let refused = |error: io::Error| {
        let advice = match error.kind() {
            io::ErrorKind::AddrInUse => ": end what listens on that port, or take another --port",
            _ => "",
        };
        anyhow::anyhow!("cannot listen on {address}: {}{advice}", plain(&error))
    };
    let listener = TcpListener::bind(address).await.map_err(refused)?;
    let _ = writeln!(io::stdout(), "listening on {}", listener.local_addr()?);
    let state = Rc::new(State::new(own_name(), args.fail_health_after));
    let mut terminated = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
    let mut interrupted = signal(SignalKind::interrupt()).context("cannot wait for SIGINT")?;
    let exit_after = async {
        let Some((after, code)) = args.exit_after else { return pending().await };
        tokio::time::sleep(after).await;
        code
    };
    tokio::pin!(exit_after);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            code = &mut exit_after => return Ok(code),
            _ = interrupted.recv() => return Ok(0),
            // The handler stays, so that the signal does nothing at all when it is to be ignored.
            _ = terminated.recv() => if !args.ignore_term { return Ok(0) },
            Some(_) = connections.join_next() => {
                if let Some(code) = state.exit_code() {
                    return Ok(code);
                }
            }
            accepted = listener.accept(), if connections.len() < CONNECTIONS_LEN_MAX => match accepted {
                Ok((stream, _)) => {
                    connections.spawn_local(serve(stream, state.clone()));
                }
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
        }
    }
}

async fn serve(stream: TcpStream, state: Rc<State>) {
    let service = service_fn(|request| respond(&state, request));
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEADER_WAIT);
    // What a client does wrong is told to the client, or it has gone.
    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
}

/// What is wrong with the command line, in one line.
fn wrong(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let line = text.lines().next().unwrap_or_default();
    format!("eru-hello: {}; see --help", line.strip_prefix("error: ").unwrap_or(line))
}

fn own_ip() -> anyhow::Result<IpAddr> {
    match env::var("ERU_IP") {
        Err(_) => Ok(Ipv4Addr::LOCALHOST.into()),
        Ok(text) => text.parse().map_err(|_| anyhow::anyhow!("ERU_IP must be an address, got {text:?}")),
    }
}

/// The number of the workload in its deploy, else its app, else the program.
fn own_name() -> String {
    let given = ["ERU_WORKLOAD_SEQ", "APP_NAME"].into_iter().find_map(|name| env::var(name).ok());
    given.filter(|name| !name.is_empty()).unwrap_or_else(|| "eru-hello".to_owned())
}

/// What the system said, without the number that std adds.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}
