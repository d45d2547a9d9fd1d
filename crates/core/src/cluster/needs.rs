//! What only an engine of containers can give a workload.

use crate::record::WorkloadSpec;
use eru_runtime::SentFile;
use eru_types::Allotment;

/// Networks that a plain command may name: it is on the machine's own, whatever it is called.
const PLAIN_NETWORKS: [&str; 3] = ["", "host", "loopback"];

/// The first thing that a plain command cannot have, as the request calls it.
pub(crate) fn of_containers(spec: &WorkloadSpec, allotment: &Allotment, files: &[SentFile]) -> Option<&'static str> {
    let extras = &spec.extras;
    let wanted = [
        ("volumes", !allotment.volumes_limit.is_empty()),
        ("networks", spec.networks.keys().any(|name| !PLAIN_NETWORKS.contains(&name.as_str()))),
        ("dns", !extras.dns.is_empty()),
        ("extra_hosts", !extras.hosts.is_empty()),
        ("sysctls", !extras.sysctls.is_empty()),
        ("log", !extras.log_driver.is_empty()),
        ("raw_args", !extras.raw.is_empty()),
        ("open_stdin", extras.has_input()),
        ("data", !files.is_empty()),
        ("after_create", !spec.hook.after_create.is_empty()),
        ("hook.after_start", !spec.hook.after_start.is_empty()),
        ("hook.before_stop", !spec.hook.before_stop.is_empty()),
    ];
    wanted.into_iter().find(|(_, is)| *is).map(|(what, _)| what)
}
