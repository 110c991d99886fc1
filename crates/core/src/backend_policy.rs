//! What may be asked of one remote APIService at once, and how long it may take: read from the APIService's annotations,
//! by whoever follows it and by whoever checks it when it is written.

use std::fmt;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::time::Duration;

use serde_json::Value;

use crate::toggles::nearest;

/// What annotations of this purpose begin with.
pub const PREFIX: &str = "aggregator.detectviz.io/";
/// Annotations with the prefix that say something else.
const OTHERS: [&str; 1] = ["endpoints"];
/// The most faults that are told.
const MAX_FAULTS: usize = 16;
/// The most characters of a value that are repeated.
const MAX_SHOWN: usize = 40;

/// The bounds of one remote APIService. Two equal ones are the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BackendPolicy {
    /// How long the head of an answer may take; `None` leaves it to the server's own deadline.
    pub timeout: Option<Duration>,
    /// How long a connection may take.
    pub connect_timeout: Duration,
    /// Requests under way at once.
    pub max_requests: usize,
    /// Requests that may wait for a place among them.
    pub max_queued: usize,
    /// Watches and other long-running requests at once.
    pub max_streams: usize,
    /// Connections for requests, and as many again for streams, to each address.
    pub max_connections: usize,
    /// Requests a second.
    pub rate: Option<NonZeroU32>,
}

impl Default for BackendPolicy {
    fn default() -> Self {
        Self {
            timeout: None,
            connect_timeout: Duration::from_secs(10),
            max_requests: 1024,
            max_queued: 128,
            max_streams: 1024,
            max_connections: 1024,
            rate: None,
        }
    }
}

/// One annotation: what it is called, means, and may be.
#[derive(Debug)]
pub struct Setting {
    /// Its name after [`PREFIX`].
    pub name: &'static str,
    /// What it means, for people.
    pub about: &'static str,
    /// What holds without it, for people.
    pub default: &'static str,
    /// The whole numbers that it may be.
    pub allowed: RangeInclusive<u32>,
    set: fn(&mut BackendPolicy, u32),
}

const fn setting(
    name: &'static str,
    about: &'static str,
    (default, allowed): (&'static str, RangeInclusive<u32>),
    set: fn(&mut BackendPolicy, u32),
) -> Setting {
    Setting { name, about, default, allowed, set }
}

/// The annotation of a bound on requests under way.
pub const MAX_REQUESTS: &str = "max-requests-in-flight";
/// The annotation of a bound on streams.
pub const MAX_STREAMS: &str = "max-streams";
/// The annotation of a bound on requests a second.
pub const RATE: &str = "requests-per-second";
/// The annotation of the time that an answer's head may take.
pub const TIMEOUT: &str = "timeout-seconds";

/// All annotations, by name.
pub static SETTINGS: [Setting; 7] = [
    setting("connect-timeout-seconds", "how long a connection may take", ("10", 1..=60), |policy, value| {
        policy.connect_timeout = Duration::from_secs(value.into());
    }),
    setting(
        "max-connections",
        "connections for requests, and as many again for streams, to each address",
        ("1024", 1..=65_536),
        |policy, value| policy.max_connections = value as usize,
    ),
    setting(
        "max-queued-requests",
        "requests that may wait, for a second at most, for a place among those under way",
        ("128", 0..=65_536),
        |policy, value| policy.max_queued = value as usize,
    ),
    setting(MAX_REQUESTS, "requests under way at once", ("1024", 1..=65_536), |policy, value| {
        policy.max_requests = value as usize;
    }),
    setting(
        MAX_STREAMS,
        "watches and other long-running requests at once",
        ("1024", 1..=65_536),
        |policy, value| policy.max_streams = value as usize,
    ),
    setting(
        RATE,
        "requests and streams begun a second; as many may come at once",
        ("no bound", 1..=1_000_000),
        |policy, value| policy.rate = NonZeroU32::new(value),
    ),
    setting(
        TIMEOUT,
        "how long the head of an answer may take",
        ("the server's own deadline for requests, none for streams", 1..=3600),
        |policy, value| policy.timeout = Some(Duration::from_secs(value.into())),
    ),
];

/// An annotation that says nothing that can be meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The annotation, with its prefix.
    pub annotation: String,
    /// What is wrong with it, and what is allowed.
    pub why: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "annotation {:?}: {}", self.annotation, self.why)
    }
}

impl BackendPolicy {
    /// What the annotations of `object` say, and what is wrong with them; the default stands for each that is wrong.
    pub fn read(object: &Value) -> (Self, Vec<Fault>) {
        let (mut policy, mut faults) = (Self::default(), Vec::new());
        let annotations = object["metadata"]["annotations"].as_object().into_iter().flatten();
        for (annotation, value) in annotations {
            let Some(name) = annotation.strip_prefix(PREFIX).filter(|name| !OTHERS.contains(name)) else {
                continue;
            };
            let found = SETTINGS.iter().find(|setting| setting.name == name).ok_or_else(|| unknown(name));
            match found.and_then(|setting| Ok((setting, number(value, &setting.allowed)?))) {
                Ok((setting, value)) => (setting.set)(&mut policy, value),
                Err(why) => faults.push(Fault { annotation: shown(annotation), why }),
            }
        }
        faults.truncate(MAX_FAULTS);
        (policy, faults)
    }
}

fn unknown(name: &str) -> String {
    let names: Vec<_> = SETTINGS.iter().map(|setting| setting.name).chain(OTHERS).collect();
    // The distance is quadratic: what is much longer than any name is near to none.
    let is_short = name.len() <= MAX_SHOWN;
    match is_short.then(|| nearest(name, names.iter().copied())).flatten() {
        Some(near) => format!("means nothing; did you mean {near:?}?"),
        None => format!("means nothing; known are {}", names.join(", ")),
    }
}

fn number(value: &Value, allowed: &RangeInclusive<u32>) -> Result<u32, String> {
    let text = value.as_str().unwrap_or_default();
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = digits.then(|| text.parse().ok()).flatten().filter(|number| allowed.contains(number));
    number.ok_or_else(|| {
        format!("{:?} must be a whole number from {} to {}", shown(text), allowed.start(), allowed.end())
    })
}

fn shown(text: &str) -> String {
    if text.chars().count() <= PREFIX.len() + MAX_SHOWN {
        return text.to_owned();
    }
    text.chars().take(PREFIX.len() + MAX_SHOWN).chain("...".chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(annotations: &Value) -> (BackendPolicy, Vec<String>) {
        let (policy, faults) = BackendPolicy::read(&json!({"metadata": {"annotations": annotations}}));
        (policy, faults.iter().map(Fault::to_string).collect())
    }

    #[test]
    fn what_is_not_said_is_the_default_and_others_annotations_are_none_of_ours() {
        let others =
            json!({"a": "b", "aggregator.detectviz.io/endpoints": "https://a", "timeout-seconds": "x"});
        for annotations in [Value::Null, json!({}), others] {
            assert_eq!(read(&annotations), (BackendPolicy::default(), vec![]));
        }
        assert_eq!(BackendPolicy::read(&Value::Null).0, BackendPolicy::default());
    }

    #[test]
    fn every_setting_sets_something_of_its_own_from_its_least_to_its_most() {
        let mut seen = vec![BackendPolicy::default()];
        for setting in &SETTINGS {
            let annotation = format!("{PREFIX}{}", setting.name);
            for value in [setting.allowed.start(), setting.allowed.end()] {
                let (policy, faults) = read(&json!({ &annotation: value.to_string() }));
                assert!(faults.is_empty() && !seen.contains(&policy), "{annotation}: {value}: {faults:?}");
                seen.push(policy);
            }
            let (policy, faults) = read(&json!({ &annotation: (setting.allowed.end() + 1).to_string() }));
            assert_eq!((policy, faults.len()), (BackendPolicy::default(), 1), "{annotation}");
        }
        assert!(SETTINGS.is_sorted_by_key(|setting| setting.name));
    }

    #[test]
    fn the_page_about_it_says_what_holds() {
        let page = include_str!("../../../docs/aggregator.md");
        for Setting { name, about, default, allowed, .. } in &SETTINGS {
            let (least, most) = (allowed.start(), allowed.end());
            let row = format!("| `{PREFIX}{name}` | {about} | {default} | {least} to {most} |\n");
            assert!(page.contains(&row), "docs/aggregator.md should have the row {row}");
        }
        let rows = page.lines().filter(|line| line.starts_with(&format!("| `{PREFIX}"))).count();
        assert_eq!(rows, SETTINGS.len());
    }

    #[test]
    fn what_is_wrong_is_named_with_what_is_allowed() {
        let (policy, faults) = read(&json!({
            "aggregator.detectviz.io/timeout-seconds": "5s",
            "aggregator.detectviz.io/max-stream": "1",
            "aggregator.detectviz.io/max-streams": "7",
            "aggregator.detectviz.io/requests-per-second": "+1",
            "aggregator.detectviz.io/x": "1",
        }));
        assert_eq!(policy, BackendPolicy { max_streams: 7, ..BackendPolicy::default() });
        assert_eq!(faults.len(), 4);
        let told = faults.join("\n");
        assert!(told.contains(
            "\"aggregator.detectviz.io/timeout-seconds\": \"5s\" must be a whole number from 1 to 3600"
        ));
        assert!(told.contains("max-stream\": means nothing; did you mean \"max-streams\"?"), "{told}");
        assert!(told.contains("x\": means nothing; known are connect-timeout-seconds, "), "{told}");
        assert!(
            told.contains("requests-per-second\": \"+1\" must be a whole number from 1 to 1000000"),
            "{told}"
        );
    }

    #[test]
    fn what_is_told_is_bounded() {
        let many: serde_json::Map<_, _> = (0..1000)
            .map(|number| (format!("{PREFIX}{number}{}", "x".repeat(10_000)), json!("y".repeat(10_000))))
            .collect();
        let (_, faults) = read(&many.into());
        assert_eq!(faults.len(), 16);
        assert!(faults.iter().all(|fault| fault.len() < 500), "{}", faults[0]);
    }
}
