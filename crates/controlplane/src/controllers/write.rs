//! Read, change, write: the one way in which controllers write what others may write at the same time.

use detectviz_api::{Reason, Status};
use detectviz_core::Loopback;
use serde_json::Value;
use std::fmt::Write;

/// How often a conflicting write is tried before the pass gives up.
const ATTEMPTS: usize = 8;

/// Changes the object at `path`, last seen as `seen`, and writes it to `path` and `subresource` (`/status`, or empty).
/// `change` says whether there is anything to write; after a conflict it sees the object as it is then. An object that
/// is gone needs no change.
///
/// # Errors
/// The server's refusal; the conflict when others keep writing.
pub(super) async fn edit(
    loopback: &dyn Loopback,
    path: &str,
    subresource: &str,
    seen: &Value,
    change: impl Fn(&mut Value) -> bool,
) -> Result<(), Status> {
    let target = format!("{path}{subresource}");
    let mut object = seen.clone();
    for _ in 1..ATTEMPTS {
        if !change(&mut object) {
            return Ok(());
        }
        match loopback.update(&target, &object).await {
            Err(refusal) if refusal.is(Reason::Conflict) => match loopback.get(path).await {
                Ok(now) => object = now,
                Err(refusal) => return unless_gone(refusal),
            },
            Err(refusal) => return unless_gone(refusal),
            Ok(_) => return Ok(()),
        }
    }
    if change(&mut object) { loopback.update(&target, &object).await.map(drop) } else { Ok(()) }
}

/// Deletes the object at `path`; one that is gone is deleted already.
///
/// # Errors
/// The server's refusal.
pub(super) async fn delete(loopback: &dyn Loopback, path: &str) -> Result<(), Status> {
    loopback.delete(path).await.map(drop).or_else(unless_gone)
}

/// Whether it is the store that takes no writes now: that is told once, where it is noticed, and not of each write.
pub(super) fn is_stores(refusal: &Status) -> bool {
    refusal.is(Reason::ServiceUnavailable) || refusal.is(Reason::Timeout)
}

fn unless_gone(refusal: Status) -> Result<(), Status> {
    if refusal.is(Reason::NotFound) { Ok(()) } else { Err(refusal) }
}

/// `name` as a segment of a path: some kinds allow names that a URL must escape.
pub(super) fn segment(name: &str) -> String {
    let mut segment = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b':') {
            segment.push(char::from(byte));
        } else {
            let _ = write!(segment, "%{byte:02X}");
        }
    }
    segment
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::Fake;
    use serde_json::json;

    #[tokio::test]
    async fn a_conflicting_write_is_made_on_what_is_there_then() {
        let fake = Fake::new();
        let path = "/api/v1/namespaces/a/configmaps";
        let seen = fake.loopback().create(path, &json!({"metadata": {"name": "c"}})).await.unwrap();
        let path = "/api/v1/namespaces/a/configmaps/c";
        let mut other = seen.clone();
        other["data"] = json!({"theirs": "1"});
        fake.loopback().update(path, &other).await.unwrap();
        let change = |object: &mut Value| {
            object["data"]["ours"] = "1".into();
            true
        };
        edit(&*fake.loopback(), path, "", &seen, change).await.unwrap();
        assert_eq!(fake.object(path).unwrap()["data"], json!({"theirs": "1", "ours": "1"}));
    }

    #[tokio::test]
    async fn what_is_gone_needs_no_change() {
        let fake = Fake::new();
        let path = "/api/v1/namespaces/a/configmaps/c";
        let seen = json!({"metadata": {"name": "c", "resourceVersion": "1"}});
        assert_eq!(edit(&*fake.loopback(), path, "", &seen, |_| true).await, Ok(()));
        assert_eq!(delete(&*fake.loopback(), path).await, Ok(()));
    }

    #[test]
    fn names_are_escaped() {
        for (name, expected) in [("a-b.c_0", "a-b.c_0"), ("a b?#", "a%20b%3F%23"), ("é", "%C3%A9")] {
            assert_eq!(segment(name), expected);
        }
    }
}
