#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| nethttp_fuzz::http2_pair::check(data));
