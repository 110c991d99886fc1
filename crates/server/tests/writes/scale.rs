//! `/scale`: read, written by every verb and patch type, owned by who wrote it.

use serde_json::{Value, json};

use crate::support::{APPLY, JSON, JSON_PATCH, MERGE, STRATEGIC, World, at, widget};

fn path() -> String {
    format!("{}/scale", at("w"))
}

async fn scaled() -> (World, Value) {
    let world = World::start().await;
    world.create(&widget("w", json!({"replicas": 2, "text": "x"}))).await.expect(201);
    let status = json!({"status": {"replicas": 1, "selector": "a=b"}});
    let object = world.patch(&format!("{}/status", at("w")), MERGE, &status).await.expect(200);
    (world, object)
}

#[tokio::test]
async fn an_object_is_read_as_its_scale() {
    let (world, object) = scaled().await;
    let metadata = &object["metadata"];
    let expected = json!({
        "apiVersion": "autoscaling/v1", "kind": "Scale",
        "metadata": {"name": "w", "namespace": "a", "uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"],
            "creationTimestamp": metadata["creationTimestamp"]},
        "spec": {"replicas": 2}, "status": {"replicas": 1, "selector": "a=b"},
    });
    assert_eq!(world.get(&path()).await.expect(200), expected);
    world.create(&widget("v", json!({}))).await.expect(201);
    let missing = world.get(&format!("{}/scale", at("v"))).await.refused(500);
    assert_eq!(missing, "Internal error occurred: the spec replicas field \".spec.replicas\" does not exist");
    assert_eq!(world.get(&format!("{}/scale", at("u"))).await.code, 404);
    assert_eq!(world.send("DELETE", &path(), JSON, "").await.code, 405);
}

#[tokio::test]
async fn discovery_says_of_which_kind_a_scale_is() {
    let world = World::start().await;
    let snapshot = world.catalog.snapshot();
    let list = snapshot.resource_list(&detectviz_api::GroupVersion::new("e.org", "v1")).unwrap();
    let list: Value = serde_json::from_slice(&list.bytes).unwrap();
    let mut resources = list["resources"].as_array().unwrap().iter();
    let scale = resources.find(|resource| resource["name"] == "widgets/scale").unwrap();
    assert_eq!(
        *scale,
        json!({"name": "widgets/scale", "singularName": "", "namespaced": true, "group": "autoscaling", "version": "v1",
            "kind": "Scale", "verbs": ["get", "patch", "update"]})
    );
}

#[tokio::test]
async fn every_way_to_scale_changes_the_number_and_nothing_else() {
    let (world, object) = scaled().await;
    let mut scale = world.get(&path()).await.expect(200);
    scale["spec"]["replicas"] = 3.into();
    scale["status"]["replicas"] = 9.into();
    let mut last = world.update(&path(), &scale).await.expect(200);
    assert_eq!((&last["spec"], &last["status"]["replicas"]), (&json!({"replicas": 3}), &json!(1)));
    for (count, kind, body) in [
        (4, MERGE, json!({"spec": {"replicas": 4}})),
        (5, STRATEGIC, json!({"spec": {"replicas": 5}})),
        (6, JSON_PATCH, json!([{"op": "replace", "path": "/spec/replicas", "value": 6}])),
        (0, MERGE, json!({"spec": {"replicas": 0}})),
    ] {
        last = world.patch(&path(), kind, &body).await.expect(200);
        assert_eq!(last["spec"].get("replicas").unwrap_or(&json!(0)), &json!(count), "{kind}");
    }
    let apply = json!({"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "w"}, "spec": {"replicas": 7}});
    let applied = format!("{}?fieldManager=m&force=true", path());
    last = world.patch(&applied, APPLY, &apply).await.expect(200);
    assert_eq!(last["spec"]["replicas"], 7);
    let now = world.get(&at("w")).await.expect(200);
    assert_eq!(now["metadata"]["generation"], 7);
    assert_eq!(now["metadata"]["resourceVersion"], last["metadata"]["resourceVersion"]);
    assert_eq!((&now["spec"]["text"], &now["status"]), (&object["spec"]["text"], &object["status"]));
    assert_eq!(now["spec"]["replicas"], 7);
    assert_eq!(world.get(&path()).await.expect(200), last);
}

#[tokio::test]
async fn what_is_no_scale_is_refused() {
    let (world, object) = scaled().await;
    let scale = world.get(&path()).await.expect(200);
    let with = |change: &dyn Fn(&mut Value)| {
        let mut scale = scale.clone();
        change(&mut scale);
        scale
    };
    for (body, code, message) in [
        (
            with(&|scale| scale["spec"]["replicas"] = json!(-1)),
            422,
            "Scale.autoscaling \"w\" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0",
        ),
        (
            with(&|scale| scale["spec"]["replicas"] = json!("3")),
            400,
            "Scale in version \"v1\" cannot be handled as a Scale: json: cannot unmarshal string into Go struct field",
        ),
        (with(&|scale| scale["kind"] = json!("Widget")), 400, "the kind in the data (Widget)"),
        (with(&|scale| scale["metadata"]["name"] = json!("v")), 400, "the name of the object (v)"),
        (
            with(&|scale| scale["metadata"]["uid"] = json!("u")),
            409,
            "Operation cannot be fulfilled on widgets.e.org \"w\": Precondition failed: UID in precondition: u",
        ),
        (
            with(&|scale| scale["metadata"]["resourceVersion"] = json!("1")),
            409,
            "Operation cannot be fulfilled",
        ),
        (
            with(&|scale| drop(scale["metadata"].as_object_mut().unwrap().remove("resourceVersion"))),
            422,
            "widgets.e.org \"w\" is invalid: metadata.resourceVersion: Invalid value: 0: must be specified for an update",
        ),
    ] {
        let refused = world.update(&path(), &body).await.refused(code);
        assert!(refused.starts_with(message), "{refused}");
    }
    let dry = format!("{}?dryRun=All", path());
    let patched = world.patch(&dry, MERGE, &json!({"spec": {"replicas": 9}})).await.expect(200);
    assert_eq!(patched["spec"]["replicas"], 9);
    assert_eq!(world.get(&at("w")).await.expect(200), object);
}

#[tokio::test]
async fn who_scales_owns_the_number() {
    let world = World::start().await;
    let apply = |manager: &str, force: bool, spec: Value| {
        let path = format!("{}?fieldManager={manager}&force={force}", at("w"));
        let world = &world;
        async move { world.patch(&path, APPLY, &widget("w", spec)).await }
    };
    apply("deployer", false, json!({"replicas": 2, "text": "x"})).await.expect(201);
    let scaler = format!("{}?fieldManager=scaler", path());
    world.patch(&scaler, MERGE, &json!({"spec": {"replicas": 5}})).await.expect(200);
    let object = world.get(&at("w")).await.expect(200);
    let books = object["metadata"]["managedFields"].as_array().unwrap();
    let of = |manager: &str| books.iter().find(|entry| entry["manager"] == manager).unwrap();
    let taken = of("scaler");
    assert_eq!(
        (&taken["subresource"], &taken["apiVersion"], &taken["fieldsV1"]),
        (&json!("scale"), &json!("e.org/v1"), &json!({"f:spec": {"f:replicas": {}}}))
    );
    assert!(of("deployer")["fieldsV1"]["f:spec"].get("f:replicas").is_none());
    let refused = apply("deployer", false, json!({"replicas": 2, "text": "x"})).await.refused(409);
    assert!(refused.contains("conflict with \"scaler\" with subresource \"scale\""), "{refused}");
    apply("deployer", false, json!({"text": "x"})).await.expect(200);
    assert_eq!(world.get(&path()).await.expect(200)["spec"]["replicas"], 5);
    // An apply of the scale meets who owns the number in the object.
    apply("deployer", true, json!({"replicas": 3, "text": "x"})).await.expect(200);
    let scale = json!({"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "w"}, "spec": {"replicas": 4}});
    let hpa = format!("{}?fieldManager=hpa", path());
    let refused = world.patch(&hpa, APPLY, &scale).await.refused(409);
    assert!(refused.contains("conflict with \"deployer\""), "{refused}");
    world.patch(&format!("{hpa}&force=true"), APPLY, &scale).await.expect(200);
}

/// An object that nobody keeps books of gets none by being scaled, and one that has its number already is not written.
#[tokio::test]
async fn no_books_are_begun_by_a_scale() {
    let world = World::start().await;
    world.create(&widget("w", json!({"replicas": 2}))).await.expect(201);
    let reset = json!({"metadata": {"managedFields": []}});
    let bare = world.patch(&at("w"), MERGE, &reset).await.expect(200);
    assert!(bare["metadata"].get("managedFields").is_none());
    world.patch(&path(), MERGE, &json!({"spec": {"replicas": 2}})).await.expect(200);
    assert_eq!(world.get(&at("w")).await.expect(200), bare, "nothing was written");
    world.patch(&path(), MERGE, &json!({"spec": {"replicas": 3}})).await.expect(200);
    let scaled = world.get(&at("w")).await.expect(200);
    assert_eq!((&scaled["spec"]["replicas"], scaled["metadata"].get("managedFields")), (&json!(3), None));
}
