//! What it is told, and what it says when that is wrong.

use crate::program::run;

/// Arguments, environment, the text of the file if there is one, and all that standard error must hold.
type Case<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], Option<&'a str>, &'a [&'a str]);

#[test]
fn what_is_wrong_ends_it_with_two_and_with_everything_that_is_wrong() {
    let cases: &[Case<'_>] = &[
        (
            &["--config", "/nowhere/agent.yaml"],
            &[],
            None,
            &["cannot read /nowhere/agent.yaml: no such file; pass --config"],
        ),
        (&[], &[("ERU_AGENT_CONFIG_PATH", "/nowhere")], None, &["cannot read /nowhere: no such file"]),
        (&["--config", "/"], &[], None, &["cannot read /: it is a directory"]),
        (&["--metrics-stpe", "1"], &[], None, &["unknown option \"--metrics-stpe\"; did you mean \"--metrics-step\"?"]),
        (
            &["--core-endpoint", "a", "--api-addr", "x", "--log-stdout", "maybe", "--hostname", "no node"],
            &[("ERU_AGENT_METRICS_STEP", "-1"), ("ERU_AGENT_METRICS_TRANSFERS", "h")],
            None,
            &[
                "--core-endpoint: core[0]: must be host:port, got \"a\"",
                "--api-addr: api.addr: must be host:port",
                "--log-stdout: log.stdout: must be true or false, got \"maybe\"",
                "--hostname: hostname: must be 1 to 63 letters",
                "environment ERU_AGENT_METRICS_STEP: metrics.step: must be a whole number from 1 to 3600, got \"-1\"",
                "environment ERU_AGENT_METRICS_TRANSFERS: metrics.transfers: must be host:port, got \"h\"",
            ],
        ),
        (
            &[],
            &[],
            Some(
                "core: []\npid: [a]\nhealthcheck:\n  interval: 5\n  timeout: 7\ndocker:\n  endpoint: /var/run/docker.sock\n",
            ),
            &[
                "agent.yaml:1:7: core: at least one address",
                "agent.yaml:2:6: pid: must be text",
                "agent.yaml:5:12: healthcheck.timeout: 7s must be below interval 5s",
                "agent.yaml:7:13: docker.endpoint: missing scheme, did you mean \"unix:///var/run/docker.sock\"?",
            ],
        ),
        (
            &[],
            &[],
            Some("core: a:1\nhealthchek:\n  interval: 5\n"),
            &["agent.yaml:2:1: unknown key \"healthchek\"; did you mean \"healthcheck\"?"],
        ),
        (&["--runtime", "process"], &[], Some("core: a:1\n"), &["\"process\" is watched by the agent inside `eru up`"]),
        (&["--runtime", "yavirt"], &[], Some("core: a:1\n"), &["\"yavirt\" comes later"]),
        (
            &["--runtime", "dokcer"],
            &[],
            Some("core: a:1\n"),
            &["--runtime: runtime: must be one of docker, process, yavirt, fake, got \"dokcer\""],
        ),
        (
            &["--docker-endpoint", "tcp://h"],
            &[],
            Some("core: a:1\n"),
            &["--docker-endpoint: docker.endpoint: must be unix:///path or tcp://host:port, got \"tcp://h\""],
        ),
        (
            &["--health-check-interval", "x"],
            &[],
            Some("core: a:1\n"),
            &["--health-check-interval: healthcheck.interval: ", "got \"x\""],
        ),
        (&["--log-level", "LOUD"], &[], Some("core: a:1\n"), &["--log-level: log_level: "]),
    ];
    for (args, env, file, wanted) in cases {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent.yaml");
        let mut args = args.to_vec();
        if let Some(text) = file {
            std::fs::write(&path, text).unwrap();
            args.extend(["--config", path.to_str().unwrap()]);
        }
        let output = run(&args, env);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {said}");
        for text in *wanted {
            assert!(said.contains(text), "{args:?}: wanted {text:?} in {said}");
        }
    }
}

#[test]
fn a_pid_file_that_cannot_be_written_ends_it_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let output =
        run(&["--core-endpoint", "127.0.0.1:1", "--runtime", "fake", "--hostname", "n1", "--pidfile", path], &[]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("cannot write pid file") && said.contains("directory") && said.contains("--pidfile"),
        "{said}"
    );
}

#[test]
fn help_and_version_go_to_standard_output() {
    for (option, text) in [("--help", "--check-only-mine"), ("--version", "eru-agent 0."), ("--help", "SIGUSR1")] {
        let output = run(&[option], &[]);
        assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0), "{option}");
        assert!(String::from_utf8(output.stdout).unwrap().contains(text), "{option}");
    }
}
