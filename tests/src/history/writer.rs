//! A writer: it creates, updates and deletes a few objects that all writers share, with preconditions and without.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

use super::client::{Request, Session};
use super::load::Plan;
use super::model::{self, Key};
use super::operation::{Answer, Call};

/// The revisions that writers saw last, for preconditions.
pub(crate) type Known = Mutex<BTreeMap<Key, u64>>;

/// Writes until the load ends.
pub(crate) fn run(mut session: Session<'_>, plan: &Plan, known: &Known, prefix: &str) {
    for number in 0.. {
        if session.shared.has_ended() {
            return;
        }
        let (call, group) = choose(&mut session, plan, known, &format!("{prefix}-{number}"));
        if write(&mut session, call, &group, known).is_none() {
            return;
        }
    }
}

fn choose(session: &mut Session<'_>, plan: &Plan, known: &Known, value: &str) -> (Call, String) {
    let random = &mut session.random;
    let key = plan.key(random);
    let group = random.pick(&plan.groups).clone();
    let last = known.lock().unwrap_or_else(PoisonError::into_inner).get(&key).copied();
    // Short and long records, some longer than a page of the disk.
    let value = format!("{value} {}", "x".repeat(random.below(2000) * random.below(4)));
    let call = match (last, random.below(100)) {
        (None, 0..80) | (Some(_), 0..10) => Call::Create { key, value },
        (Some(_), 10..60) => Call::Update { key, value, at: last },
        (_, 60..85) => Call::Update { key, value, at: None },
        (Some(_), 85..93) => Call::Delete { key, at: last },
        _ => Call::Delete { key, at: None },
    };
    (call, group)
}

/// Does a write; `None` when there is no server any more.
pub(crate) fn write(session: &mut Session<'_>, call: Call, group: &str, known: &Known) -> Option<Answer> {
    let request = request(&call, group);
    let key = match &call {
        Call::Create { key, .. } | Call::Update { key, .. } | Call::Delete { key, .. } => key.clone(),
        Call::Get { .. } | Call::List { .. } => return None,
    };
    let answer = session.perform(call, |session| {
        let answer = session.send(&request);
        answer.map_or(Answer::Unknown, |answer| answered(request.method, &answer))
    })?;
    let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
    match &answer {
        Answer::Written(version) => known.insert(key, version.revision),
        Answer::Deleted(_) | Answer::NotFound => known.remove(&key),
        // Whatever is there is to be found out by an update without a precondition.
        Answer::Conflict | Answer::Unknown => known.remove(&key),
        _ => None,
    };
    Some(answer)
}

fn request(call: &Call, group: &str) -> Request {
    let collection = |key: &Key| format!("/api/v1/namespaces/{}/configmaps", key.0);
    let path = |key: &Key| format!("{}/{}", collection(key), key.1);
    let (method, path, body) = match call {
        Call::Create { key, value } => {
            ("POST", collection(key), Some(model::object(&key.1, value, group, None)))
        }
        Call::Update { key, value, at } => ("PUT", path(key), Some(model::object(&key.1, value, group, *at))),
        Call::Delete { key, at } => ("DELETE", path(key), at.map(precondition)),
        Call::Get { key } => ("GET", path(key), None),
        Call::List { selection, .. } => ("GET", selection.path(), None),
    };
    Request { method, path, body }
}

fn precondition(at: u64) -> Value {
    json!({"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"resourceVersion": at.to_string()}})
}

/// What the code says was done. A failure of the server says nothing.
fn answered(method: &str, answer: &crate::http::Answer) -> Answer {
    match (answer.code, method) {
        (200, "DELETE") => {
            let uid = answer.json()["details"]["uid"].as_str().map(str::to_owned);
            uid.map_or(Answer::Unknown, Answer::Deleted)
        }
        (200 | 201, _) => {
            model::read(&answer.json()).map_or(Answer::Unknown, |(_, version)| Answer::Written(version))
        }
        (409, "POST") => Answer::Exists,
        (409, _) => Answer::Conflict,
        (404, _) => Answer::NotFound,
        (400..500, _) => Answer::Refused,
        _ => Answer::Unknown,
    }
}
