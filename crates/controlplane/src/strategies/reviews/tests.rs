use super::*;
use crate::strategies::read;
use detectviz_api::{Cause, RequestInfo};
use detectviz_auth::Decision;
use detectviz_auth::authenticate::TokenTable;
use detectviz_auth::authorize::{PublicPaths, SystemMasters, Union};
use detectviz_auth::rules::Rules;

/// Denies everything to mallory, whatever groups that user is in.
struct NotMallory;

impl Authorizer for NotMallory {
    fn authorize(&self, identity: &Identity, _: &RequestInfo) -> Decision {
        match identity.name.as_str() {
            "mallory" => Decision::Deny("mallory may nothing".to_owned()),
            _ => Decision::NoOpinion("not mallory".to_owned()),
        }
    }

    fn rules(&self, _: &Identity, _: &str) -> Rules {
        Rules::default()
    }
}

fn reviewers(tokens: &str) -> Reviewers {
    Reviewers {
        authenticator: Arc::new(Authenticator::new(TokenTable::parse(tokens).unwrap())),
        authorizer: Arc::new(Union::new(vec![
            Box::new(NotMallory),
            Box::new(SystemMasters),
            Box::new(PublicPaths),
        ])),
    }
}

fn strategy(resource: &str) -> Arc<dyn Strategy> {
    let group = if resource.ends_with("accessreviews") || resource.contains("rules") {
        "authorization"
    } else {
        "authentication"
    };
    reviewers("t0k3n,alice,u1,\"dev,ops\"").of(&format!("{group}.k8s.io"), resource).unwrap()
}

fn faults(resource: &str, object: &Value) -> Vec<String> {
    read(&strategy(resource).validate(object) as &[Cause])
}

fn answer(resource: &str, caller: &Identity, object: Value) -> Value {
    let mut object = object;
    strategy(resource).answer(caller, &mut object).unwrap();
    object
}

fn bob() -> Identity {
    Identity::authenticated("bob", ["dev".to_owned()])
}

#[test]
fn a_token_is_somebodys_or_nobodys() {
    let review = |spec: Value| answer("tokenreviews", &bob(), json!({"spec": spec}))["status"].clone();
    let alice = json!({"username": "alice", "uid": "u1", "groups": ["dev", "ops", "system:authenticated"]});
    assert_eq!(review(json!({"token": "t0k3n"})), json!({"authenticated": true, "user": alice}));
    let nobody = json!({"user": {}, "error": "invalid bearer token"});
    assert_eq!(review(json!({"token": "wrong"})), nobody);
    assert_eq!(review(json!({"token": "t0k3n", "audiences": ["elsewhere"]})), nobody);
    let none = strategy("tokenreviews").answer(&bob(), &mut json!({"spec": {}})).unwrap_err();
    assert_eq!((none.code, &*none.message), (400, "token is required for TokenReview in authentication"));
    let mut unasked = json!({"spec": {"token": "t0k3n"}});
    let without = reviewers("").of("authentication.k8s.io", "tokenreviews").unwrap();
    without.answer(&bob(), &mut unasked).unwrap();
    assert_eq!(unasked["status"], json!({"user": {}}));
}

#[test]
fn a_caller_is_told_who_it_is() {
    let told = answer("selfsubjectreviews", &bob(), json!({"metadata": {"name": "x"}}));
    assert_eq!(
        told["status"]["userInfo"],
        json!({"username": "bob", "groups": ["dev", "system:authenticated"]})
    );
    assert_eq!(told["metadata"].as_object().unwrap().keys().collect::<Vec<_>>(), ["creationTimestamp"]);
}

#[test]
fn the_authorizer_answers_access_reviews() {
    let masters = json!(["system:masters"]);
    let get = json!({"verb": "get", "resource": "configmaps"});
    let live = json!({"path": "/livez", "verb": "get"});
    let no = json!({"allowed": false, "reason": "not mallory; not in system:masters; not a public path"});
    for (spec, wanted) in [
        (json!({"groups": masters, "resourceAttributes": get}), json!({"allowed": true})),
        (
            json!({"groups": masters, "resourceAttributes": {"verb": "bind", "resource": "*", "group": "*"}}),
            json!({"allowed": true}),
        ),
        (json!({"user": "bob", "resourceAttributes": get}), no.clone()),
        (json!({"user": "bob", "nonResourceAttributes": live}), json!({"allowed": true})),
        (json!({"user": "bob", "nonResourceAttributes": {"path": "/livez", "verb": "post"}}), no.clone()),
        (json!({"user": "bob", "nonResourceAttributes": {"path": "/metrics", "verb": "get"}}), no.clone()),
        (
            json!({"user": "mallory", "groups": masters, "nonResourceAttributes": live}),
            json!({"allowed": false, "denied": true, "reason": "mallory may nothing"}),
        ),
        (
            json!({"groups": masters, "resourceAttributes": {"labelSelector": {"rawSelector": "=="}, "fieldSelector": {"rawSelector": "a=b"}}}),
            json!({"allowed": true, "evaluationError": "spec.resourceAttributes.labelSelector ignored due to parse error"}),
        ),
    ] {
        let told = answer("subjectaccessreviews", &bob(), json!({"spec": spec}));
        assert_eq!(told, json!({"spec": spec, "status": wanted}));
    }
    // Whom the spec of a review of oneself names does not count.
    let own = json!({"spec": {"user": "root", "groups": masters, "resourceAttributes": get}});
    assert_eq!(answer("selfsubjectaccessreviews", &bob(), own.clone())["status"], no);
    let allowed = answer("selfsubjectaccessreviews", &Identity::loopback(), own);
    assert_eq!(allowed["status"], json!({"allowed": true}));
}

#[test]
fn rules_are_listed_for_the_caller() {
    let told =
        answer("selfsubjectrulesreviews", &Identity::loopback(), json!({"spec": {"namespace": "default"}}));
    let all = json!([{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]);
    assert_eq!((&told["spec"], &told["status"]["resourceRules"]), (&json!({}), &all));
    let told = answer("selfsubjectrulesreviews", &bob(), json!({"spec": {"namespace": "default"}}));
    assert_eq!(told["status"]["resourceRules"], json!([]));
    assert_eq!(told["status"]["nonResourceRules"][0]["verbs"], json!(["get", "head"]));
    let nowhere = strategy("selfsubjectrulesreviews").answer(&bob(), &mut json!({"spec": {}})).unwrap_err();
    assert_eq!((nowhere.code, &*nowhere.message), (400, "no namespace on request"));
}

#[test]
fn what_is_asked_must_be_clear() {
    let (get, live) = (json!({"verb": "get"}), json!({"path": "/livez"}));
    for (resource, object, wanted) in [
        ("subjectaccessreviews", json!({"spec": {"user": "bob", "resourceAttributes": get}}), &[][..]),
        ("subjectaccessreviews", json!({"spec": {"groups": ["dev"], "nonResourceAttributes": live}}), &[]),
        (
            "subjectaccessreviews",
            json!({}),
            &[
                "spec.resourceAttributes: Invalid value: \"null\": exactly one of nonResourceAttributes or resourceAttributes must be specified",
                "spec.user: Invalid value: \"\": at least one of user or group must be specified",
            ],
        ),
        (
            "selfsubjectaccessreviews",
            json!({"metadata": {"name": "x"}, "spec": {"resourceAttributes": get, "nonResourceAttributes": live}}),
            &[
                "spec.nonResourceAttributes: Invalid value: {\"path\":\"/livez\"}: cannot be specified in combination with resourceAttributes",
                "metadata: Invalid value: {\"name\":\"x\"}: must be empty",
            ],
        ),
        (
            "localsubjectaccessreviews",
            json!({"metadata": {"namespace": "a", "labels": {}}, "spec": {"user": "bob", "resourceAttributes": {"namespace": "a"}}}),
            &[],
        ),
        (
            "localsubjectaccessreviews",
            json!({"metadata": {"namespace": "a", "labels": {"b": "c"}}, "spec": {"user": "bob", "resourceAttributes": get}}),
            &[
                "metadata: Invalid value: {\"labels\":{\"b\":\"c\"},\"namespace\":\"a\"}: must be empty except for namespace",
                "spec.resourceAttributes.namespace: Invalid value: \"\": must match metadata.namespace",
            ],
        ),
        (
            "localsubjectaccessreviews",
            json!({"metadata": {"namespace": "a"}, "spec": {"user": "bob", "nonResourceAttributes": live}}),
            &[
                "spec.nonResourceAttributes: Invalid value: {\"path\":\"/livez\"}: disallowed on this kind of request",
            ],
        ),
        (
            "selfsubjectaccessreviews",
            json!({"spec": {"resourceAttributes": {"fieldSelector": {}, "labelSelector": {"rawSelector": "a", "requirements": [
                {"operator": "In"}, {"key": "a", "operator": "Exists", "values": ["b"]}, {"key": "a", "operator": "Newer"}]}}}}),
            &[
                "spec.resourceAttributes.fieldSelector.requirements: Required value: when spec.resourceAttributes.fieldSelector is specified, requirements or rawSelector is required",
                "spec.resourceAttributes.labelSelector.rawSelector: Invalid value: \"a\": may not specified at same time as requirements",
                "spec.resourceAttributes.labelSelector.requirements[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'",
                "spec.resourceAttributes.labelSelector.requirements[0].key: Required value: must be specified",
                "spec.resourceAttributes.labelSelector.requirements[1].values: Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
            ],
        ),
    ] {
        assert_eq!(faults(resource, &object), wanted, "{resource} {object}");
    }
}
