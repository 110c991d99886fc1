//! Writes the `Available` condition: only when it differs, and again when someone else wrote in between.

use detectviz_api::condition::Condition;
use detectviz_api::{Reason, Status, condition};
use detectviz_core::backend_policy::Fault;
use detectviz_core::informer::Informer;
use detectviz_core::{Leadership, Loopback};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

use super::API_SERVICES;
use crate::error::Unavailable;
use crate::escape;

/// How often a write that met another one is tried again before the next check has its turn.
const MAX_TRIES: usize = 5;

/// How many writes about one APIService may follow one another at once, and how long it takes until there is one more.
const BURST: u32 = 8;
const REFILL: Duration = Duration::from_secs(5);

/// The conditions' types.
const AVAILABLE: &str = "Available";
const POLICY: &str = "PolicyAccepted";
/// The most characters of a message.
const MAX_MESSAGE: usize = 4096;

/// Reads and writes the conditions of APIServices.
#[derive(Clone)]
pub(super) struct Conditions {
    pub(super) loopback: Arc<dyn Loopback>,
    pub(super) api_services: Informer,
    pub(super) leadership: Leadership,
}

/// The condition that a check's outcome means.
pub(super) fn available(outcome: Result<(), &Unavailable>) -> Condition {
    match outcome {
        Ok(()) => Condition::new(AVAILABLE, true, "Passed", "all checks passed"),
        Err(why) => Condition::new(AVAILABLE, false, why.reason(), bounded(&why.to_string())),
    }
}

/// The condition that annotations about what may be asked of a backend mean. Nobody needs to hear that nothing is wrong,
/// unless they heard that something was.
pub(super) fn policy(faults: &[Fault]) -> Condition {
    if faults.is_empty() {
        return Condition::new(POLICY, true, "Accepted", "all annotations mean something");
    }
    let told: Vec<_> = faults.iter().map(Fault::to_string).collect();
    let message = format!("the default holds instead of {}", told.join("; "));
    Condition::new(POLICY, false, "InvalidAnnotations", bounded(&message))
}

fn bounded(message: &str) -> String {
    message.chars().take(MAX_MESSAGE).collect()
}

/// What is to be said of one APIService, and how often that may be: a backend that comes and goes is told of at once the
/// first times, and then at a rate that many of them do not wear out the store by.
pub(super) struct Said {
    conditions: Conditions,
    /// Each type once; the last is said first.
    wanted: Vec<Condition>,
    /// Writes that may be made at once.
    tokens: u32,
    /// When there is one more.
    refill: Instant,
}

impl Said {
    pub(super) fn new(conditions: Conditions) -> Self {
        Self { conditions, wanted: Vec::new(), tokens: BURST, refill: Instant::now() }
    }

    /// What is to be said from now on.
    pub(super) fn is(&mut self, condition: Condition) {
        self.wanted.retain(|wanted| wanted.kind != condition.kind);
        self.wanted.push(condition);
    }

    /// Says it of the APIService `name`, unless it is said already; returns when it may be said if not now.
    pub(super) async fn say(&mut self, name: &str) -> Option<Instant> {
        while let Some(wanted) = self.wanted.pop() {
            if self.conditions.has(name, &wanted) {
                continue;
            }
            if !self.take() {
                self.wanted.push(wanted);
                return Some(self.refill);
            }
            // Whether it is written or not, the next check says it again.
            self.conditions.write(name, &wanted).await;
        }
        None
    }

    fn take(&mut self) -> bool {
        let now = Instant::now();
        while self.tokens < BURST && self.refill <= now {
            self.tokens += 1;
            self.refill += REFILL;
        }
        if self.tokens == BURST {
            self.refill = now + REFILL;
        }
        let taken = self.tokens.checked_sub(1);
        self.tokens = taken.unwrap_or_default();
        taken.is_some()
    }
}

impl Conditions {
    /// Whether `wanted` is said of the APIService `name`, or is not this server's to say.
    fn has(&self, name: &str, wanted: &Condition) -> bool {
        let is_set = |object: Arc<Value>| is_set(&object, wanted) || is_needless(&object, wanted);
        !self.leadership.is_leading() || self.api_services.get("", name).is_some_and(is_set)
    }

    /// Makes `wanted` the condition of the APIService `name`. One that is gone needs none.
    async fn write(&self, name: &str, wanted: &Condition) {
        match self.replace(name, wanted).await {
            Err(fault) if !fault.is(Reason::NotFound) => {
                tracing::warn!(apiservice = name, error = %fault, "write the condition of an APIService");
            }
            _ => {}
        }
    }

    async fn replace(&self, name: &str, wanted: &Condition) -> Result<(), Status> {
        let path = format!("{API_SERVICES}/{}", escape::path_segment(name));
        let mut tries = 1;
        loop {
            let mut object = self.loopback.get(&path).await?;
            if !wanted.apply(&mut object) {
                return Ok(());
            }
            match self.loopback.update(&format!("{path}/status"), &object).await {
                Err(fault) if fault.is(Reason::Conflict) && tries < MAX_TRIES => tries += 1,
                outcome => return outcome.map(drop),
            }
        }
    }
}

fn is_set(object: &Value, wanted: &Condition) -> bool {
    let wanted_texts = (wanted.status_text(), wanted.reason.as_str(), wanted.message.as_str());
    condition::find(object, wanted.kind) == Some(wanted_texts)
}

/// Whether the good news is about what nobody ever heard of.
fn is_needless(object: &Value, wanted: &Condition) -> bool {
    wanted.kind == POLICY && wanted.status == Some(true) && condition::find(object, POLICY).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use detectviz_core::BackendPolicy;
    use serde_json::json;

    #[test]
    fn that_nothing_is_wrong_with_annotations_is_said_only_after_something_was() {
        let (_, faults) = BackendPolicy::read(&json!({"metadata": {"annotations": {
            "aggregator.detectviz.io/max-streams": "many", "aggregator.detectviz.io/x": "y".repeat(100_000),
        }}}));
        let (bad, good) = (policy(&faults), policy(&[]));
        assert_eq!((bad.status_text(), bad.reason.as_str()), ("False", "InvalidAnnotations"));
        assert!(
            bad.message.starts_with(
                "the default holds instead of annotation \"aggregator.detectviz.io/max-streams\""
            )
        );
        assert!(bad.message.len() <= 4096 && bad.message.contains("means nothing"), "{}", bad.message);
        let mut object = json!({});
        assert!(is_needless(&object, &good) && !is_needless(&object, &bad));
        bad.apply(&mut object);
        assert!(!is_needless(&object, &good));
    }

    #[test]
    fn an_outcome_is_a_condition_in_upstreams_words() {
        let passed = available(Ok(()));
        assert_eq!((passed.reason.as_str(), passed.message.as_str()), ("Passed", "all checks passed"));
        let why = Unavailable::Discovery { url: "https://a:1/apis/g/v1".into(), why: "no answer".into() };
        let failed = available(Err(&why));
        assert_eq!((failed.status, failed.reason.as_str()), (Some(false), "FailedDiscoveryCheck"));
        assert_eq!(failed.message, "failing or missing response from https://a:1/apis/g/v1: no answer");
        let why = Unavailable::Targets { why: "x".repeat(1 << 20) };
        assert_eq!(available(Err(&why)).message.len(), MAX_MESSAGE, "an object has so much room and no more");
    }

    #[test]
    fn a_condition_is_set_only_when_all_of_it_is() {
        let mut object = json!({});
        let passed = available(Ok(()));
        assert!(!is_set(&object, &passed));
        passed.apply(&mut object);
        assert!(is_set(&object, &passed));
        object["status"]["conditions"][0]["message"] = "another".into();
        assert!(!is_set(&object, &passed));
    }
}
