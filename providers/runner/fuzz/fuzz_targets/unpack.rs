//! Any bytes as an archive, compressed or not.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sandgate_runner_fuzz::unpack(bytes));
