//! The daemons one by one: `eru core`, `eru controller`, `eru agent`.

mod agent;

pub use agent::main as agent;

use crate::{
    arguments::{self, EXIT_USAGE},
    logging,
    up::{self, Stopped},
};
use anyhow::{Context, Result};
use clap::Parser;
use eru_client::ClientOptions;
use eru_config::{CoreConfig, Setting, StoreKind};
use eru_controller::{Controller, ControllerOptions, Leadership, StoreChoice};
use eru_core::{Core, CoreOptions};
use eru_kv::{Embedded, EmbeddedOptions, Etcd, EtcdOptions, Kv};
use std::{
    ffi::OsString,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};
use tokio_util::sync::CancellationToken;

/// Where core's configuration is when nothing says otherwise.
const CORE_CONFIG: &str = "/etc/eru/core.yaml";

/// The scheduler and its API, on an embedded store or etcd.
#[derive(Debug, Parser)]
#[command(
    name = "eru-core",
    version,
    after_help = "\
Every key of the file can be set by an environment variable, ERU_CORE_<KEY>, and the common ones by
an option.

Example:
  printf 'store: etcd\\netcd:\\n  machines: 127.0.0.1:2379\\n' > core.yaml
  eru core --config core.yaml --bind 127.0.0.1:5001"
)]
struct CoreArgs {
    /// The configuration, YAML [default: /etc/eru/core.yaml if it is there]
    #[arg(long, value_name = "FILE", env = "ERU_CONFIG_PATH")]
    config: Option<PathBuf>,
    /// Where to listen, `host:port` or `:port`.
    #[arg(long, value_name = "ADDRESS")]
    bind: Option<String>,
    /// Where state is kept: `embedded` or `etcd`.
    #[arg(long, value_name = "KIND")]
    store: Option<String>,
    /// The folder of the embedded store.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<String>,
    /// DEBUG, INFO, WARN or ERROR.
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
}

/// ReplicaSets: a watch application on core's public API.
#[derive(Debug, Parser)]
#[command(
    name = "eru-controller",
    version,
    after_help = "\
Example:
  eru controller --core 127.0.0.1:5001 --data-dir /var/lib/eru-controller"
)]
struct ControllerArgs {
    /// Core's addresses.
    #[arg(long, value_name = "ADDRESS", env = "ERU", default_value = "127.0.0.1:5001", value_delimiter = ',')]
    core: Vec<String>,
    /// Where its own API listens.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:5002")]
    listen: SocketAddr,
    /// Keep specs and slots in this folder; the controller is then alone.
    #[arg(long, value_name = "DIR", conflicts_with = "etcd", required_unless_present = "etcd")]
    data_dir: Option<PathBuf>,
    /// Keep them in this etcd; several controllers then take turns.
    #[arg(long, value_name = "HOST:PORT", value_delimiter = ',')]
    etcd: Vec<String>,
    /// The prefix of its keys in etcd.
    #[arg(long, value_name = "PREFIX", default_value = "/eru-controller")]
    etcd_prefix: String,
    /// User name for core.
    #[arg(long, short, env = "ERU_USERNAME", default_value = "")]
    username: String,
    /// Password for core.
    #[arg(long, short, env = "ERU_PASSWORD", default_value = "", hide_env_values = true)]
    password: String,
}

/// Runs `eru core`.
pub fn core(args: Vec<OsString>) -> ExitCode {
    let args: CoreArgs = match arguments::parse("eru core", args) {
        Ok(args) => args,
        Err(code) => return code,
    };
    let flags: Vec<Setting> = [
        ("--bind", "bind", args.bind),
        ("--store", "store", args.store),
        ("--data-dir", "data_dir", args.data_dir),
        ("--log-level", "log_level", args.log_level),
    ]
    .into_iter()
    .filter_map(|(flag, key, value)| value.map(|value| Setting::flag(flag, key, value)))
    .collect();
    let default = Path::new(CORE_CONFIG);
    let loaded = match args.config.as_deref().or_else(|| default.exists().then_some(default)) {
        Some(path) => CoreConfig::load(path, environment(), &flags),
        // Options and the environment may say everything.
        None => CoreConfig::parse("options", "", environment(), &flags),
    };
    let loaded = match loaded {
        Ok(loaded) => loaded,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(EXIT_USAGE);
        }
    };
    logging::to_stderr(Some(&loaded.config.log_level.to_string().to_lowercase()));
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    if let Some(notice) = loaded.config.later_notice() {
        tracing::info!("{notice}");
    }
    up::finish("eru core", run_core(loaded.config))
}

async fn run_core(config: CoreConfig) -> Result<()> {
    let mut stopped = Stopped::new()?;
    let kv: Arc<dyn Kv> = match config.store {
        StoreKind::Embedded => Embedded::open(&config.data_dir.join("store"), EmbeddedOptions::default())?,
        StoreKind::Etcd => {
            let options = EtcdOptions {
                endpoints: config.etcd.machines.clone(),
                prefix: config.etcd.prefix.clone(),
                ..EtcdOptions::default()
            };
            Etcd::connect(options).await?
        }
    };
    let options = CoreOptions { build: crate::version::build(), ..CoreOptions::from_config(&config, kv.clone()) };
    let core = Core::build(options).await?;
    run_until_stopped(&mut stopped, |token| core.run(token)).await?;
    kv.close().await?;
    Ok(())
}

/// Runs a part until a signal comes, then lets it end.
async fn run_until_stopped<F>(stopped: &mut Stopped, part: impl FnOnce(CancellationToken) -> F) -> Result<()>
where
    F: Future<Output = Result<()>>,
{
    let token = CancellationToken::new();
    let mut running = std::pin::pin!(part(token.clone()));
    tokio::select! {
        ended = &mut running => return ended,
        () = stopped.wait() => token.cancel(),
    }
    running.await
}

/// Runs `eru controller`.
pub fn controller(args: Vec<OsString>) -> ExitCode {
    let args: ControllerArgs = match arguments::parse("eru controller", args) {
        Ok(args) => args,
        Err(code) => return code,
    };
    logging::to_stderr(None);
    up::finish("eru controller", run_controller(args))
}

async fn run_controller(args: ControllerArgs) -> Result<()> {
    let mut stopped = Stopped::new()?;
    let store = match args.data_dir {
        Some(folder) => StoreChoice::Folder(folder),
        None => {
            let options = EtcdOptions { endpoints: args.etcd, prefix: args.etcd_prefix, ..EtcdOptions::default() };
            StoreChoice::Kv { kv: Etcd::connect(options).await?, leadership: Leadership::DEFAULT }
        }
    };
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let options = ControllerOptions {
        core: args.core,
        client: ClientOptions { username: args.username, password: args.password, ..ClientOptions::default() },
        listen: args.listen,
        store,
        identity: format!("{}/{}", host.trim(), std::process::id()),
    };
    let controller = Controller::build(options).await.context("cannot start the controller")?;
    run_until_stopped(&mut stopped, |token| async move { Ok(controller.run(token).await?) }).await
}

/// The environment as far as it is text; a variable that is empty is one that a template left empty.
fn environment() -> Vec<(String, String)> {
    let text = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
    std::env::vars_os().filter_map(text).filter(|(_, value)| !value.is_empty()).collect()
}
