//! From a request to a folder.

use super::{
    address::Addresses,
    entry::NETWORK,
    files::{self, CONTROL, ERR, OUT, SPEC, Spec, WORK},
    options::ProcessOptions,
    user,
};
use crate::{
    clock::now_ms,
    port::{CreateRequest, Error, Result},
    restart::RestartPolicy,
};
use eru_types::{EngineId, name::excerpt};
use rustix::fs::{CWD, FileType, Mode};
use std::{
    env, fs, io,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
};

/// The longest argument or environment pair, in bytes: what Linux takes (`MAX_ARG_STRLEN`, 32 pages) with its end.
const ARGUMENT_BYTES_MAX: usize = 128 * 1024 - 1;
/// All arguments and the environment, in bytes: below what Linux takes with the usual limit on the stack (2 MiB).
const ARGUMENTS_BYTES_MAX: usize = 1 << 20;
/// Where programs are looked for when we have no `PATH` ourselves.
const PATH_DEFAULT: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Checks a request and completes it. The address is taken last, so that a refusal leaves none behind.
pub(super) fn spec(
    request: &CreateRequest,
    options: &ProcessOptions,
    workloads: &Path,
    addresses: &mut Addresses,
) -> Result<Spec> {
    let name = &request.name;
    let invalid = |text: String| Error::Invalid(format!("workload {name}: {text}"));
    if !request.image.is_empty() {
        let image = excerpt(&request.image);
        return Err(invalid(format!("image \"{image}\": this runtime runs plain commands, it has no images")));
    }
    if request.command.first().is_none_or(String::is_empty) {
        return Err(invalid("command is empty: a plain command needs a program".into()));
    }
    request.restart.parse::<RestartPolicy>().map_err(|e| invalid(e.to_string()))?;
    let user = user::resolve(&request.user).map_err(invalid)?;
    let id: String = rand::random::<[u8; 32]>().iter().map(|b| format!("{b:02x}")).collect();
    let id = EngineId::new(id).expect("hex digits are a workload id");
    let dir = match request.dir.as_str() {
        "" => workloads.join(id.as_str()).join(WORK),
        dir if dir.starts_with('/') && !dir.contains('\0') => PathBuf::from(dir),
        dir => return Err(invalid(format!("dir must be an absolute path, got \"{}\"", excerpt(dir)))),
    };
    let mut env = base_env(options, &user.home);
    env.extend(request.env.iter().cloned());
    check_arguments(&request.command, &env).map_err(invalid)?;
    let wanted = wanted_address(request).map_err(invalid)?;
    let address = match wanted {
        Some(wanted) => addresses.take_wanted(wanted).map_err(invalid)?,
        None => addresses.take().ok_or_else(|| Error::Failed("no address of 127.64.0.0/10 is free".into()))?,
    };
    // Before the request's own pairs: whoever sets it knows why.
    env.insert(0, ("ERU_IP".into(), address.to_string()));
    Ok(Spec {
        id,
        request: request.clone(),
        address,
        created_at_ms: now_ms(),
        env,
        dir,
        run_as: user.run_as,
        log_bytes_max: options.log_bytes_max,
    })
}

/// The environment that every command has. Ours is not handed on: it may hold secrets.
fn base_env(options: &ProcessOptions, home: &Path) -> Vec<(String, String)> {
    let path = env::var("PATH").ok().filter(|p| !p.is_empty()).unwrap_or_else(|| PATH_DEFAULT.to_owned());
    let path = match &options.path_prefix {
        Some(prefix) => format!("{}:{path}", prefix.display()),
        None => path,
    };
    let lang = env::var("LANG").unwrap_or_else(|_| "C.UTF-8".to_owned());
    vec![("PATH".into(), path), ("HOME".into(), home.display().to_string()), ("LANG".into(), lang)]
}

fn check_arguments(command: &[String], env: &[(String, String)]) -> Result<(), String> {
    let mut total = 0;
    let mut check = |what: &str, text: &str, length: usize| {
        total += length + 1;
        if text.contains('\0') {
            return Err(format!("{what} \"{}\" holds a NUL", excerpt(text)));
        }
        if length > ARGUMENT_BYTES_MAX {
            return Err(format!("{what} must be at most {ARGUMENT_BYTES_MAX} bytes, one has {length}"));
        }
        Ok(())
    };
    for argument in command {
        check("command", argument, argument.len())?;
    }
    for (name, value) in env {
        if name.is_empty() || name.contains('=') {
            return Err(format!("env name must not be empty or hold '=', got \"{}\"", excerpt(name)));
        }
        check("env", name, name.len())?;
        check("env", value, name.len() + 1 + value.len())?;
    }
    if total > ARGUMENTS_BYTES_MAX {
        return Err(format!("command and env must be at most {ARGUMENTS_BYTES_MAX} bytes together, got {total}"));
    }
    Ok(())
}

/// The address that was asked for, if one was.
fn wanted_address(request: &CreateRequest) -> Result<Option<&str>, String> {
    let mut wanted = None;
    for (network, address) in &request.networks {
        // `host` is what the command line asks for when nothing is said; the machine's own network is what there is.
        if !matches!(network.as_str(), "" | "host" | NETWORK) {
            let got = excerpt(network);
            return Err(format!("network must be {NETWORK} (or host, which is the same here), got \"{got}\""));
        }
        if !address.is_empty() {
            wanted = Some(address.as_str());
        }
    }
    Ok(wanted)
}

/// Makes the folder of a workload beside the others and moves it there whole.
pub(super) fn build(spec: &Spec, new: &Path, workloads: &Path) -> io::Result<PathBuf> {
    let draft = new.join(spec.id.as_str());
    let private = |path: &Path| fs::DirBuilder::new().mode(0o700).create(path);
    private(&draft)?;
    private(&draft.join(WORK))?;
    if let Some(user) = &spec.run_as {
        std::os::unix::fs::chown(draft.join(WORK), Some(user.uid), Some(user.gid))?;
    }
    for (pipe, mode) in [(CONTROL, 0o600), (OUT, 0o666), (ERR, 0o666)] {
        let path = draft.join(pipe);
        rustix::fs::mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o600), 0)?;
        // A command may open its output once more, by /dev/stdout, also as another user. The folder keeps others out.
        fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
    }
    files::write_durably(&draft.join(SPEC), spec)?;
    let folder = workloads.join(spec.id.as_str());
    fs::rename(&draft, &folder)?;
    files::sync_folder(workloads)?;
    Ok(folder)
}
