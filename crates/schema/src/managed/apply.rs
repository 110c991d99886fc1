//! Server-side apply: a configuration is laid over the object, what its manager dropped is taken out, and the entries follow.

use serde_json::Value;

use super::check::check;
use super::compare::equal;
use super::conflict::{ApplyError, Operation};
use super::entries::{Entry, Slot};
use super::fields::{Count, fields};
use super::forms::{self, Form};
use super::merge::merge;
use super::prune::prune;
use super::set::Set;
use super::types::Type;
use super::update::{before_first_apply, changes, ownable, reconcile, take};
use super::{Reset, Writer, last_applied, list_in};
use crate::node::Node;

/// The most that is told of fields in conflict, in bytes.
const MAX_TOLD: usize = 256 * 1024;

/// An apply under way: what it is about, in one place, since each step needs most of it.
pub(super) struct Apply<'a> {
    pub(super) root: &'a Node,
    pub(super) forms: &'a [Form],
    /// The object, null if there is none.
    pub(super) live: &'a Value,
    pub(super) config: &'a Value,
    pub(super) writer: &'a Writer<'a>,
    pub(super) force: bool,
    pub(super) reset: Reset<'a>,
}

impl Apply<'_> {
    /// The object with the configuration applied, and its entries.
    pub(super) fn run(&self) -> Result<(Value, Vec<Slot>), ApplyError> {
        self.check_request()?;
        let ty = Type::of(self.root);
        let mut set = fields(ty, self.config, Count::Owned).map_err(|why| self.unfit("patch", &why))?;
        set.remove_below(&Set::of_paths(self.reset));

        let mut others = self.entries()?;
        let mut own = self.writer.entry(Operation::Apply, set);
        let last = others.iter().position(|entry| entry.is_of(&own)).map(|place| others.remove(place));

        let unfit = |why: String| self.unfit("live", &why);
        let mut merged = self.live.clone();
        merge(ty, &mut merged, self.config).map_err(unfit)?;
        if let Some(last) = &last {
            self.give_up(&mut merged, &last.fields, &own.fields, &others).map_err(unfit)?;
        }

        let changes = changes(self.root, self.live, &merged, self.reset).map_err(unfit)?;
        self.check_conflicts(&others, &changes.set)?;
        for other in &mut others {
            take(other, &changes);
        }
        own.fields = ownable(own.fields);
        own.time = match &last {
            _ if !equal(self.live, &merged) => Some(self.writer.now),
            Some(last) => last.time,
            None => None,
        };
        own.unchanged = last.filter(|last| last.says(&own)).and_then(|last| last.unchanged);
        others.push(own);
        let slots = forms::encode(others, self.forms);
        Ok((merged, slots))
    }

    fn check_request(&self) -> Result<(), ApplyError> {
        let bad = |message: String| Err(ApplyError::BadRequest(message));
        let text =
            |value: &Value, name: &str| value.get(name).and_then(Value::as_str).unwrap_or("").to_owned();
        let kind = text(self.config, "kind");
        let is_other_kind = !self.live.is_null() && kind != text(self.live, "kind");
        if text(self.config, "apiVersion") != self.writer.api_version || is_other_kind {
            return bad(format!("invalid object type: {}", self.config_type()));
        }
        if self.config.pointer("/metadata/managedFields").is_some_and(Value::is_array) {
            return bad("metadata.managedFields must be nil".to_owned());
        }
        check(Type::of(self.root), self.config).map_err(|why| self.unfit("patch", &why))
    }

    /// The entries of the object. What nobody is known to own was there before the first apply.
    fn entries(&self) -> Result<Vec<Entry<'_>>, ApplyError> {
        let list = list_in(self.live);
        let mut entries = forms::decode(list, self.forms)
            .map_err(|why| ApplyError::Invalid(format!("failed to decode managed fields: {why}")))?;
        reconcile(self.root, &mut entries);
        if entries.is_empty() && !self.live.is_null() {
            entries = before_first_apply(self.root, self.live, self.writer, self.reset)
                .map_err(|why| self.unfit("live", &why))?;
        }
        Ok(entries)
    }

    /// Takes out of `merged` what the applier had at `last` and nobody has now.
    fn give_up(
        &self,
        merged: &mut Value,
        last: &Set<'_>,
        own: &Set<'_>,
        others: &[Entry<'_>],
    ) -> Result<(), String> {
        let mut dropped = last.clone();
        dropped.remove(own);
        if dropped.is_empty() {
            return Ok(());
        }
        let others = others.iter().map(|entry| entry.fields.clone());
        let managed = Set::union(others.chain([own.clone()]));
        prune(Type::of(self.root), merged, last, &managed)?;
        // An empty list is nobody's, so it may have gone; but it stands in the configuration.
        merge(Type::of(self.root), merged, self.config)
    }

    /// Who owns what this would change. `kubectl` may change what it applied before, on the client's side.
    fn check_conflicts(&self, others: &[Entry<'_>], changed: &Set<'_>) -> Result<(), ApplyError> {
        if self.force {
            return Ok(());
        }
        let contested = others.iter().map(|entry| (entry, entry.fields.intersection(changed)));
        let contested: Vec<_> = contested.filter(|(_, fields)| !fields.is_empty()).collect();
        if contested.is_empty() {
            return Ok(());
        }
        let allowed = last_applied::allowed(self).unwrap_or_default();
        let (mut conflicts, mut room) = (Vec::new(), MAX_TOLD);
        for (entry, mut fields) in contested {
            fields.remove(&allowed);
            let fields = forms::fields_of(entry, fields, self.forms);
            conflicts.extend(fields.paths(&mut room).into_iter().map(|field| entry.conflict(field)));
        }
        if conflicts.is_empty() { Ok(()) } else { Err(ApplyError::Conflicts(conflicts)) }
    }

    /// Why the configuration (`patch`) or the object (`live`) does not fit its schema.
    fn unfit(&self, which: &str, why: &str) -> ApplyError {
        let metadata = |name: &str| {
            let object = if which == "patch" { self.config } else { self.live };
            object
                .get("metadata")
                .and_then(|metadata| metadata.get(name))
                .and_then(Value::as_str)
                .unwrap_or("")
        };
        let (namespace, name) = (metadata("namespace"), metadata("name"));
        let what = self.config_type();
        ApplyError::Invalid(format!(
            "failed to create typed {which} object ({namespace}/{name}; {what}): {why}"
        ))
    }

    /// The configuration's type as messages name it, such as `apps/v1, Kind=Deployment`.
    fn config_type(&self) -> String {
        let text = |name: &str| self.config.get(name).and_then(Value::as_str).unwrap_or("");
        let version = text("apiVersion");
        let slash = if version.contains('/') { "" } else { "/" };
        format!("{slash}{version}, Kind={}", text("kind"))
    }
}
