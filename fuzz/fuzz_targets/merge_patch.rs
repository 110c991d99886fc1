#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| detectviz_fuzz_targets::run("merge_patch", data));
