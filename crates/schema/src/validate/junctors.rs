//! `allOf`, `anyOf`, `oneOf` and `not`. An alternative is tried without spelling out what is wrong with it; only the one that
//! is told about is walked again in words.

use serde_json::Value;

use super::{Walk, fault};
use crate::node::{Junctors, Node};
use crate::path::Path;

/// How an alternative did.
struct Tried<'a> {
    rule: &'a Node,
    holds: bool,
    /// How many values were judged: upstream tells about the alternative that got furthest.
    judged: usize,
}

impl Walk<'_> {
    pub(super) fn junctors(&mut self, junctors: &Junctors, value: &Value, path: &Path<'_>) {
        self.any(&junctors.any, value, path);
        self.one(&junctors.one, value, path);
        self.all(&junctors.all, value, path);
        if junctors.not.as_ref().is_some_and(|rule| self.holds(rule, value, path)) {
            self.broken(path, "must not validate the schema (not)");
        }
    }

    fn any(&mut self, rules: &[Node], value: &Value, path: &Path<'_>) {
        let tried = self.tried(rules, value, path);
        if !rules.is_empty() && tried.iter().all(|rule| !rule.holds) {
            self.broken(path, "must validate at least one schema (anyOf)");
            self.tell_best(&tried, value, path);
        }
    }

    fn one(&mut self, rules: &[Node], value: &Value, path: &Path<'_>) {
        let tried = self.tried(rules, value, path);
        match tried.iter().filter(|rule| rule.holds).count() {
            _ if rules.is_empty() => {}
            1 => {}
            0 => {
                self.broken(path, "must validate one and only one schema (oneOf). Found none valid");
                self.tell_best(&tried, value, path);
            }
            count => {
                let found = format!("Found {count} valid alternatives");
                self.broken(path, &format!("must validate one and only one schema (oneOf). {found}"));
            }
        }
    }

    fn all(&mut self, rules: &[Node], value: &Value, path: &Path<'_>) {
        let before = self.faults;
        let broken = rules.iter().filter(|rule| {
            let before = self.faults;
            self.check(rule, value, path);
            self.faults > before
        });
        let broken = broken.count();
        if self.faults > before {
            let none = if broken == rules.len() { ". None validated" } else { "" };
            self.broken(path, &format!("must validate all the schemas (allOf){none}"));
        }
    }

    fn tried<'a>(&self, rules: &'a [Node], value: &Value, path: &Path<'_>) -> Vec<Tried<'a>> {
        let attempt = |rule| {
            let mut walk = self.silent();
            walk.check(rule, value, path);
            Tried { rule, holds: walk.faults == 0, judged: walk.judged }
        };
        rules.iter().map(attempt).collect()
    }

    fn holds(&self, rule: &Node, value: &Value, path: &Path<'_>) -> bool {
        let mut walk = self.silent();
        walk.check(rule, value, path);
        walk.faults == 0
    }

    fn silent(&self) -> Self {
        Self { version: self.version, in_metadata: self.in_metadata, ..Self::with_room(0) }
    }

    /// Says what is wrong by the alternative that got furthest, the first of them.
    fn tell_best(&mut self, tried: &[Tried<'_>], value: &Value, path: &Path<'_>) {
        let furthest = tried.iter().rev().max_by_key(|rule| rule.judged);
        furthest.into_iter().for_each(|best| self.check(best.rule, value, path));
    }

    fn broken(&mut self, path: &Path<'_>, rule: &str) {
        self.fault(|| fault::placeless(&format!("\"{}\" {rule}", path.spelled())));
    }

    /// Judges `value` and all below it by a rule, which changes nothing.
    fn check(&mut self, rule: &Node, value: &Value, path: &Path<'_>) {
        if !value.is_null() && !self.fits(rule, value) {
            self.mistyped(rule, value, path);
        }
        match value {
            Value::Object(map) => {
                for (name, field) in &rule.fields {
                    if let Some(value) = map.get(name) {
                        self.check(&field.node, value, &path.field(name));
                    }
                }
            }
            Value::Array(items) => {
                for (index, value) in items.iter().enumerate() {
                    rule.items.iter().for_each(|rule| self.check(rule, value, &path.index(index)));
                }
            }
            _ => {}
        }
        self.judge(rule, value, path);
    }
}
