//! `/scale`: an object seen as an `autoscaling/v1` `Scale`, that is, as a number of something that it asks for. Who writes
//! the `Scale` writes that number of the object, and owns that field of it.

mod books;
mod selector;

use detectviz_api::definition::{Definition, Extensions, Names, Scale, Scope, Version, VersionSchema};
use detectviz_api::{Cause, Status, meta};
use detectviz_core::http::Response;
use detectviz_schema::{Compiled, CompiledVersion, Fragments};
use detectviz_storage::KeyValue;
use http::StatusCode;
use serde_json::{Value, json};
use std::sync::LazyLock;

use super::Call;
use super::change::{Attempt, Intent, MODIFIED, bytes, uid_mismatch};
use super::object::parsed;
use super::write::{Draft, Form, Write, Written};
use crate::admission::Operation;

const API_VERSION: &str = "autoscaling/v1";
const ATTEMPTS: usize = 1000;

static SCALE: LazyLock<CompiledVersion> = LazyLock::new(|| {
    let version = Version {
        name: "v1".to_owned(),
        served: true,
        storage: true,
        schema: VersionSchema { open_api_v3_schema: detectviz_schema::meta::scale() },
        subresources: None,
        additional_printer_columns: Vec::new(),
        selectable_fields: Vec::new(),
    };
    let names = ["scales", "scale", "Scale", "ScaleList"].map(str::to_owned);
    let [plural, singular, kind, list_kind] = names;
    let (short_names, categories) = Default::default();
    let definition = Definition {
        group: "autoscaling".to_owned(),
        names: Names { plural, singular, kind, list_kind, short_names, categories },
        scope: Scope::Namespaced,
        versions: vec![version],
        extensions: Extensions::default(),
    };
    let compiled = Compiled::built_in(definition, &Fragments::new())
        .expect("our own definition compiles, as the tests of this module show");
    compiled.storage().clone()
});

/// The kind `Scale`.
pub(super) fn form(custom: bool) -> Form<'static> {
    Form {
        version: &SCALE,
        group: "autoscaling",
        kind: "Scale",
        api_version: API_VERSION,
        protobuf: true,
        custom,
    }
}

pub(super) async fn get(call: Call) -> Result<Response, Status> {
    let output = call.output()?;
    let object = call.fresh_object().await?;
    let object: Value =
        serde_json::from_slice(&call.resource.served(&object)?.json()).map_err(Status::internal)?;
    let paths = call.scale_paths()?;
    if at(&object, &paths.spec_replicas_path).is_none() {
        let missing = format!("the spec replicas field {:?} does not exist", paths.spec_replicas_path);
        return Err(Status::internal(missing));
    }
    let scale = scale_of(&object, paths)?;
    output.object(&call.resource, StatusCode::OK, &bytes(&scale))
}

/// Does to the `Scale` of the object that the path names what `intent` says.
pub(super) async fn change(write: &Write<'_>, mut intent: Intent) -> Result<Written, Status> {
    let name = &write.call.info().name;
    let mut current = write.call.present(name).await?;
    for _ in 0..ATTEMPTS {
        match once(write, &mut intent, &current).await? {
            Attempt::Done(mut written) => {
                let object: Value = serde_json::from_slice(&written.json).map_err(Status::internal)?;
                written.json = bytes(&scale_of(&object, write.call.scale_paths()?)?);
                return Ok(written);
            }
            Attempt::Raced(None) => return Err(write.call.resource.not_found(name)),
            Attempt::Raced(_) if intent.is_spent() => break,
            Attempt::Raced(Some(now)) => current = now,
        }
    }
    Err(write.call.conflict(name, MODIFIED))
}

async fn once(write: &Write<'_>, intent: &mut Intent, current: &KeyValue) -> Result<Attempt, Status> {
    let call = write.call;
    let paths = call.scale_paths()?;
    let parent = parsed(&call.resource, current)?;
    let old = with_books(scale_of(&parent, paths)?, &parent, call, paths);
    let mut draft = intent.draft(write, Some(&old))?;
    call.place(&mut draft.object)?;
    call.check_name(&draft.object)?;
    if !intent.is_apply() {
        write.manage(Some(&old), &mut draft.object);
    }
    write.mutate(Operation::Update, &mut draft, Some(&old)).await?;
    write.check_schema(&draft)?;
    let replicas = replicas(&draft.object, paths)?;
    let (uid, stored) = (meta::uid(&draft.object), meta::uid(&parent));
    if !uid.is_empty() && uid != stored {
        return Err(call.conflict(meta::name(&parent), &uid_mismatch(uid, stored)));
    }
    write.check_version(&draft.object, &parent)?;

    let mut new = parent.clone();
    put(&mut new, &paths.spec_replicas_path, replicas)?;
    let books = books::to_parent(
        parent.pointer("/metadata/managedFields"),
        draft.object.pointer("/metadata/managedFields"),
        &call.resource.api_version,
        &paths.spec_replicas_path,
    );
    if let Some(metadata) = meta::of_mut(&mut new) {
        match books.as_array().is_none_or(Vec::is_empty) {
            true => metadata.remove("managedFields"),
            false => metadata.insert("managedFields".to_owned(), books),
        };
    }
    let admitted = call.resource.version.admit(&mut new);
    if let Some(why) = admitted.mistyped {
        return Err(Status::bad_request(why));
    }
    let mut changed = Draft::new(new, draft.warnings, admitted.causes);
    write.settle(&mut changed, &parent)?;
    let mut scale = scale_of(&changed.object, paths)?;
    write.admit(Operation::Update, &mut scale, Some(&old)).await?;
    write.store_change(current, changed, &parent, !intent.is_apply()).await
}

impl Call {
    fn scale_paths(&self) -> Result<&Scale, Status> {
        self.resource.scale().ok_or_else(Status::no_such_path)
    }
}

/// The `Scale` with the books of those who own the number.
fn with_books(mut scale: Value, parent: &Value, call: &Call, paths: &Scale) -> Value {
    let entries = parent.pointer("/metadata/managedFields");
    let books = books::to_scale(entries, &call.resource.api_version, &paths.spec_replicas_path);
    if books.as_array().is_some_and(|books| !books.is_empty()) {
        scale["metadata"]["managedFields"] = books;
    }
    scale
}

/// The number that the `Scale` asks for.
fn replicas(scale: &Value, paths: &Scale) -> Result<i64, Status> {
    let spec = scale.get("spec").filter(|spec| !spec.is_null());
    // Where no number is there and none is given, none can be meant.
    let Some(spec) = spec else {
        let path = &paths.spec_replicas_path;
        return Err(Status::bad_request(format!("the spec replicas field {path:?} cannot be empty")));
    };
    let count = spec.get("replicas").and_then(Value::as_i64).unwrap_or(0);
    if count < 0 {
        let cause = Cause {
            reason: "FieldValueInvalid".to_owned(),
            message: format!("Invalid value: {count}: must be greater than or equal to 0"),
            field: "spec.replicas".to_owned(),
        };
        return Err(Status::invalid("autoscaling", "Scale", meta::name(scale), vec![cause]));
    }
    Ok(count)
}

/// The object as a `Scale`. An empty number is left out of `spec`, as Go's encoder does.
fn scale_of(object: &Value, paths: &Scale) -> Result<Value, Status> {
    let wanted = at(object, &paths.spec_replicas_path).and_then(Value::as_i64);
    let found = at(object, &paths.status_replicas_path).and_then(Value::as_i64).unwrap_or(0);
    let mut scale = json!({
        "apiVersion": API_VERSION, "kind": "Scale", "metadata": {},
        "status": {"replicas": found},
    });
    scale["spec"] = match wanted {
        None => Value::Null,
        Some(0) => json!({}),
        Some(wanted) => json!({"replicas": wanted}),
    };
    for field in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        if let Some(value) = object.get("metadata").and_then(|metadata| metadata.get(field)) {
            scale["metadata"][field] = value.clone();
        }
    }
    let selector = paths.label_selector_path.as_deref().and_then(|path| at(object, path));
    if let Some(selector) = selector.map(selector::text).transpose()?.filter(|text| !text.is_empty()) {
        scale["status"]["selector"] = selector.into();
    }
    Ok(scale)
}

fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.trim_start_matches('.').split('.')
}

fn at<'a>(object: &'a Value, path: &str) -> Option<&'a Value> {
    segments(path).try_fold(object, |value, segment| value.get(segment)).filter(|value| !value.is_null())
}

fn put(object: &mut Value, path: &str, count: i64) -> Result<(), Status> {
    let mut place = object;
    for segment in segments(path) {
        if place.is_null() {
            *place = json!({});
        }
        let Some(map) = place.as_object_mut() else {
            return Err(Status::internal(format!("{path} leads through something that is no object")));
        };
        place = map.entry(segment).or_insert(Value::Null);
    }
    *place = count.into();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths() -> Scale {
        Scale {
            spec_replicas_path: ".spec.replicas".to_owned(),
            status_replicas_path: ".status.replicas".to_owned(),
            label_selector_path: Some(".status.selector".to_owned()),
        }
    }

    #[test]
    fn an_object_is_seen_as_its_scale() {
        let object = json!({"metadata": {"name": "a", "uid": "1", "labels": {}}, "spec": {"replicas": 3, "x": 1},
            "status": {"replicas": 2, "selector": "a=b"}});
        let expected = json!({"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "a", "uid": "1"},
            "spec": {"replicas": 3}, "status": {"replicas": 2, "selector": "a=b"}});
        assert_eq!(scale_of(&object, &paths()).unwrap(), expected);
        let bare = scale_of(&json!({"spec": {"replicas": 0}}), &paths()).unwrap();
        assert_eq!((&bare["spec"], &bare["status"]), (&json!({}), &json!({"replicas": 0})));
    }

    #[test]
    fn a_number_is_put_where_the_path_says() {
        let mut object = json!({"spec": null});
        put(&mut object, ".spec.a.count", 3).unwrap();
        assert_eq!(object, json!({"spec": {"a": {"count": 3}}}));
        assert_eq!(put(&mut json!({"spec": 1}), ".spec.a", 3).unwrap_err().code, 500);
    }

    #[test]
    fn a_scale_asks_for_no_less_than_nothing() {
        let refusal =
            replicas(&json!({"metadata": {"name": "a"}, "spec": {"replicas": -1}}), &paths()).unwrap_err();
        assert_eq!(
            refusal.message,
            "Scale.autoscaling \"a\" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0"
        );
        assert_eq!(replicas(&json!({"spec": {}}), &paths()), Ok(0));
        assert_eq!(replicas(&json!({"spec": null}), &paths()).unwrap_err().code, 400);
    }

    #[test]
    fn a_scale_may_come_as_protobuf() {
        // metadata.name "a", spec.replicas 3.
        let raw = [0x0a, 3, 0x0a, 1, b'a', 0x12, 2, 0x08, 3];
        let scale = form(false).version.from_protobuf(&raw).unwrap();
        assert_eq!((&scale["metadata"]["name"], &scale["spec"]["replicas"]), (&json!("a"), &json!(3)));
    }
}
