#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| detectviz_fuzz_targets::run("json_patch", data));
