//! Wrong command lines, each with its message and exit code, in `tests/expect/usage.txt`.

#![allow(clippy::unwrap_used)]

mod support;

use std::fmt::Write as _;

const LINES: &[&str] = &[
    "nosuch",
    "workload deplyo",
    "workload",
    "workload deploy --memry 1G",
    "workload deploy --pod p --entry e --memory 12Q web.yaml",
    "workload deploy --pod p --entry e --memory -1G web.yaml",
    "workload deploy --pod p --entry e --memory 1.5.2G web.yaml",
    "workload deploy --pod p --entry e --memory NaN web.yaml",
    "workload deploy --pod p --entry e --memory 9E9T web.yaml",
    "workload deploy --pod p --entry e --cpu -1 web.yaml",
    "workload deploy --pod p --entry e --cpu inf web.yaml",
    "workload deploy --pod p --entry e --cpu 1e308 web.yaml",
    "workload deploy --pod p --entry e --cpu 0.0000001 web.yaml",
    "workload deploy --pod p --entry e --count 0 web.yaml",
    "workload deploy --pod p --entry e --count -3 web.yaml",
    "workload deploy --pod p --entry e --count 1e3 web.yaml",
    "workload deploy --pod p --entry e --count abc web.yaml",
    "workload deploy --pod p --entry e --count 99999999999 web.yaml",
    "workload deploy --pod p --entry e --count= web.yaml",
    "workload deploy --pod p --entry e --deploy-strategy fil web.yaml",
    "workload deploy --pod p --entry e --spread-label a=b web.yaml",
    "workload deploy --pod p --entry my_web web.yaml",
    "workload deploy --pod a/b --entry e web.yaml",
    "workload deploy --pod p --entry e --image 'a b' web.yaml",
    "workload deploy --pod p --entry e",
    "workload deploy --entry e web.yaml",
    "workload deploy --pod p --entry e web.yaml more.yaml",
    "workload deploy --pod",
    "workload get",
    "workload list --limit -1",
    "workload list --match-ip x",
    "workload list a/b",
    "workload logs --tail -1 x",
    "workload set-status --ttl -1 x",
    "workload remove --step x y",
    "workload stop --forse x",
    "pod add",
    "pod add ''",
    "pod add ../x",
    "pod nodes --filter bad pod1",
    "pod resource --filter 'cpu is high' pod1",
    "pod capacity pod1",
    "pod capacity --cpu 1 --memory 1G --storage -1 pod1",
    "node add --cpu -1 pod1",
    "node set-status --ttl x node1",
    "node down",
    "workload exec",
    "workload exec x",
    "workload exec --workdir srv x ls",
    "workload copy x",
    "workload copy x:",
    "workload copy x:etc/passwd",
    "workload send x",
    "workload send --file a:/b",
    "workload replace web.yaml",
    "workload replace --entry my_web web.yaml",
    "workload replace --entry e --count 0 web.yaml",
    "workload deploy --pod p --entry e --raw-args {x web.yaml",
    "image cache --podname p",
    "image cache --podname p ''",
    "image list --podname a/b",
    "image list --nodename",
    "image remove --podname p --concurrent 0 x",
    "network connect x",
    "network connect --network '' x",
    "network connect --network n --ipv4 fe80::1 x",
    "network disconnect --network n",
    "lambda --pod p --name l",
    "lambda --pod p --name a_b true",
    "lambda --pod p --name l --storage 10Q true",
    "lambda --pod p --name l --volume x true",
    "lambda --pod p --name l --stdin --async true",
    "lambda --pod p --nmae l true",
    "replicaset scale web",
    "replicaset scale web -1",
    "replicaset scale web 1 --count 2",
    "rs aply web.yaml",
    "completion tcsh",
    "core info --output xml",
    "core info extra",
    "core info --eru",
];

#[test]
fn messages() {
    let mut text = String::new();
    for line in LINES {
        let words = eru_types::spec::split_command(line).unwrap();
        let args = std::iter::once("eru-cli".to_owned()).chain(words).map(Into::into).collect();
        let (message, exit) = eru_cli::check(args).expect_err(line);
        // A help page has its own test.
        let message = if message.contains("Usage:") { "(the help page)" } else { &message };
        writeln!(text, "$ eru-cli {line}\n{message}\nexit {}\n", exit as u8).unwrap();
    }
    support::expect("usage.txt", &text);
}

#[test]
fn options_stand_anywhere() {
    for line in [
        "workload remove abc -f",
        "workload -o json list web --entry http",
        "-o json workload list",
        "workload list -o YAML --eru 127.0.0.1:1 web",
        "container list",
        "node update --memory -1G --delta n",
        "rs list",
        "workload exec abc -i sh -c ls",
        "workload exec -e A=1 abc --eru 127.0.0.1:1 -- ls -e -w --eru x",
        "workload exec -o json abc ls",
        "workload copy abc:/x -d /tmp",
        "workload deploy --debug --pod p --entry e web.yaml -d",
        "workload send abc --file a:/b:0644:1",
        "image ls --node n",
        "lambda -p --pod x --name y -- sh -c ls -p",
        "-e 127.0.0.1:1 -p x lambda --pod x --name y ls -l",
    ] {
        let args = std::iter::once("eru-cli").chain(line.split(' ')).map(Into::into).collect();
        assert_eq!(eru_cli::check(args), Ok(()), "{line}");
    }
}

#[test]
fn an_argument_that_is_not_text() {
    use std::os::unix::ffi::OsStringExt as _;
    let args = vec!["eru-cli".into(), "pod".into(), "add".into(), std::ffi::OsString::from_vec(vec![0xff])];
    assert_eq!(eru_cli::check(args).unwrap_err().0, "argument 3 is not valid UTF-8");
}
