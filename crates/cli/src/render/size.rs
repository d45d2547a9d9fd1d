//! Sizes, for people.

/// A number of bytes in its unit, with one decimal: `1.5 MiB`.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let exponent = bytes.ilog2() / 10;
    let value = bytes as f64 / (1u64 << (10 * exponent)) as f64;
    format!("{value:.1} {}", UNITS[exponent as usize - 1])
}

#[cfg(test)]
mod tests {
    #[test]
    fn units() {
        let sizes = [0, 1023, 1024, 1536 << 10, u64::MAX].map(super::size);
        assert_eq!(sizes, ["0 B", "1023 B", "1.0 KiB", "1.5 MiB", "16.0 EiB"]);
    }
}
