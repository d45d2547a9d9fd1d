//! Wrong input on the command line: the error names the thing, quotes the value, says what is allowed; the exit code
//! tells; nothing half-made stays.

use crate::scene::{ERU, example};
use anyhow::Result;
use eru_testkit::Up;

#[tokio::test(flavor = "multi_thread")]
async fn every_error_is_clear() -> Result<()> {
    let up = Up::start(ERU, &[]).await?;
    let hello = example("hello.yaml");
    let deploy = |more: &[&str]| {
        let mut args = vec!["workload".to_owned(), "deploy".into(), hello.clone(), "--pod".into(), "local".into()];
        args.extend(["--entry".to_owned(), "web".into()]);
        args.extend(more.iter().map(|arg| (*arg).to_owned()));
        args
    };
    let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
    for (args, code, parts) in [
        (words("workload deplyo x"), 2, vec!["deplyo", "deploy"]),
        (words("pod list --outptu json"), 2, vec!["--outptu", "--output"]),
        (words("pod add a/b"), 2, vec!["a/b"]),
        (words("pod remove nosuchpod"), 4, vec!["nosuchpod"]),
        (words("workload get zzzzzz"), 4, vec!["zzzzzz"]),
        (deploy(&["--count", "0"]), 2, vec!["--count", "0"]),
        (deploy(&["--count", "abc"]), 2, vec!["--count", "abc"]),
        (deploy(&["--memory", "12Q"]), 2, vec!["--memory", "12Q"]),
        (deploy(&["--env", "FOO"]), 2, vec!["--env", "FOO"]),
        (deploy(&["--deploy-strategy", "fil"]), 2, vec!["fil", "fill"]),
        (deploy(&["--image", "x:1"]), 5, vec!["image"]),
        (deploy(&["--memory", "900T"]), 6, vec!["memory"]),
        (deploy(&["--node", "nosuchnode"]), 4, vec!["nosuchnode", "does not exist"]),
        (words("workload list --pod nosuchpod"), 4, vec!["pod \"nosuchpod\" does not exist", "pod add"]),
        (words("workload list --nodename nosuchnode"), 4, vec!["node \"nosuchnode\" does not exist", "node add"]),
        (words("pod remove local"), 5, vec!["still has 1 node"]),
        (words("pod capacity --cpu 1 --memory 900T --storage 0 local"), 6, vec!["memory"]),
        (deploy(&["--network", "nosuchnet"]), 2, vec!["networks", "pod \"local\"", "plain commands"]),
        (words("replicaset get nosuchset"), 4, vec!["nosuchset"]),
        (words("replicaset scale hello -3"), 2, vec!["-3"]),
    ] {
        let out = up.cli(&args).await?;
        let text = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
        let got = out.status.code().unwrap_or(-1);
        assert_eq!(got, code, "{args:?}:\n{text}");
        for part in parts {
            assert!(text.contains(part), "{args:?}: {part:?} is not in\n{text}");
        }
    }
    assert!(crate::scene::workloads(&up).await?.is_empty(), "something half-made stayed");
    Ok(())
}

#[test]
fn up_refuses_what_it_cannot_do() {
    let folder = tempfile::tempdir().unwrap();
    for (args, part) in [
        (vec!["up", "--listen", "0.0.0.0:5001"], "loopback"),
        (vec!["up", "--listen", "nonsense"], "nonsense"),
        (vec!["up", "--node", "a/b"], "a/b"),
        (vec!["up", "--pod", ""], "pod"),
        (vec!["up", "nosuchfile.yaml"], "nosuchfile.yaml"),
    ] {
        let out = std::process::Command::new(ERU)
            .args(&args)
            .arg("--data-dir")
            .arg(folder.path().join("d"))
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&out.stderr).into_owned();
        assert_eq!(out.status.code(), Some(2), "{args:?}: {text}");
        assert!(text.contains(part), "{args:?}: {part:?} is not in {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_pod_is_not_made() -> Result<()> {
    let mut up = Up::start(ERU, &[]).await?;
    up.stop().await?;
    let free = "127.0.0.1:0";
    let out = tokio::process::Command::new(ERU)
        .args(["up", "--pod", "other", "--listen", free, "--controller-listen", free, "--data-dir"])
        .arg(up.data_dir())
        .output()
        .await?;
    let text = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(out.status.code(), Some(1), "{text}");
    assert!(text.contains("is registered in pod local"), "{text}");
    up.again(&[]).await?;
    let pods = up.cli_ok(&["pod", "list"]).await?;
    assert!(pods.contains("local") && !pods.contains("other"), "{pods}");
    Ok(())
}
