//! What of an app runs, and how it is watched and prepared.

use super::check_len;
use crate::{
    cluster::{Error, Result, command_line},
    record::Hook,
};
use eru_api::pb;
use eru_types::{EntrypointName, meta::MetaHealthCheck, name::excerpt};

/// Most commands of one kind of hook: each is waited for.
const HOOK_LEN_MAX: usize = 64;
/// Longest command of a hook, in bytes: what Linux takes as one argument is twice that.
const HOOK_BYTES_MAX: usize = 64 * 1024;

pub(super) fn name(name: &str) -> Result<EntrypointName> {
    if name.contains('_') {
        return Err(Error::Invalid(format!("entrypoint name has '_' character, got \"{}\"", excerpt(name))));
    }
    Ok(EntrypointName::new(name)?)
}

pub(super) fn command(entrypoint: &pb::EntrypointOptions, extra: &str) -> Result<Vec<String>> {
    check_len("entrypoint.commands", entrypoint.commands.len())?;
    let command = if entrypoint.commands.is_empty() {
        command_line::split(&format!("{} {extra}", entrypoint.command))?
    } else {
        entrypoint.commands.clone()
    };
    match command.iter().find(|part| part.contains('\0')) {
        Some(part) => Err(Error::Invalid(format!("entrypoint.command: \"{}\" holds a NUL", excerpt(part)))),
        None => Ok(command),
    }
}

pub(super) fn health_check(check: &pb::HealthCheckOptions) -> Result<MetaHealthCheck> {
    let tcp_ports = ports("entrypoint.healthcheck.tcp_ports", &check.tcp_ports)?;
    if !check.http_port.is_empty() {
        ports("entrypoint.healthcheck.http_port", std::slice::from_ref(&check.http_port))?;
    }
    if !(check.code == 0 || (100..600).contains(&check.code)) {
        let text = format!("entrypoint.healthcheck.code must be 0 or 100 to 599, got {}", check.code);
        return Err(Error::Invalid(text));
    }
    if check.url.chars().any(char::is_control) || check.url.contains("://") {
        let text = format!("entrypoint.healthcheck.url must be a path, got \"{}\"", excerpt(&check.url));
        return Err(Error::Invalid(text));
    }
    Ok(MetaHealthCheck {
        tcp_ports: Some(tcp_ports).filter(|ports| !ports.is_empty()),
        http_port: check.http_port.clone(),
        http_url: check.url.clone(),
        http_code: check.code,
    })
}

pub(super) fn ports(field: &str, ports: &[String]) -> Result<Vec<String>> {
    check_len(field, ports.len())?;
    match ports.iter().find(|port| !port.trim().parse::<u16>().is_ok_and(|port| port > 0)) {
        Some(port) => {
            Err(Error::Invalid(format!("{field}: must be a port from 1 to 65535, got \"{}\"", excerpt(port))))
        }
        None => Ok(ports.iter().map(|port| port.trim().to_owned()).collect()),
    }
}

/// The commands that are run inside. A request may ask for none of the entrypoint's; those for after the creation are the
/// request's own.
pub(super) fn hook(options: &pb::DeployOptions, entrypoint: &pb::EntrypointOptions) -> Result<Hook> {
    let after_create = commands("after_create", &options.after_create)?;
    let Some(hook) = entrypoint.hook.as_ref().filter(|_| !options.ignore_hook) else {
        return Ok(Hook { after_create, ..Hook::default() });
    };
    Ok(Hook {
        after_create,
        after_start: commands("entrypoint.hook.after_start", &hook.after_start)?,
        before_stop: commands("entrypoint.hook.before_stop", &hook.before_stop)?,
        force: hook.force,
    })
}

fn commands(field: &str, commands: &[String]) -> Result<Vec<String>> {
    if commands.len() > HOOK_LEN_MAX {
        return Err(Error::Invalid(format!("{field}: {} commands (at most {HOOK_LEN_MAX})", commands.len())));
    }
    for command in commands {
        if command.len() > HOOK_BYTES_MAX || command.contains('\0') {
            let text = format!(
                "{field}: a command is at most {HOOK_BYTES_MAX} bytes without NUL, got \"{}\" of {}",
                excerpt(command),
                command.len()
            );
            return Err(Error::Invalid(text));
        }
        match command_line::split(command) {
            Ok(parts) if !parts.is_empty() => {}
            Ok(_) => return Err(Error::Invalid(format!("{field}: a command is empty"))),
            Err(error) => return Err(Error::Invalid(format!("{field}: {error}"))),
        }
    }
    Ok(commands.to_vec())
}

/// The commands as programs with arguments; they were proven to be such.
pub(crate) fn command_lines(commands: &[String]) -> impl Iterator<Item = Vec<String>> {
    commands.iter().map(|command| command_line::split(command).unwrap_or_else(|_| vec![command.clone()]))
}
