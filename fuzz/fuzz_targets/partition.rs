//! See [`bailiwick_fuzz::partition`].

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| bailiwick_fuzz::partition::run(input));
