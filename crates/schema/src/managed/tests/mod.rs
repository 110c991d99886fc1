//! An object on a desk, to which managers come one after another. The cases are the published semantics of server-side apply,
//! type by type.

mod bounds;
mod codec;
mod entries;
mod forms;
mod lists;
mod maps;
mod ownership;
mod properties;
mod requests;
mod upgrade;

use serde_json::{Value, json};

use super::{ApplyError, Conflict, Writer};
use crate::{CompiledVersion, fixture};

/// One field of each type.
fn version() -> CompiledVersion {
    let text = json!({"type": "string"});
    let number = json!({"type": "integer"});
    let pair = json!({"type": "object", "properties": {"a": text, "b": text}});
    let mut atomic_pair = pair.clone();
    atomic_pair["x-kubernetes-map-type"] = json!("atomic");
    let set_of = |items: &Value| json!({"type": "array", "x-kubernetes-list-type": "set", "items": items});
    let map_of = |keys: Value, properties: Value| {
        json!({"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": keys,
            "items": {"type": "object", "properties": properties}})
    };
    let children = map_of(json!(["name"]), json!({"name": text, "value": number}));
    let protocol = json!({"type": "string", "default": "TCP"});
    let ports = json!({"port": number, "protocol": protocol, "name": text, "tags": set_of(&text)});
    fixture::version(&json!({
        "spec": {"type": "object", "properties": {
            "text": text, "number": number, "flag": {"type": "boolean"}, "maybe": {"type": "string", "nullable": true},
            "float": {"type": "number"}, "either": {"x-kubernetes-int-or-string": true},
            "map": {"type": "object", "additionalProperties": text},
            "atomicMap": {"type": "object", "additionalProperties": text, "x-kubernetes-map-type": "atomic"},
            "maps": {"type": "object", "additionalProperties": {"type": "object", "additionalProperties": text}},
            "structs": {"type": "object", "additionalProperties": pair},
            "pair": pair, "atomicPair": atomic_pair,
            "nested": {"type": "object", "properties": {"pair": pair, "text": text}},
            "list": {"type": "array", "items": text},
            "set": set_of(&text), "numbers": set_of(&number),
            "children": children, "ports": map_of(json!(["port", "protocol"]), ports),
            "family": map_of(json!(["name"]), json!({"name": text, "children": children, "pair": pair})),
            "any": {"x-kubernetes-preserve-unknown-fields": true},
            "open": {"type": "object", "x-kubernetes-preserve-unknown-fields": true, "properties": {"text": text}},
        }},
        "status": {"type": "object", "properties": {"text": text, "number": number}},
    }))
}

const API_VERSION: &str = "example.org/v1";

/// The object and the time.
struct Desk {
    version: CompiledVersion,
    object: Option<Value>,
    seconds: u32,
}

impl Desk {
    fn new() -> Self {
        Self { version: version(), object: None, seconds: 0 }
    }

    /// An object that `manager` has made of `spec` by a plain create.
    fn with(manager: &str, spec: Value) -> Self {
        let mut desk = Self::new();
        desk.update(manager, spec);
        desk
    }

    fn now(&mut self) -> String {
        self.seconds += 1;
        format!("2026-01-01T00:{:02}:{:02}Z", self.seconds / 60, self.seconds % 60)
    }

    fn run(&mut self, manager: &str, config: &Value, force: bool) -> Result<(), ApplyError> {
        let now = self.now();
        let writer = Writer { manager, subresource: "", api_version: API_VERSION, now: &now };
        let result = self.version.apply(self.object.as_ref(), config, &writer, force, &[&["status"]])?;
        self.object = Some(result);
        Ok(())
    }

    /// Applies `spec`, which must go.
    fn apply(&mut self, manager: &str, spec: Value) {
        self.run(manager, &object(spec), false).unwrap();
    }

    /// Applies `spec`, which others must not allow; the fields at issue, each with its owner.
    fn conflicts(&mut self, manager: &str, spec: Value) -> Vec<String> {
        let before = self.object.clone();
        let Err(ApplyError::Conflicts(conflicts)) = self.run(manager, &object(spec), false) else {
            panic!("there must be conflicts");
        };
        assert_eq!(self.object, before);
        conflicts.into_iter().map(|Conflict { manager, field, .. }| format!("{manager} {field}")).collect()
    }

    fn force(&mut self, manager: &str, spec: Value) {
        self.run(manager, &object(spec), true).unwrap();
    }

    /// What is wrong with `spec`, without the words that stand before every fault.
    fn refusal(&mut self, spec: Value) -> String {
        match self.run("me", &object(spec), true) {
            Err(ApplyError::Invalid(message)) => {
                let (_, fault) = message.split_once("(default/w; example.org/v1, Kind=Widget): ").unwrap();
                fault.to_owned()
            }
            other => panic!("{other:?} must be a refusal"),
        }
    }

    /// Makes `spec` the object's by a plain write; of the rest of the object nothing changes.
    fn update(&mut self, manager: &str, spec: Value) {
        self.edit(manager, |object| object["spec"] = spec);
    }

    /// Writes the object as `change` makes it.
    fn edit(&mut self, manager: &str, change: impl FnOnce(&mut Value)) {
        self.write(Writer { manager, subresource: "", api_version: API_VERSION, now: "" }, change);
    }

    fn write(&mut self, writer: Writer<'_>, change: impl FnOnce(&mut Value)) {
        let mut new = self.object.clone().unwrap_or_else(|| object(Value::Null));
        change(&mut new);
        let now = self.now();
        let writer = Writer { now: &now, ..writer };
        self.version.manage_update(self.object.as_ref(), &mut new, &writer, &[&["status"]]);
        self.object = Some(new);
    }

    fn spec(&self) -> &Value {
        &self.object.as_ref().unwrap()["spec"]
    }

    fn entries(&self) -> &[Value] {
        super::list_in(self.object.as_ref().unwrap())
    }

    /// What `manager` owns in `spec`, as its one entry has it; null if nothing.
    fn owned(&self, manager: &str) -> &Value {
        let mut entries = self.entries().iter().filter(|entry| entry["manager"] == manager);
        let owned = entries.next().map_or(&Value::Null, |entry| &entry["fieldsV1"]["f:spec"]);
        assert_eq!(entries.next(), None, "{manager} has one entry");
        owned
    }

    /// The managers, in the order of their entries.
    fn managers(&self) -> Vec<&str> {
        self.entries().iter().map(|entry| entry["manager"].as_str().unwrap()).collect()
    }
}

/// An object with `spec`; without one if that is null.
fn object(spec: Value) -> Value {
    let mut object = json!({
        "apiVersion": API_VERSION, "kind": "Widget", "metadata": {"name": "w", "namespace": "default"},
    });
    if !spec.is_null() {
        object["spec"] = spec;
    }
    object
}
