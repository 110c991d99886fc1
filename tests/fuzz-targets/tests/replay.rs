//! The inputs that fuzzing kept, one after the other.

use std::path::Path;

use detectviz_fuzz_targets::TARGETS;

#[test]
fn every_input_that_fuzzing_kept_holds() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    for (name, target) in TARGETS {
        let folder =
            std::fs::read_dir(corpus.join(name)).unwrap_or_else(|fault| panic!("inputs of {name}: {fault}"));
        let mut count = 0;
        for entry in folder {
            let path = entry.unwrap().path();
            let held = std::panic::catch_unwind(|| target(&std::fs::read(&path).unwrap()));
            assert!(held.is_ok(), "{} does not hold", path.display());
            count += 1;
        }
        assert!(count > 0, "{name} has no inputs");
    }
}
