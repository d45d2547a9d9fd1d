//! Kernel settings that a workload may have of its own.

/// Settings that the kernel keeps per namespace, by how their names begin.
const NAMESPACED: [&str; 6] = ["net.", "kernel.msg", "kernel.sem", "kernel.shm", "fs.mqueue.", "user."];

/// Whether a setting is kept per namespace; all others would change the node for everyone.
pub fn is_namespaced(name: &str) -> bool {
    let good = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
    good && NAMESPACED.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    #[test]
    fn node_wide_settings_are_told_apart() {
        assert!(super::is_namespaced("net.core.somaxconn"));
        assert!(super::is_namespaced("kernel.shm_rmid_forced"));
        for bad in ["kernel.panic", "vm.swappiness", "", "net", "net./../x"] {
            assert!(!super::is_namespaced(bad), "{bad}");
        }
    }
}
