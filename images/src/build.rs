//! Building, with the Docker command line: the classic builder or BuildKit, whichever it has.

use crate::{
    rootfs,
    state::{self, State},
};
use anyhow::{Context, Result, bail, ensure};
use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

const RECIPE: &str = include_str!("../Dockerfile");
const BUSYBOX_RECIPE: &str = include_str!("../busybox.Dockerfile");
/// Target of the recipe, name of its image.
const PRODUCTS: [(&str, &str); 4] =
    [("core", "projecteru2/core"), ("agent", "projecteru2/agent"), ("cli", "projecteru2/cli"), ("hello", "eru-hello")];
const BUSYBOX: [(&str, &str); 1] = [("", "eru-busybox")];

/// What is wanted.
#[derive(Debug, Clone, Copy)]
pub struct Order<'a> {
    /// The binary that goes into the images.
    pub binary: &'a Path,
    /// The tags of each image; the first is the one that is asked for later.
    pub tags: &'a [&'a str],
    /// The engine, as `DOCKER_HOST` has it; `None` = the one of the environment.
    pub host: Option<&'a str>,
}

/// An image that is there now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// Its name and first tag.
    pub reference: String,
    /// The engine's id of it.
    pub id: String,
    /// Its size, in bytes.
    pub size_bytes: u64,
    /// Whether it was built now; it was there already otherwise.
    pub is_new: bool,
}

/// `projecteru2/core`, `projecteru2/agent`, `projecteru2/cli` and `eru-hello`.
///
/// # Errors
/// When the engine cannot be asked or refuses; what the builder printed is in the message.
pub fn products(order: Order<'_>) -> Result<Vec<Made>> {
    build(order, &PRODUCTS, RECIPE, rootfs::eru)
}

/// `eru-busybox`: a shell and a few tools for tests; `binary` is the machine's static busybox. Its record is kept in
/// `record`, since its own folder is the system's.
///
/// # Errors
/// As [`products`].
pub fn busybox(order: Order<'_>, record: &Path) -> Result<Made> {
    let made = build_at(order, &BUSYBOX, BUSYBOX_RECIPE, rootfs::busybox, record)?;
    made.into_iter().next().context("one image was ordered")
}

type Fill = fn(&Path, &Path) -> Result<()>;

fn build(order: Order<'_>, images: &[(&str, &str)], recipe: &str, fill: Fill) -> Result<Vec<Made>> {
    build_at(order, images, recipe, fill, order.binary)
}

fn build_at(order: Order<'_>, images: &[(&str, &str)], recipe: &str, fill: Fill, record: &Path) -> Result<Vec<Made>> {
    let first = order.tags.first().context("an image needs a tag")?;
    let references: Vec<String> = images.iter().map(|(_, name)| format!("{name}:{first}")).collect();
    let metadata = fs::metadata(order.binary).with_context(|| format!("cannot read {}", order.binary.display()))?;
    let host = order.host.unwrap_or_default();
    let key = format!("{} {} {host}", state::key(&metadata, recipe), order.tags.join(","));
    let state = State::open(record, &format!("{}.{first}", images[0].1.replace('/', "-")))?;

    let there = inspect(order, &references)?;
    if let (Some(ids), Some(there)) = (state.ids(&key), &there)
        && ids.iter().eq(there.iter().map(|(id, _)| id))
    {
        return Ok(made(references, there, false));
    }
    let folder = tempfile::Builder::new().prefix("eru-images").tempdir_in(parent(record)?)?;
    fs::write(folder.path().join("Dockerfile"), recipe)?;
    fill(order.binary, &folder.path().join("rootfs.tar"))?;
    let buildkit = has_buildkit();
    for (target, name) in images {
        run(order, buildkit, folder.path(), target, name)?;
    }
    let there = inspect(order, &references)?.context("the images were built and are not there")?;
    let ids: Vec<String> = there.iter().map(|(id, _)| id.clone()).collect();
    for old in state.last().iter().filter(|old| !ids.contains(old)) {
        // Of no name any more; one that a container still uses stays, and goes with `docker image prune`.
        let _ = docker(order).args(["image", "rm", old]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
    state.write(&key, &ids)?;
    Ok(made(references, &there, true))
}

fn made(references: Vec<String>, there: &[(String, u64)], is_new: bool) -> Vec<Made> {
    let all = references.into_iter().zip(there);
    all.map(|(reference, (id, size))| Made { reference, id: id.clone(), size_bytes: *size, is_new }).collect()
}

fn parent(path: &Path) -> Result<&Path> {
    path.parent().with_context(|| format!("{} has no folder", path.display()))
}

fn docker(order: Order<'_>) -> Command {
    let mut command = Command::new("docker");
    command.stdin(Stdio::null());
    if let Some(host) = order.host {
        command.env("DOCKER_HOST", host);
    }
    command
}

/// Whether this command line can use BuildKit; without the plugin, asking for it is an error.
fn has_buildkit() -> bool {
    let version =
        Command::new("docker").args(["buildx", "version"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    version.is_ok_and(|status| status.success())
}

/// Id and size of each, or `None` when one is missing.
fn inspect(order: Order<'_>, references: &[String]) -> Result<Option<Vec<(String, u64)>>> {
    let out = docker(order)
        .args(["image", "inspect", "--format", "{{.Id}} {{.Size}}"])
        .args(references)
        .output()
        .context("cannot run docker, the command line of a Docker engine")?;
    if out.status.success() {
        let lines = String::from_utf8(out.stdout)?;
        let parsed = lines.lines().map(|line| {
            let (id, size) = line.split_once(' ').context("docker image inspect: no size")?;
            anyhow::Ok((id.to_owned(), size.parse()?))
        });
        return parsed.collect::<Result<_>>().map(Some);
    }
    let text = String::from_utf8_lossy(&out.stderr);
    if text.to_lowercase().contains("no such image") {
        return Ok(None);
    }
    bail!("docker image inspect: {}", text.trim())
}

fn run(order: Order<'_>, buildkit: bool, folder: &Path, target: &str, name: &str) -> Result<()> {
    let mut command = docker(order);
    command.args(["build", "--quiet"]).env("DOCKER_BUILDKIT", if buildkit { "1" } else { "0" });
    if buildkit {
        // A statement of origin would make each image a list of two.
        command.args(["--provenance=false"]);
    }
    if !target.is_empty() {
        command.args(["--target", target]);
    }
    for tag in order.tags {
        command.args(["--tag", &format!("{name}:{tag}")]);
    }
    let out = command.arg(folder).output().context("cannot run docker build")?;
    ensure!(
        out.status.success(),
        "docker build of {name}: {}{}",
        String::from_utf8_lossy(&out.stdout),
        String::from_utf8_lossy(&out.stderr)
    );
    Ok(())
}
