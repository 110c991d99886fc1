//! What a delete makes of an object: nothing but a decision. The rules are those of upstream's `BeforeDelete` and
//! `deletionFinalizersForGarbageCollection`.

use detectviz_api::options::DeleteOptions;
use detectviz_api::{meta, timestamp};
use serde_json::Value;
use time::{Duration, OffsetDateTime};

use crate::resource::Resource;
use crate::strategy::Strategy;

/// The finalizer that lets dependents live on without their owner.
const ORPHAN: &str = "orphan";
/// The finalizer that holds an owner until its dependents are gone.
const FOREGROUND: &str = "foregroundDeletion";

/// What becomes of an object.
#[derive(Debug, PartialEq)]
pub enum Ending {
    /// It was given time before, and this delete does not shorten it.
    Pending,
    /// It stays as this until something lets it go.
    Marked(Value),
    /// It goes, and this is what it was last.
    Gone(Value),
}

impl Resource {
    /// What a delete with `options` makes of `object`, `now`.
    pub(super) fn end(&self, object: &Value, options: &DeleteOptions, now: OffsetDateTime) -> Ending {
        let dependents = !self.definition.extensions.without_dependents;
        end(&*self.strategy, dependents, object, options, now)
    }
}

/// What a delete with `options` makes of `object`, `now`; `dependents` says whether there may be any.
pub fn end(
    strategy: &dyn Strategy,
    dependents: bool,
    object: &Value,
    options: &DeleteOptions,
    now: OffsetDateTime,
) -> Ending {
    let mut object = object.clone();
    let grace = match give_time(strategy, &mut object, options, now) {
        Grace::Pending => return Ending::Pending,
        Grace::Given(seconds) => Some(seconds),
        Grace::None => None,
    };
    if dependents {
        set_finalizers(&mut object, options, strategy.orphans_by_default());
    }
    let held = strategy.is_held(&object);
    if grace.is_none() && held {
        mark(&mut object, now);
    }
    if !held && grace.unwrap_or(0) == 0 {
        return Ending::Gone(object);
    }
    strategy.prepare_delete(&mut object);
    Ending::Marked(object)
}

/// Gives an object time to end, where something runs for its kind.
fn give_time(
    strategy: &dyn Strategy,
    object: &mut Value,
    options: &DeleteOptions,
    now: OffsetDateTime,
) -> Grace {
    let asked = options.grace_seconds();
    let Some(seconds) = strategy.grace_seconds(object, asked) else { return Grace::None };
    let Some(end) = timestamp::parse(meta::field(object, "deletionTimestamp")) else {
        set_end(object, now + Duration::seconds(seconds), seconds);
        count_generation(object);
        return Grace::Given(seconds);
    };
    // From here on time can only be taken away.
    match (meta::deletion_grace_seconds(object).unwrap_or(0), asked) {
        (0, _) => Grace::None,
        (given, Some(asked)) if asked < given => {
            set_end(object, end - Duration::seconds(given) + Duration::seconds(asked), asked);
            Grace::Given(asked)
        }
        _ => Grace::Pending,
    }
}

enum Grace {
    /// None, and none was.
    None,
    /// So many seconds from when deletion began.
    Given(i64),
    /// No less than before.
    Pending,
}

fn set_end(object: &mut Value, end: OffsetDateTime, seconds: i64) {
    if let Some(metadata) = meta::of_mut(object) {
        metadata.insert("deletionTimestamp".to_owned(), timestamp::seconds(end).into());
        metadata.insert("deletionGracePeriodSeconds".to_owned(), seconds.into());
    }
}

/// Marks an object that only finalizers hold.
fn mark(object: &mut Value, now: OffsetDateTime) {
    if meta::deletion_grace_seconds(object).is_none() {
        count_generation(object);
    }
    let began = timestamp::parse(meta::field(object, "deletionTimestamp")).filter(|began| *began <= now);
    set_end(object, began.unwrap_or(now), 0);
}

/// The beginning of a deletion is a change that controllers look at, where the kind counts changes.
fn count_generation(object: &mut Value) {
    if let Some(metadata) = meta::of_mut(object)
        && let Some(generation) =
            metadata.get("generation").and_then(Value::as_i64).filter(|count| *count > 0)
    {
        metadata.insert("generation".to_owned(), (generation + 1).into());
    }
}

/// Puts on and takes off the finalizers that say what becomes of dependents: by the options, else by what is there, else by
/// the kind.
fn set_finalizers(object: &mut Value, options: &DeleteOptions, orphans: bool) {
    let before: Vec<String> = meta::finalizers(object).map(str::to_owned).collect();
    let policy = match (options.orphan_dependents, options.propagation_policy.as_deref()) {
        (Some(true), _) | (None, Some("Orphan")) => Some(ORPHAN),
        (None, Some("Foreground")) => Some(FOREGROUND),
        (Some(false), _) | (None, Some(_)) => None,
        (None, None) => {
            let said =
                before.iter().find_map(|have| [ORPHAN, FOREGROUND].into_iter().find(|said| have == said));
            said.or(orphans.then_some(ORPHAN))
        }
    };
    let mut after: Vec<String> =
        before.iter().filter(|have| !matches!(have.as_str(), ORPHAN | FOREGROUND)).cloned().collect();
    after.extend(policy.map(str::to_owned));
    let same = after.len() == before.len() && after.iter().all(|have| before.contains(have));
    if let Some(metadata) = meta::of_mut(object).filter(|_| !same) {
        match after.is_empty() {
            true => metadata.remove("finalizers"),
            false => metadata.insert("finalizers".to_owned(), after.into()),
        };
    }
}

#[cfg(test)]
mod tests;
