//! Why a container did not start, without the names of all the programs that it went through.

use super::inspect::Rights;
use crate::reason::one_line;

/// What each layer puts in front of the cause.
const LAYERS: &[&str] = &[
    "OCI runtime create failed: ",
    "OCI runtime start failed: ",
    "failed to create shim task: ",
    "failed to create task for container: ",
    "runc create failed: ",
    "unable to start container process: ",
    "error during container init: ",
    "container_linux.go:380: ",
    "starting container process caused: ",
];

/// The cause in one line; `rights` are those that the container asks for.
pub(super) fn plain(message: &str, rights: &Rights) -> String {
    let mut cause = message.trim();
    while let Some(rest) = LAYERS.iter().find_map(|layer| cause.strip_prefix(layer)) {
        cause = rest;
    }
    cause = cause.trim_end_matches(": unknown");
    let told = if let Some(rest) = cause.strip_prefix("exec: ") {
        format!("cannot execute {rest}")
    } else if let Some((user, _)) =
        cause.strip_prefix("unable to find user ").and_then(|rest| rest.split_once(": no matching entries"))
    {
        format!("the image does not know user {user:?}: give a number, or an image whose /etc/passwd has it")
    } else if cause.contains("error setting rlimit type 7") {
        "the open-files limit (ulimit nofile) is above what the daemon itself may have: ask for a lower one".to_owned()
    } else if cause.contains("unable to apply caps") {
        let asked = rights.asked();
        format!(
            "{cause}: the daemon itself lacks rights that were asked for{asked}: run it with more rights, or ask for fewer"
        )
    } else {
        cause.to_owned()
    };
    one_line(&told)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_that_a_daemon_lacks_are_named_as_they_were_asked_for() {
        for (privileged, cap_add, asked) in [
            // A privileged one is given this capability as well: nobody asked for it.
            (true, Some(vec!["SYS_ADMIN".to_owned()]), " (privileged)"),
            (false, Some(vec!["NET_ADMIN".to_owned(), "SYS_TIME".to_owned()]), " (cap_add: NET_ADMIN, SYS_TIME)"),
            (false, None, ""),
        ] {
            assert_eq!(
                plain(
                    "OCI runtime create failed: unable to apply caps: operation not permitted: unknown",
                    &Rights { privileged, cap_add }
                ),
                format!(
                    "unable to apply caps: operation not permitted: the daemon itself lacks rights that were asked \
                     for{asked}: run it with more rights, or ask for fewer"
                )
            );
        }
    }

    #[test]
    fn causes_are_plain() {
        let layers = "failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: ";
        for (message, want) in [
            (
                r#"exec: "/nope": stat /nope: no such file or directory: unknown"#,
                r#"cannot execute "/nope": stat /nope: no such file or directory"#,
            ),
            (
                r#"exec: "/etc/passwd": permission denied: unknown"#,
                r#"cannot execute "/etc/passwd": permission denied"#,
            ),
            (
                "error during container init: error setting rlimits for ready process: error setting rlimit type 7: operation not permitted: unknown",
                "the open-files limit (ulimit nofile) is above what the daemon itself may have: ask for a lower one",
            ),
            ("something\nelse", "something\\nelse"),
        ] {
            assert_eq!(plain(&format!("{layers}{message}"), &Rights::default()), want);
        }
        assert_eq!(
            plain("unable to find user nobody: no matching entries in passwd file", &Rights::default()),
            "the image does not know user \"nobody\": give a number, or an image whose /etc/passwd has it"
        );
        assert_eq!(plain("", &Rights::default()), "");
    }
}
