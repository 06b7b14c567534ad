//! See [`bailiwick_fuzz::download`].

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| bailiwick_fuzz::download::run(input));
