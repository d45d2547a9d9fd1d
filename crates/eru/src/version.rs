//! Which build this is, as `build.rs` found it out.

use eru_types::Build;
use jiff::Timestamp;

/// The build of this binary. What is not known, as in a source archive, is empty.
pub fn build() -> Build {
    let time = option_env!("ERU_BUILT_AT_SECONDS").and_then(|text| text.parse().ok());
    let time = time.and_then(|seconds| Timestamp::from_second(seconds).ok());
    Build {
        git_hash: option_env!("ERU_GIT_HASH").unwrap_or_default().to_owned(),
        built_at: time.map(|time| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()).unwrap_or_default(),
        compiler: option_env!("ERU_COMPILER").unwrap_or_default().to_owned(),
    }
}
