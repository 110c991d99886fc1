//! Files that make one thing, which is made again when what is in them changes.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::path::PathBuf;
use std::sync::LazyLock;

use super::Outcomes;

/// Keys are not kept a second time for the sake of a comparison.
static HASH: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// A thing, and the files that it was made of.
pub(in crate::serve) struct Watched<T> {
    subject: &'static str,
    files: Vec<PathBuf>,
    outcomes: Outcomes,
    /// What the files held when the thing was made.
    used: u64,
    /// What they held when it was last tried to make it.
    judged: u64,
    /// What they held at the last look.
    seen: u64,
    /// The thing.
    pub(in crate::serve) thing: T,
}

impl<T> Watched<T> {
    /// The thing as `read` makes it.
    ///
    /// # Errors
    /// What `read` says.
    pub(in crate::serve) fn load(
        subject: &'static str,
        files: Vec<PathBuf>,
        outcomes: &Outcomes,
        read: impl FnOnce() -> anyhow::Result<T>,
    ) -> anyhow::Result<Self> {
        let thing = read()?;
        // After it was read, since that may have renewed the files. A change in between is seen at the next look: files
        // are read again when they differ at two looks, the first of which is this.
        let used = contents(&files);
        outcomes.good(subject);
        let outcomes = outcomes.clone();
        Ok(Self { subject, files, outcomes, used, judged: used, seen: used, thing })
    }

    /// Makes the thing again if its files changed and have come to rest, or if `at_once`. Says whether it is another one.
    /// One that cannot be made leaves the one before.
    pub(in crate::serve) fn look(&mut self, at_once: bool, read: impl FnOnce() -> anyhow::Result<T>) -> bool {
        let now = contents(&self.files);
        let at_rest = std::mem::replace(&mut self.seen, now) == now;
        if !at_once && (now == self.judged || !at_rest) {
            return false;
        }
        self.judged = now;
        match read() {
            Ok(thing) => {
                self.thing = thing;
                // Reading may have renewed them.
                (self.judged, self.seen) = (contents(&self.files), contents(&self.files));
                self.outcomes.good(self.subject);
                std::mem::replace(&mut self.used, self.judged) != self.judged
            }
            Err(fault) => {
                self.outcomes.bad(self.subject, &format!("{fault:#}"));
                false
            }
        }
    }
}

fn contents(files: &[PathBuf]) -> u64 {
    let mut hash = HASH.build_hasher();
    for file in files {
        // One that cannot be read differs from one that can, and from an empty one.
        let bytes = std::fs::read(file).ok();
        hash.write_u8(u8::from(bytes.is_some()));
        let bytes = bytes.unwrap_or_default();
        hash.write_usize(bytes.len());
        hash.write(&bytes);
    }
    hash.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use detectviz_core::health::Remarks;
    use detectviz_core::metrics::Metrics;
    use std::sync::Arc;

    #[test]
    fn a_thing_is_made_again_when_its_file_has_come_to_rest_and_a_bad_one_leaves_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("number");
        let (remarks, metrics) = (Arc::new(Remarks::default()), Metrics::default());
        let outcomes = Outcomes::new(&remarks, &metrics);
        let read = || Ok(std::fs::read_to_string(&file)?.parse::<u8>()?);
        std::fs::write(&file, "1").unwrap();
        let mut watched = Watched::load("number", vec![file.clone()], &outcomes, read).unwrap();
        assert!(!watched.look(false, read), "nothing changed");
        std::fs::write(&file, "2").unwrap();
        assert!(!watched.look(false, read), "it may still be written");
        assert!(watched.look(false, read));
        assert_eq!(watched.thing, 2);
        std::fs::write(&file, "bad").unwrap();
        assert!(!watched.look(true, read) && watched.thing == 2);
        let remark = &remarks.all()[0];
        assert!(remark.0 == "number" && remark.1.contains("invalid digit"), "{remark:?}");
        assert!(metrics.render().contains("apiserver_last_reload_successful{subject=\"number\"} 0"));
        std::fs::write(&file, "3").unwrap();
        assert!(watched.look(true, read) && watched.thing == 3, "at once");
        assert!(remarks.all().is_empty());
        assert!(!watched.look(true, read), "the same again is no other thing");
    }
}
