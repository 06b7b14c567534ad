//! Whether bytes are worth compressing, judged by a few of them.
//!
//! Pictures and whatever is encrypted or compressed already cost as much to compress as text, for every device that
//! receives them, and hardly get smaller.

/// Bytes that are looked at.
const LEN: usize = 1024;
/// Fewer say nothing.
const MIN_LEN: usize = 256;
/// Pieces from which they are taken.
const PIECES: usize = 16;

/// Whether a sample from the middles of these pieces is so evenly distributed that coding its bytes could save some
/// 7 % at most. What repeats itself only over long distances is not noticed.
pub(super) fn looks_random<'a>(pieces: impl ExactSizeIterator<Item = &'a [u8]>) -> bool {
    let step = pieces.len().div_ceil(PIECES).max(1);
    let piece_len = LEN / pieces.len().clamp(1, PIECES);
    let mut counts = [0_u32; 256];
    let mut len = 0;
    for piece in pieces.step_by(step) {
        let start = piece.len().saturating_sub(piece_len) / 2;
        for &byte in piece[start..].iter().take(piece_len) {
            counts[usize::from(byte)] += 1;
            len += 1;
        }
    }
    // How many pairs of equal bytes there are, and how many there would be if all 256 were equally likely.
    let pairs = |count: u32| u64::from(count) * u64::from(count.saturating_sub(1));
    let found: u64 = counts.into_iter().map(pairs).sum();
    len >= MIN_LEN && found * 256 * 2 <= pairs(u32::try_from(len).unwrap_or(u32::MAX)) * 3
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random(len: usize, mut seed: u64) -> Vec<u8> {
        let mut next = || {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            seed.to_be_bytes()[0]
        };
        (0..len).map(|_| next()).collect()
    }

    fn check(expected: bool, pieces: &[Vec<u8>]) {
        let found = looks_random(pieces.iter().map(Vec::as_slice));
        assert_eq!(found, expected, "{:?}", pieces.iter().map(Vec::len).collect::<Vec<_>>());
    }

    #[test]
    fn only_what_is_random_through_and_through_looks_so() {
        for seed in 0..20 {
            for (count, len) in
                [(1, 300), (1, 1024), (1, 1 << 20), (3, 1024), (64, 64), (1000, 900)]
            {
                let pieces: Vec<_> = (0..count).map(|n| random(len, seed * 1000 + n)).collect();
                check(true, &pieces);
            }
        }
        let text = b"InventoryItem store_number name quantity Hammer Nails Gaffer tape ".repeat(20);
        check(false, std::slice::from_ref(&text));
        check(false, &[text.clone(), random(1000, 1)]);
        check(false, &[random(1000, 1), random(1000, 2), random(1000, 3), text]);
        let base64: Vec<u8> = random(1024, 1).iter().map(|byte| b'0' + byte % 64).collect();
        check(false, &[base64]);
        check(false, &[vec![0; 5000]]);
    }

    #[test]
    fn too_little_says_nothing() {
        check(false, &[]);
        check(false, &[Vec::new()]);
        check(false, &[random(255, 1)]);
        check(false, &vec![random(10, 1); 20]);
    }
}
