//! A reader: gets, and lists in whole and in pages, of every selection and every kind of version.

use super::client::{Request, Session};
use super::load::Plan;
use super::model::{self, State};
use super::operation::{Answer, Call, Wanted};

/// Reads until the load ends.
pub(crate) fn run(mut session: Session<'_>, plan: &Plan) {
    let mut seen = None;
    while !session.shared.has_ended() {
        let answer =
            if session.random.chance(40) { get(&mut session, plan) } else { list(&mut session, plan, seen) };
        match answer {
            None => return,
            Some(Answer::Listed(state, _)) => seen = Some(state.revision),
            Some(_) => {}
        }
    }
}

fn get(session: &mut Session<'_>, plan: &Plan) -> Option<Answer> {
    let key = plan.key(&mut session.random);
    let path = format!("/api/v1/namespaces/{}/configmaps/{}", key.0, key.1);
    let request = Request { method: "GET", path, body: None };
    session.perform(Call::Get { key }, |session| {
        let Some(answer) = session.send(&request) else { return Answer::Unknown };
        match answer.code {
            200 => model::read(&answer.json()).map_or(Answer::Unknown, |(_, version)| Answer::Found(version)),
            404 => Answer::NotFound,
            _ => Answer::Unknown,
        }
    })
}

fn list(session: &mut Session<'_>, plan: &Plan, seen: Option<u64>) -> Option<Answer> {
    let random = &mut session.random;
    let selection = random.pick(&plan.selections).clone();
    let wanted = match (seen, random.below(5)) {
        (_, 0) => Wanted::Any,
        (Some(seen), 1) => Wanted::NotOlderThan(seen),
        (Some(seen), 2) => Wanted::Exact(seen),
        _ => Wanted::Newest,
    };
    // Pages of any version are answered by whole lists.
    let limit = (wanted != Wanted::Any && random.chance(40)).then(|| 1 + random.below(6));
    let mut path = selection.path();
    path.push_str(&match wanted {
        Wanted::Newest => String::new(),
        Wanted::Any => "&resourceVersion=0".to_owned(),
        Wanted::NotOlderThan(version) => {
            format!("&resourceVersion={version}&resourceVersionMatch=NotOlderThan")
        }
        Wanted::Exact(version) => format!("&resourceVersion={version}&resourceVersionMatch=Exact"),
    });
    let call = Call::List { selection: selection.clone(), wanted };
    let next = limit.map(|limit| format!("{}&limit={limit}", selection.path()));
    let first = limit.map_or(path.clone(), |limit| format!("{path}&limit={limit}"));
    session.perform(call, |session| pages(session, first, next.as_deref()).unwrap_or(Answer::Unknown))
}

/// Reads all pages; `None` when one does not come.
fn pages(session: &mut Session<'_>, first: String, next: Option<&str>) -> Option<Answer> {
    let (mut items, mut revisions, mut path) = (Vec::new(), Vec::new(), first);
    loop {
        let answer = session.send(&Request { method: "GET", path, body: None })?;
        if answer.code != 200 {
            return None;
        }
        let list = answer.json();
        revisions.push(list["metadata"]["resourceVersion"].as_str()?.parse().ok()?);
        items.extend(list["items"].as_array()?.iter().filter_map(model::read));
        match (list["metadata"]["continue"].as_str().filter(|token| !token.is_empty()), next) {
            (Some(token), Some(next)) => path = format!("{next}&continue={token}"),
            _ => return Some(Answer::Listed(State { revision: revisions[0], items }, revisions)),
        }
    }
}

/// Everything of a selection now, when a server says it.
pub(crate) fn state(session: &mut Session<'_>, selection: &model::Selection) -> Option<State> {
    let call = Call::List { selection: selection.clone(), wanted: Wanted::Newest };
    match session
        .perform(call, |session| pages(session, selection.path(), None).unwrap_or(Answer::Unknown))?
    {
        Answer::Listed(state, _) => Some(state),
        _ => None,
    }
}
