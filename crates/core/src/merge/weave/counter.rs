//! Numbers in a row that change, and their sums.

/// A binary indexed tree: changing a number and summing up those before one take logarithmic time.
#[derive(Debug)]
pub(super) struct Counter {
    /// At `i`, the sum of as many numbers up to `i` as the lowest bit set in `i + 1` says.
    sums: Vec<u32>,
    all: u32,
}

impl Counter {
    pub(super) fn new(numbers: impl Iterator<Item = u32>) -> Self {
        let mut sums: Vec<u32> = numbers.collect();
        let all = sums.iter().sum();
        for i in 0..sums.len() {
            let sum = sums[i];
            if let Some(above) = sums.get_mut(i | (i + 1)) {
                *above += sum;
            }
        }
        Self { sums, all }
    }

    pub(super) fn add(&mut self, rank: u32, difference: i32) {
        self.all = self.all.wrapping_add_signed(difference);
        let mut i = rank as usize;
        while let Some(sum) = self.sums.get_mut(i) {
            *sum = sum.wrapping_add_signed(difference);
            i |= i + 1;
        }
    }

    pub(super) fn all(&self) -> u32 {
        self.all
    }

    /// The sum of the numbers before `rank`.
    pub(super) fn before(&self, rank: u32) -> u32 {
        let mut sum = 0;
        let mut end = rank as usize;
        while end > 0 {
            sum += self.sums[end - 1];
            end &= end - 1;
        }
        sum
    }
}
