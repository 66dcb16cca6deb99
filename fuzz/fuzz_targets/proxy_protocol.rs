#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| nethttp_fuzz::proxy_protocol::check(data));
