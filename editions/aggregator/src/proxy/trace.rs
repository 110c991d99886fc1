//! The trace of a request across the proxy (W3C Trace Context): one span of ours between the caller's and the backend's.
//! There is no exporter: the span is in the log, beside the request's name, when the log tells so much.
//!
//! Who may name the trace is who may anyway see all (upstream's rule): the parent of a caller in `system:masters` or
//! `system:monitoring` is believed. Anybody else's is dropped, so that nobody fills a backend's traces under a name of
//! their choice or makes it sample.

use detectviz_api::Identity;
use detectviz_api::identity::SYSTEM_MASTERS;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use std::fmt;

const PARENT: HeaderName = HeaderName::from_static("traceparent");
const STATE: HeaderName = HeaderName::from_static("tracestate");

/// Upstream's group of those who watch over a server.
const SYSTEM_MONITORING: &str = "system:monitoring";
/// The bytes of a `traceparent` of version 00.
const LENGTH: usize = 55;
/// The most bytes of a `tracestate` that must be passed on (section 3.3.1.5).
const MAX_STATE: usize = 512;

/// A span: the trace, its own id, and whether it is sampled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    trace: u128,
    id: u64,
    sampled: bool,
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace, self.id, u8::from(self.sampled))
    }
}

impl Span {
    /// A `traceparent`. One of a later version is read as one of version 00, as its rules have it.
    fn parse(text: &str) -> Option<Self> {
        let (version, rest) = text.split_at_checked(2)?;
        let fits = match version {
            "00" => text.len() == LENGTH,
            "ff" => false,
            _ => text.len() == LENGTH || text.as_bytes().get(LENGTH) == Some(&b'-'),
        };
        let hex = |text: &str| text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let mut parts = rest.strip_prefix('-')?.splitn(4, '-');
        let (trace, id, flags) = (parts.next()?, parts.next()?, parts.next()?);
        let sizes = (trace.len(), id.len(), flags.len()) == (32, 16, 2);
        if !(fits && sizes && [version, trace, id, flags].into_iter().all(hex)) {
            return None;
        }
        let (trace, id) = (u128::from_str_radix(trace, 16).ok()?, u64::from_str_radix(id, 16).ok()?);
        let sampled = u8::from_str_radix(flags, 16).ok()? & 1 == 1;
        (trace != 0 && id != 0).then_some(Self { trace, id, sampled })
    }
}

/// What a request says of its trace, as far as its sender is believed.
pub(super) struct Trace {
    parent: Option<Span>,
    state: Vec<HeaderValue>,
}

impl Trace {
    /// Reads it from a client's headers.
    pub(super) fn of(headers: &HeaderMap, identity: &Identity) -> Self {
        let none = Self { parent: None, state: Vec::new() };
        let mut parents = headers.get_all(PARENT).into_iter();
        let (Some(parent), None) = (parents.next(), parents.next()) else { return none };
        let believed =
            identity.groups.iter().any(|group| group == SYSTEM_MASTERS || group == SYSTEM_MONITORING);
        let parent = parent.to_str().ok().filter(|_| believed).and_then(Span::parse);
        if parent.is_none() {
            return none;
        }
        let state: Vec<_> = headers.get_all(STATE).into_iter().cloned().collect();
        let length: usize = state.iter().map(HeaderValue::len).sum();
        Self { parent, state: if length <= MAX_STATE { state } else { Vec::new() } }
    }

    /// Names our span to the backend, and tells the log of it. There is one when the caller has one that is believed, or
    /// when the log tells of every request.
    pub(super) fn go_on(self, headers: &mut HeaderMap, apiservice: &str) {
        let logged = tracing::enabled!(tracing::Level::DEBUG);
        if self.parent.is_none() && !logged {
            return;
        }
        let (high, id) = uuid::Uuid::new_v4().as_u64_pair();
        let trace = || (u128::from(high) << 64) | u128::from(uuid::Uuid::new_v4().as_u64_pair().1);
        let span = match self.parent {
            Some(parent) => Span { id, ..parent },
            None => Span { trace: trace(), id, sampled: false },
        };
        if logged {
            let parent = self.parent.map(|parent| format!("{:016x}", parent.id)).unwrap_or_default();
            let (trace, span) = (format!("{:032x}", span.trace), format!("{:016x}", span.id));
            tracing::debug!(trace, span, parent, apiservice, "proxy the request");
        }
        if let Ok(value) = HeaderValue::try_from(span.to_string()) {
            headers.insert(PARENT, value);
            for state in self.state {
                headers.append(STATE, state);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT_TEXT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_parent_is_read_as_its_rules_have_it() {
        assert_eq!(Span::parse(PARENT_TEXT).unwrap().to_string(), PARENT_TEXT);
        let later = PARENT_TEXT.replacen("00-", "01-", 1) + "-more";
        assert_eq!(Span::parse(&later).unwrap().to_string(), PARENT_TEXT);
        for junk in [
            "",
            "00",
            &PARENT_TEXT[1..],
            &PARENT_TEXT.to_uppercase(),
            &format!("{PARENT_TEXT}-more"),
            &PARENT_TEXT.replacen("00-", "ff-", 1),
            &PARENT_TEXT.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            &PARENT_TEXT.replace("00f067aa0ba902b7", &"0".repeat(16)),
            &PARENT_TEXT.replace("4736-", "473-0"),
            "00-\u{e9}",
        ] {
            assert_eq!(Span::parse(junk), None, "{junk}");
        }
    }

    #[test]
    fn only_those_who_may_see_all_name_the_trace() {
        let headers = |state: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(PARENT, HeaderValue::from_static(PARENT_TEXT));
            headers.insert(STATE, HeaderValue::from_str(state).unwrap());
            headers
        };
        let went_on = |group: &str, state: &str| {
            let identity = Identity::authenticated("jane", [group.to_owned()]);
            let mut out = HeaderMap::new();
            Trace::of(&headers(state), &identity).go_on(&mut out, "v1.a");
            out
        };
        for group in [SYSTEM_MASTERS, SYSTEM_MONITORING] {
            let out = went_on(group, "a=1");
            let (parent, ours) = (Span::parse(PARENT_TEXT).unwrap(), out[PARENT].to_str().unwrap());
            let ours = Span::parse(ours).unwrap();
            assert!(ours.id != parent.id && Span { id: parent.id, ..ours } == parent);
            assert_eq!(out[STATE], "a=1");
            assert!(!went_on(group, &"x".repeat(MAX_STATE + 1)).contains_key(STATE));
        }
        let out = went_on("crew", "a=1");
        assert!(!out.contains_key(STATE) && out.get(PARENT).is_none_or(|value| value != PARENT_TEXT));
    }
}
