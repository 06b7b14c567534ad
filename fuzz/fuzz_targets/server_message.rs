//! See [`bailiwick_fuzz::server_message`].

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| bailiwick_fuzz::server_message::run(input));
