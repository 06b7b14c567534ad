//! See [`bailiwick_fuzz::upload`].

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| bailiwick_fuzz::upload::run(input));
