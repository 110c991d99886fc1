//! Health as named checks, asked when a probe comes: `/livez`, `/readyz` and their paths.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

/// Asks one part how it is; the error says what is wrong.
pub type Check = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// The checks of a server by name. Liveness checks count for readiness too.
#[derive(Default)]
pub struct Checks {
    checks: RwLock<BTreeMap<String, (Kind, Check)>>,
    changed: Arc<Notify>,
}

/// What a check decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Whether the process must be restarted.
    Live,
    /// Whether requests should be sent here.
    Ready,
}

/// The outcome of one check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The check's name, such as `poststarthook/start-aggregator`.
    pub name: String,
    /// What is wrong, if anything is.
    pub result: Result<(), String>,
}

impl Checks {
    /// Adds a check; a check of the same name is replaced.
    pub fn add(&self, kind: Kind, name: &str, check: Check) {
        self.write().insert(name.to_owned(), (kind, check));
    }

    /// Removes a check.
    pub fn remove(&self, name: &str) {
        self.write().remove(name);
    }

    /// A readiness check that fails until its gate is opened.
    pub fn gate(&self, name: &str) -> Gate {
        let state = Arc::new(RwLock::new(Err("not finished".to_owned())));
        let gate = Gate { state: Arc::clone(&state), changed: Arc::clone(&self.changed) };
        self.add(
            Kind::Ready,
            name,
            Arc::new(move || state.read().unwrap_or_else(PoisonError::into_inner).clone()),
        );
        gate
    }

    /// Runs the checks that `kind` looks at, in the order of their names.
    pub fn run(&self, kind: Kind) -> Vec<Outcome> {
        let checks: Vec<(String, Check)> = {
            let all = self.checks.read().unwrap_or_else(PoisonError::into_inner);
            let wanted = all.iter().filter(|(_, (have, _))| kind == Kind::Ready || *have == Kind::Live);
            wanted.map(|(name, (_, check))| (name.clone(), Arc::clone(check))).collect()
        };
        checks.into_iter().map(|(name, check)| Outcome { result: check(), name }).collect()
    }

    /// Ends when a gate is set after this call.
    pub fn changed(&self) -> OwnedNotified {
        Arc::clone(&self.changed).notified_owned()
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, BTreeMap<String, (Kind, Check)>> {
        self.checks.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Opens (or fails) the readiness check that it was made with.
#[derive(Clone)]
pub struct Gate {
    state: Arc<RwLock<Result<(), String>>>,
    changed: Arc<Notify>,
}

impl Gate {
    /// The part is ready.
    pub fn open(&self) {
        self.set(Ok(()));
    }

    /// The part will not become ready by itself.
    pub fn fail(&self, why: String) {
        self.set(Err(why));
    }

    fn set(&self, state: Result<(), String>) {
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = state;
        self.changed.notify_waiters();
    }
}

/// What a person should look at although the server serves as well as before: shown on `/statusz`.
#[derive(Default)]
pub struct Remarks(RwLock<BTreeMap<String, String>>);

impl Remarks {
    /// Sets what is remarked about `subject`, or takes it back. Says whether that is news.
    pub fn set(&self, subject: &str, remark: Option<String>) -> bool {
        let mut remarks = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if remarks.get(subject) == remark.as_ref() {
            return false;
        }
        match remark {
            Some(remark) => remarks.insert(subject.to_owned(), remark),
            None => remarks.remove(subject),
        };
        true
    }

    /// All remarks, each with its subject, sorted.
    pub fn all(&self) -> Vec<(String, String)> {
        let remarks = self.0.read().unwrap_or_else(PoisonError::into_inner);
        remarks.iter().map(|(subject, remark)| (subject.clone(), remark.clone())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readiness_looks_at_all_checks_and_liveness_only_at_its_own() {
        let checks = Checks::default();
        checks.add(Kind::Live, "ping", Arc::new(|| Ok(())));
        let gate = checks.gate("poststarthook/x");
        let failing = |kind| checks.run(kind).into_iter().filter(|outcome| outcome.result.is_err()).count();
        assert_eq!((failing(Kind::Live), failing(Kind::Ready)), (0, 1));
        gate.open();
        assert_eq!(failing(Kind::Ready), 0);
    }
}
