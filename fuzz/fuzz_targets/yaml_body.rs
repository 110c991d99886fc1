#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| detectviz_fuzz_targets::run("yaml_body", data));
