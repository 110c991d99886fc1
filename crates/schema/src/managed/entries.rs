//! `metadata.managedFields`: one entry for each manager, operation and subresource, and for updates also version.

use detectviz_api::go::cut;
use serde_json::{Map, Value, json};
use std::cmp::Ordering;
use std::collections::HashMap;

use super::codec;
use super::conflict::{Conflict, Operation};
use super::set::Set;

/// The most entries of updates; above, the oldest become one.
const MAX_UPDATES: usize = 10;

/// The manager of what became one.
const ANCIENT: &str = "ancient-changes";

/// An entry. An unchanged one knows where it stands in the list that it was read from, and is not written anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry<'a> {
    pub(super) manager: &'a str,
    pub(super) operation: Operation,
    pub(super) subresource: &'a str,
    pub(super) api_version: &'a str,
    pub(super) time: Option<&'a str>,
    pub(super) fields: Set<'a>,
    pub(super) unchanged: Option<usize>,
}

/// What an entry of the result is: one of the list that was read, or a new one.
pub(super) enum Slot {
    Kept(usize),
    Written(Value),
}

impl<'a> Entry<'a> {
    /// Whose the entry is. An applier keeps its entry when it goes on to another version.
    fn id(&self) -> (Operation, &'a str, &'a str, &'a str) {
        let api_version = if self.operation == Operation::Apply { "" } else { self.api_version };
        (self.operation, self.manager, self.subresource, api_version)
    }

    /// Whether both are one manager's.
    pub(super) fn is_of(&self, other: &Entry<'_>) -> bool {
        self.id() == other.id()
    }

    /// Whether both are written alike.
    pub(super) fn says(&self, other: &Entry<'_>) -> bool {
        self.is_of(other)
            && (self.api_version, self.time, &self.fields) == (other.api_version, other.time, &other.fields)
    }

    /// The entry's word against a change of `field`.
    pub(super) fn conflict(&self, mut field: String) -> Conflict {
        // A key may be as long as an object.
        if field.len() > cut(&field).len() {
            field.truncate(cut(&field).len());
            field.push_str("...");
        }
        Conflict {
            manager: self.manager.to_owned(),
            operation: self.operation,
            subresource: self.subresource.to_owned(),
            api_version: self.api_version.to_owned(),
            field,
        }
    }

    fn read(entry: &'a Value, place: usize) -> Result<Self, String> {
        let text = |name: &str| match entry.get(name) {
            None | Some(Value::Null) => Ok(""),
            Some(Value::String(text)) => Ok(text.as_str()),
            Some(other) => Err(format!("{name} must be a string, not {other}")),
        };
        let operation = match text("operation")? {
            "Apply" => Operation::Apply,
            "Update" => Operation::Update,
            _ => return Err("operation must be `Apply` or `Update`".to_owned()),
        };
        if text("apiVersion")?.is_empty() {
            return Err("apiVersion must not be empty".to_owned());
        }
        match text("fieldsType")? {
            "FieldsV1" => {}
            "" => return Err(format!("missing fieldsType in managed fields entry {place}")),
            other => return Err(format!("invalid fieldsType {other:?} in managed fields entry {place}")),
        }
        let (fields, canonical) = match entry.get("fieldsV1") {
            None => (Set::default(), true),
            Some(fields) => codec::decode(fields).map_err(|why| format!("error decoding set: {why}"))?,
        };
        Ok(Self {
            manager: text("manager")?,
            operation,
            subresource: text("subresource")?,
            api_version: text("apiVersion")?,
            time: Some(text("time")?).filter(|time| !time.is_empty()),
            fields,
            unchanged: canonical.then_some(place),
        })
    }

    fn write(&self) -> Value {
        let mut entry = Map::new();
        entry.insert("apiVersion".to_owned(), json!(self.api_version));
        entry.insert("fieldsType".to_owned(), json!("FieldsV1"));
        entry.insert("fieldsV1".to_owned(), codec::encode(&self.fields));
        entry.insert("operation".to_owned(), json!(self.operation.name()));
        for (name, value) in
            [("manager", self.manager), ("subresource", self.subresource), ("time", self.time.unwrap_or(""))]
        {
            if !value.is_empty() {
                entry.insert(name.to_owned(), json!(value));
            }
        }
        Value::Object(entry)
    }

    /// Applies first, then the oldest first. Times are of one form and one zone, so texts compare like times.
    fn order(&self, other: &Self) -> Ordering {
        let key = |entry: &Self| {
            let time = entry.time.unwrap_or("");
            (entry.operation as u8, time, entry.manager, entry.api_version, entry.subresource)
        };
        key(self).cmp(&key(other))
    }
}

/// Reads a list of entries; of two of one manager the later counts.
///
/// # Errors
/// In upstream's words, what is wrong with it.
pub(super) fn decode(list: &[Value]) -> Result<Vec<Entry<'_>>, String> {
    let mut entries: Vec<Entry<'_>> = Vec::with_capacity(list.len());
    let mut places = HashMap::with_capacity(list.len());
    for (place, value) in list.iter().enumerate() {
        let entry = Entry::read(value, place)?;
        match places.insert(entry.id(), entries.len()) {
            None => entries.push(entry),
            Some(earlier) => {
                places.insert(entry.id(), earlier);
                entries[earlier] = entry;
            }
        }
    }
    Ok(entries)
}

/// The list of those entries that own anything.
pub(super) fn encode(mut entries: Vec<Entry<'_>>) -> Vec<Slot> {
    entries.retain(|entry| !entry.fields.is_empty());
    entries.sort_by(Entry::order);
    let slot = |entry: &Entry<'_>| entry.unchanged.map_or_else(|| Slot::Written(entry.write()), Slot::Kept);
    entries.iter().map(slot).collect()
}

/// Makes one of the oldest entries of updates while there are more than [`MAX_UPDATES`], version by version.
pub(super) fn cap(entries: &mut Vec<Entry<'_>>) {
    let is_update = |entry: &Entry<'_>| entry.operation == Operation::Update;
    let mut excess = entries.iter().filter(|entry| is_update(entry)).count().saturating_sub(MAX_UPDATES);
    if excess == 0 {
        return;
    }
    entries.sort_by(Entry::order);
    let (mut updates, applies): (Vec<_>, Vec<_>) = std::mem::take(entries).into_iter().partition(is_update);
    *entries = applies;
    updates.sort_by_key(|entry| (entry.manager, entry.subresource) != (ANCIENT, ""));
    let mut buckets: Vec<(Entry<'_>, Vec<Set<'_>>)> = Vec::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    for entry in std::mem::take(&mut updates) {
        let place = places.get(entry.api_version).copied();
        match place {
            _ if excess == 0 => updates.push(entry),
            None => {
                places.insert(entry.api_version, buckets.len());
                buckets.push((entry, Vec::new()));
            }
            Some(place) => {
                let (bucket, fields) = &mut buckets[place];
                bucket.time = entry.time;
                fields.push(entry.fields);
                excess -= 1;
            }
        }
    }
    entries.extend(updates);
    entries.extend(buckets.into_iter().map(|(mut bucket, mut fields)| {
        // The first of its version only becomes a bucket when a second one joins it.
        if !fields.is_empty() {
            (bucket.manager, bucket.subresource, bucket.unchanged) = (ANCIENT, "", None);
            fields.push(bucket.fields);
            bucket.fields = Set::union(fields);
        }
        bucket
    }));
}
