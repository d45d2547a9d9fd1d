//! Running a command inside of a workload.

use super::{
    Cluster, Error, Result,
    pool::PoolPlace,
    request::{PATH_BYTES_MAX, is_absolute},
};
use eru_api::pb;
use eru_runtime::Session;
use eru_types::{limits::LIST_LEN_MAX, name::excerpt};

/// Longest command with its variables, in bytes: half of what Linux passes to a program.
const COMMAND_BYTES_MAX: usize = 1024 * 1024;

/// Which command, in which workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecRequest {
    /// The engine id.
    pub id: String,
    /// The command.
    pub command: eru_runtime::ExecRequest,
    /// Output as it comes, not line by line.
    pub raw: bool,
}

impl ExecRequest {
    /// Proves a request.
    ///
    /// # Errors
    /// [`Error::Invalid`] names the field and quotes the value.
    pub fn from_pb(options: &pb::ExecuteWorkloadOptions) -> Result<Self> {
        if options.workload_id.is_empty() {
            return Err(Error::Invalid("workload id is empty".into()));
        }
        if options.commands.first().is_none_or(String::is_empty) {
            return Err(Error::Invalid("commands are empty: give a program".into()));
        }
        for (field, list) in [("commands", &options.commands), ("envs", &options.envs)] {
            if list.len() > LIST_LEN_MAX {
                return Err(Error::Invalid(format!("{field}: {} items (at most {LIST_LEN_MAX})", list.len())));
            }
            if let Some(item) = list.iter().find(|item| item.contains('\0')) {
                return Err(Error::Invalid(format!("{field}: \"{}\" holds a NUL", excerpt(item))));
            }
        }
        let bytes: usize = options.commands.iter().chain(&options.envs).map(String::len).sum();
        if bytes > COMMAND_BYTES_MAX {
            return Err(Error::Invalid(format!("commands and envs: {bytes} bytes (at most {COMMAND_BYTES_MAX})")));
        }
        if let Some(pair) =
            options.envs.iter().find(|pair| pair.split_once('=').is_none_or(|(name, _)| name.is_empty()))
        {
            return Err(Error::Invalid(format!("envs: must be NAME=VALUE, got \"{}\"", excerpt(pair))));
        }
        if !options.workdir.is_empty() {
            check_path("workdir", &options.workdir)?;
        }
        if options.no_terminal && !options.open_stdin {
            return Err(Error::Invalid(
                "no_terminal needs open_stdin: without input there is no terminal anyway".into(),
            ));
        }
        let terminal = options.open_stdin && !options.no_terminal;
        Ok(Self {
            id: options.workload_id.clone(),
            command: eru_runtime::ExecRequest {
                command: options.commands.clone(),
                env: options.envs.clone(),
                dir: options.workdir.clone(),
                user: String::new(),
                privileged: false,
                terminal,
                stdin: options.open_stdin,
            },
            // Somebody types, and waits for what is not a whole line.
            raw: options.raw || options.open_stdin,
        })
    }
}

/// An absolute path that an engine may be given.
///
/// # Errors
/// [`Error::Invalid`] names the field and quotes the value.
pub(crate) fn check_path(field: &str, path: &str) -> Result<()> {
    if is_absolute(path) {
        return Ok(());
    }
    Err(Error::Invalid(format!(
        "{field} must be an absolute path without \"..\" and at most {PATH_BYTES_MAX} bytes, got \"{}\"",
        excerpt(path)
    )))
}

/// A command that runs.
pub struct Running {
    /// Its output, its input and its end.
    pub session: Session,
    /// It is one of so many.
    pub(crate) place: PoolPlace,
}

impl Cluster {
    /// Runs a command. It has been started when this returns.
    ///
    /// # Errors
    /// [`Error::NotFound`] without the workload, [`Error::Exhausted`] when too many run, or what its engine said.
    pub async fn exec(&self, request: &ExecRequest) -> Result<Running> {
        let target = self.target(&request.id).await?;
        let place = self.pools.sessions.try_enter(&target.node)?;
        let call = target.engine.runtime.exec(&target.id, &request.command);
        Ok(Running { session: self.engine_call(call).await?, place })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> pb::ExecuteWorkloadOptions {
        pb::ExecuteWorkloadOptions {
            workload_id: "a".into(),
            commands: vec!["sh".into()],
            ..pb::ExecuteWorkloadOptions::default()
        }
    }

    #[test]
    fn a_terminal_comes_with_input_unless_it_is_not_wanted() {
        let of = |open_stdin, no_terminal, raw| {
            let request = ExecRequest::from_pb(&pb::ExecuteWorkloadOptions { open_stdin, no_terminal, raw, ..good() });
            request.map(|r| (r.command.stdin, r.command.terminal, r.raw)).unwrap()
        };
        assert_eq!(of(false, false, false), (false, false, false));
        assert_eq!(of(false, false, true), (false, false, true));
        assert_eq!(of(true, false, false), (true, true, true));
        assert_eq!(of(true, true, false), (true, false, true));
    }

    #[test]
    fn bad_requests_name_the_field() {
        type Change = fn(&mut pb::ExecuteWorkloadOptions);
        let cases: [(Change, &str); 10] = [
            (|o| o.workload_id.clear(), "workload id is empty"),
            (|o| o.commands.clear(), "commands are empty"),
            (|o| o.commands = vec![String::new(), "x".into()], "commands are empty"),
            (|o| o.commands.push("a\0b".into()), "commands: \"a\\0b\" holds a NUL"),
            (|o| o.commands = vec!["x".into(); 10_001], "commands: 10001 items (at most 10000)"),
            (|o| o.envs = vec!["=x".into()], "envs: must be NAME=VALUE, got \"=x\""),
            (
                |o| o.envs = vec![format!("A={}", "x".repeat(1 << 20))],
                "commands and envs: 1048580 bytes (at most 1048576)",
            ),
            (
                |o| o.workdir = "etc".into(),
                "workdir must be an absolute path without \"..\" and at most 4096 bytes, got \"etc\"",
            ),
            (|o| o.workdir = "/a/../b".into(), "workdir must be an absolute path"),
            (|o| o.no_terminal = true, "no_terminal needs open_stdin"),
        ];
        for (change, part) in cases {
            let mut options = good();
            change(&mut options);
            let text = ExecRequest::from_pb(&options).unwrap_err().to_string();
            assert!(text.contains(part), "{text:?} lacks {part:?}");
        }
    }
}
