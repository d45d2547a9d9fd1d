//! Watch applications: what the public status stream makes possible, each in one short file of `src/bin`.
