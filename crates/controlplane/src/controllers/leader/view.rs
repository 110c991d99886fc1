//! What one candidate knows of the lease, and what follows from it. Time is told by the candidate's own clock alone, and a
//! renewal by the version that it made: the times in a lease are for people, and other clocks may stand still.

use detectviz_api::meta;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// One candidate's view.
pub(super) struct View {
    identity: String,
    lease: Duration,
    seen: Option<Seen>,
}

/// When a version of the lease was seen first.
struct Seen {
    version: String,
    at: Instant,
}

/// What a candidate may do.
#[derive(Debug, PartialEq)]
pub(super) enum Decision {
    /// Write this spec, over what was read.
    Take(Value),
    /// This one holds the lease.
    Wait(String),
}

impl View {
    /// The view of the candidate `identity`, who holds a lease for `lease` at a time.
    pub(super) fn new(identity: String, lease: Duration) -> Self {
        Self { identity, lease, seen: None }
    }

    /// The candidate's name.
    pub(super) fn identity(&self) -> &str {
        &self.identity
    }

    /// What to do about a lease that was read as `lease`; `written` is the time that people will read.
    pub(super) fn decide(&mut self, lease: Option<&Value>, now: Instant, written: &str) -> Decision {
        let Some(lease) = lease else { return Decision::Take(self.taken(&json!({}), written)) };
        let at = match &self.seen {
            Some(seen) if seen.version == meta::resource_version(lease) => seen.at,
            _ => self.saw(lease, now),
        };
        let spec = &lease["spec"];
        match holder(spec) {
            other if !other.is_empty() && other != self.identity && now < at + self.promised(spec) => {
                Decision::Wait(other.to_owned())
            }
            _ => Decision::Take(self.taken(spec, written)),
        }
    }

    /// Notes a lease that was seen, or written, then.
    pub(super) fn saw(&mut self, lease: &Value, at: Instant) -> Instant {
        self.seen = Some(Seen { version: meta::resource_version(lease).to_owned(), at });
        at
    }

    /// The lease given up; `None` when another has it already.
    pub(super) fn released(&self, spec: &Value, written: &str) -> Option<Value> {
        if holder(spec) != self.identity {
            return None;
        }
        let mut spec = spec.clone();
        spec["holderIdentity"] = "".into();
        // The least that is allowed: an elector that does not look at the holder does not wait for long.
        spec["leaseDurationSeconds"] = 1.into();
        spec["acquireTime"] = written.into();
        spec["renewTime"] = written.into();
        Some(spec)
    }

    fn taken(&self, spec: &Value, written: &str) -> Value {
        let mut taken = if spec.is_object() { spec.clone() } else { json!({}) };
        if holder(spec) != self.identity {
            let transitions = spec["leaseTransitions"].as_i64();
            taken["leaseTransitions"] =
                transitions.map_or(0, |count| (count + 1).min(i32::MAX.into())).into();
            taken["acquireTime"] = written.into();
        }
        taken["holderIdentity"] = self.identity.clone().into();
        taken["leaseDurationSeconds"] =
            (self.lease.as_secs() + u64::from(self.lease.subsec_nanos() > 0)).into();
        taken["renewTime"] = written.into();
        taken
    }

    /// How long a holder was promised the lease; one that does not say has as long as we take.
    fn promised(&self, spec: &Value) -> Duration {
        spec["leaseDurationSeconds"].as_u64().map_or(self.lease, Duration::from_secs)
    }
}

fn holder(spec: &Value) -> &str {
    spec["holderIdentity"].as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(15);
    const DEADLINE: Duration = Duration::from_secs(10);

    fn stored(spec: &Value, version: u64) -> Value {
        json!({"metadata": {"resourceVersion": version.to_string()}, "spec": spec})
    }

    fn take(decision: Decision) -> Value {
        match decision {
            Decision::Take(spec) => spec,
            Decision::Wait(holder) => panic!("held by {holder}"),
        }
    }

    #[test]
    fn a_lease_is_left_to_its_holder_until_nothing_was_seen_of_it_for_its_duration() {
        let (mut one, mut two) = (View::new("one".into(), LEASE), View::new("two".into(), LEASE));
        let start = Instant::now();
        let first = take(one.decide(None, start, "t1"));
        let expected = json!({"holderIdentity": "one", "leaseDurationSeconds": 15, "leaseTransitions": 0,
            "acquireTime": "t1", "renewTime": "t1"});
        assert_eq!(first, expected);
        let waits = Decision::Wait("one".to_owned());
        assert_eq!(two.decide(Some(&stored(&first, 1)), start, "t"), waits);
        // A renewal that is seen late is waited for as long, whatever its time says.
        let renewed = take(one.decide(Some(&stored(&first, 1)), start, "t2"));
        assert_eq!((&renewed["acquireTime"], &renewed["renewTime"]), (&json!("t1"), &json!("t2")));
        let renewed = stored(&renewed, 2);
        assert_eq!(two.decide(Some(&renewed), start + LEASE, "t"), waits);
        assert_eq!(two.decide(Some(&renewed), start + LEASE * 2 - Duration::from_nanos(1), "t"), waits);
        let taken = take(two.decide(Some(&renewed), start + LEASE * 2, "t3"));
        assert_eq!((&taken["leaseTransitions"], &taken["acquireTime"]), (&json!(1), &json!("t3")));
    }

    #[test]
    fn a_lease_that_was_given_up_is_free_at_once() {
        let (mut one, mut two) = (View::new("one".into(), LEASE), View::new("two".into(), LEASE));
        let start = Instant::now();
        let first = take(one.decide(None, start, "t1"));
        assert_eq!(two.released(&first, "t"), None);
        let free = one.released(&first, "t2").unwrap();
        assert_eq!(free["leaseDurationSeconds"], 1);
        assert_eq!(take(two.decide(Some(&stored(&free, 2)), start, "t3"))["holderIdentity"], "two");
    }

    /// A candidate as the elector runs it, but for when it does what.
    struct Candidate {
        view: View,
        /// What was read, at which version, and when the attempt began.
        attempt: Option<(Value, u64, Instant)>,
        leads_until: Option<Instant>,
    }

    /// A sequence of choices (xorshift).
    struct Choices(u64);

    impl Choices {
        fn next(&mut self, bound: u64) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0 % bound
        }
    }

    /// Reads and writes take any time, clocks stand still in between for as long as they like, and candidates fall silent
    /// or give up: still no two act at one time.
    #[test]
    fn never_do_two_lead_however_slow_they_are() {
        for seed in 1..=40_u64 {
            let mut choices = Choices(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let (mut store, mut version) = (Value::Null, 0);
            let mut now = Instant::now();
            let candidate = |name: &str| Candidate {
                view: View::new(name.to_owned(), LEASE),
                attempt: None,
                leads_until: None,
            };
            let mut candidates = ["one", "two", "three"].map(candidate);
            let mut leaders = std::collections::BTreeSet::new();
            for _ in 0..2000 {
                now += Duration::from_millis(choices.next(2500));
                let index = choices.next(3) as usize;
                let it = &mut candidates[index];
                match (it.attempt.take(), choices.next(20)) {
                    (None, 0) if it.leads_until.is_some() => {
                        it.leads_until = None;
                        if let Some(free) = it.view.released(&store, "t") {
                            (store, version) = (free, version + 1);
                        }
                    }
                    (None, _) => it.attempt = Some((store.clone(), version, now)),
                    (Some((read, at, sent)), _) => {
                        let read = (!read.is_null()).then(|| stored(&read, at));
                        match it.view.decide(read.as_ref(), now, "t") {
                            Decision::Wait(_) => it.leads_until = None,
                            Decision::Take(spec) if at == version => {
                                (store, version) = (spec, version + 1);
                                it.view.saw(&stored(&store, version), sent);
                                it.leads_until = Some(sent + DEADLINE);
                            }
                            Decision::Take(_) => {}
                        }
                    }
                }
                let acting = candidates.iter().filter(|it| it.leads_until.is_some_and(|end| now < end));
                let acting: Vec<_> = acting.map(|it| it.view.identity().to_owned()).collect();
                assert!(acting.len() < 2, "seed {seed}: {acting:?}");
                leaders.extend(acting);
            }
            assert_eq!(leaders.len(), 3, "seed {seed}: each leads once in a while");
        }
    }
}
