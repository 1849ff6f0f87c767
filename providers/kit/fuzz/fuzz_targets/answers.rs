//! Any bytes, as if a runner had sent them over a link with calls of every kind open.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sandgate_kit::read_as_runner(bytes));
