//! Where the memory is: `/proc/meminfo`, in bytes. "Used" is what no new program could have: total less available.

use super::{Point, Quantity};

const fn bytes(name: &'static str) -> Quantity {
    Quantity { name, unit: "bytes", label: "" }
}

pub(crate) static QUANTITIES: [Quantity; 8] = [
    bytes("used"),
    bytes("total"),
    bytes("available"),
    bytes("free"),
    bytes("buffers"),
    bytes("cached"),
    bytes("swap_used"),
    bytes("swap_total"),
];

/// Bytes, in the order of [`QUANTITIES`].
pub(super) type Memory = [u64; QUANTITIES.len()];

pub(super) fn parse(text: &str) -> Option<Memory> {
    let (total, available) = (bytes_of(text, "MemTotal")?, bytes_of(text, "MemAvailable")?);
    let (swap_total, swap_free) = (bytes_of(text, "SwapTotal")?, bytes_of(text, "SwapFree")?);
    Some([
        total.saturating_sub(available),
        total,
        available,
        bytes_of(text, "MemFree")?,
        bytes_of(text, "Buffers")?,
        bytes_of(text, "Cached")?,
        swap_total.saturating_sub(swap_free),
        swap_total,
    ])
}

/// Finds the line `key:   N kB`; the kernel's kB are 1024 bytes.
fn bytes_of(text: &str, key: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
    let kib: u64 = rest.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    kib.checked_mul(1024)
}

pub(super) fn points(memory: Memory) -> Vec<Point> {
    QUANTITIES.iter().zip(memory).map(|(quantity, bytes)| Point::single(quantity, bytes as f64)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "MemTotal:  1000 kB\nMemFree:  200 kB\nMemAvailable:  600 kB\nBuffers: 30 kB\n\
        Cached:  300 kB\nSwapCached:  7 kB\nSwapTotal:  500 kB\nSwapFree:  400 kB\nHugePages_Total:  0\n";

    #[test]
    fn reads_kib_as_bytes_and_tells_like_keys_apart() {
        let kib = parse(TEXT).unwrap().map(|bytes| bytes / 1024);
        assert_eq!(kib, [400, 1000, 600, 200, 30, 300, 100, 500]);
    }

    #[test]
    fn refuses_a_text_without_a_key_or_unit() {
        assert_eq!(parse(&TEXT.replace("MemAvailable", "MemOther")), None);
        assert_eq!(parse(&TEXT.replace("1000 kB", "1000 MB")), None);
    }

    #[test]
    fn points_carry_the_quantities_names() {
        let points = points(parse(TEXT).unwrap());
        assert_eq!((points[0].quantity.name, points[0].value), ("used", 400.0 * 1024.0));
        assert_eq!((points[7].quantity.name, points[7].value), ("swap_total", 500.0 * 1024.0));
    }
}
