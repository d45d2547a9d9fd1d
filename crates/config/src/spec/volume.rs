//! Volumes, as people write them.

use crate::value::ByteSize;
use eru_types::volume::Volume;

/// `SOURCE:TARGET[:FLAGS[:SIZE]]`, where the size may have a unit, as `10G`.
///
/// # Errors
/// What is wrong with it.
pub fn volume(text: &str) -> Result<Volume, String> {
    let mut parts = text.split(':').collect::<Vec<_>>();
    let bytes = match parts.get(3) {
        Some(size) => size.parse::<ByteSize>().map_err(|error| error.to_string())?.0.to_string(),
        None => String::new(),
    };
    if let Some(size) = parts.get_mut(3) {
        *size = &bytes;
    }
    parts.join(":").parse().map_err(|error: eru_types::volume::VolumeError| plain(&error.to_string()))
}

/// The message without the words that only clients of the original look for.
fn plain(message: &str) -> String {
    let rest = message.strip_prefix("invalid volume").unwrap_or(message).trim_start_matches([':', ',', ' ']);
    rest.replace("dest must be provided: ", "target ")
}

#[cfg(test)]
mod tests {
    use super::volume;

    #[test]
    fn sizes_become_bytes() {
        let text = |text: &str| volume(text).map(|volume| volume.to_string());
        assert_eq!(text("AUTO:/data:rw:1G").unwrap(), "AUTO:/data:rw:1073741824");
        assert_eq!(text("/tmp:/tmp").unwrap(), "/tmp:/tmp");
        assert_eq!(text("/sys:/sys:ro").unwrap(), "/sys:/sys:ro:0");
        assert_eq!(
            text("/a:/b:rw:12Q").unwrap_err(),
            "not a size, got \"12Q\" (number + B, K, M, G, T, P; at most 8 EiB)"
        );
        assert_eq!(text("/a:b").unwrap_err(), "target must be an absolute path without \"..\", got \"b\"");
        assert_eq!(text("/a").unwrap_err(), "must be SOURCE:TARGET[:FLAGS[:SIZE]], got \"/a\"");
        assert_eq!(text("/a:/b:x").unwrap_err(), "flags must be of r, w, m and o, got \"x\"");
    }
}
