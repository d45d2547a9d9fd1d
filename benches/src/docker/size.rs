//! How much is measured.

/// Numbers of everything.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Containers killed.
    pub kills: usize,
    /// Containers that an agent watches.
    pub containers: usize,
    /// Starts of the agent.
    pub starts: usize,
    /// Keystrokes sent.
    pub keystrokes: usize,
    /// Bytes of output.
    pub output_bytes: u64,
    /// Seconds over which processor time is measured.
    pub cpu_seconds: u64,
}

impl Size {
    /// What README quotes.
    pub const FULL: Self =
        Self { kills: 50, containers: 100, starts: 3, keystrokes: 500, output_bytes: 1 << 30, cpu_seconds: 30 };
    /// Whether it works at all.
    pub const QUICK: Self =
        Self { kills: 3, containers: 6, starts: 2, keystrokes: 20, output_bytes: 16 << 20, cpu_seconds: 3 };
}
