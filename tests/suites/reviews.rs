//! Reviews: questions that are asked by creating an object of which nothing is kept.

use detectviz_tests::{Edition, Server, every_line, variants};
use serde_json::{Value, json};

const TOKENS: &str = "/apis/authentication.k8s.io/v1/tokenreviews";
const OWN: &str = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
const ACCESS: &str = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
const OWN_ACCESS: &str = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
const RULES: &str = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews";

fn local(namespace: &str) -> String {
    format!("/apis/authorization.k8s.io/v1/namespaces/{namespace}/localsubjectaccessreviews")
}

fn asked(spec: &Value) -> Value {
    json!({"spec": spec})
}

#[test]
fn a_token_review_says_whose_a_token_is() {
    let mut builder = Server::builder(Edition::Oss);
    let file = builder.folder().join("tokens.csv");
    std::fs::write(&file, "t0k3n,alice,u1,dev\n").unwrap();
    builder = builder.config(&format!("[auth]\ntoken_file = {file:?}\n"));
    let server = builder.start();
    let admin = server.admin();
    let known = admin.create(TOKENS, &asked(&json!({"token": "t0k3n"}))).expect(201);
    let alice = json!({"username": "alice", "uid": "u1", "groups": ["dev", "system:authenticated"]});
    assert_eq!(known["status"], json!({"authenticated": true, "user": alice}));
    assert_eq!(
        (&known["apiVersion"], &known["kind"]),
        (&json!("authentication.k8s.io/v1"), &json!("TokenReview"))
    );
    let unknown = admin.create(TOKENS, &asked(&json!({"token": "wrong"}))).expect(201);
    assert_eq!(unknown["status"], json!({"user": {}, "error": "invalid bearer token"}));
    // Alice may nothing, and asking is something.
    let alice = server.anonymous().token("t0k3n");
    alice.create(TOKENS, &asked(&json!({"token": "t0k3n"}))).refused(403, "Forbidden");
}

#[test]
fn reviews_are_answered_and_not_kept() {
    variants(|server| {
        let admin = server.admin();
        let who = admin.create(OWN, &json!({})).expect(201);
        let groups = who["status"]["userInfo"]["groups"].as_array().unwrap();
        assert!(groups.contains(&json!("system:masters")), "{who}");
        // A server without tokens knows nobody by one.
        let token = admin.create(TOKENS, &asked(&json!({"token": "x"}))).expect(201);
        assert_eq!(token["status"], json!({"user": {}}));
        let get = json!({"verb": "get", "resource": "configmaps", "namespace": "default"});
        let own = admin.create(OWN_ACCESS, &asked(&json!({"resourceAttributes": get}))).expect(201);
        assert_eq!((&own["status"], &own["spec"]["resourceAttributes"]), (&json!({"allowed": true}), &get));
        let bob = json!({"user": "bob", "resourceAttributes": get});
        let of_bob = admin.create(ACCESS, &asked(&bob)).expect(201);
        assert_eq!(of_bob["status"]["allowed"], false);
        // It may be asked of a namespace that is not there, in a dry run, and of a path.
        let mut there = bob;
        there["resourceAttributes"]["namespace"] = "nowhere".into();
        let path = format!("{}?dryRun=All", local("nowhere"));
        let of_there = admin.create(path, &asked(&there)).expect(201);
        assert_eq!(of_there["metadata"], json!({"namespace": "nowhere"}));
        let live = json!({"user": "bob", "nonResourceAttributes": {"path": "/livez", "verb": "get"}});
        assert_eq!(admin.create(ACCESS, &asked(&live)).expect(201)["status"], json!({"allowed": true}));
        let rules = admin.create(RULES, &asked(&json!({"namespace": "default"}))).expect(201);
        let all = json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]});
        assert_eq!(rules["status"]["resourceRules"][0], all);
        for path in [OWN, TOKENS, ACCESS, OWN_ACCESS, RULES] {
            for method in ["GET", "DELETE"] {
                admin.request(method, path).send().refused(405, "MethodNotAllowed");
            }
            admin.get(format!("{path}/x")).refused(405, "MethodNotAllowed");
            admin.get(format!("{path}?watch=1")).refused(405, "MethodNotAllowed");
            admin.get(format!("{path}/x/status")).refused(404, "NotFound");
        }
        server.anonymous().create(OWN, &json!({})).refused(403, "Forbidden");
    });
}

/// As upstream: `kubectl auth whoami` and `auth can-i` are for everybody who has a name, and say nothing of others.
#[test]
fn everybody_with_a_name_may_ask_about_themselves_alone() {
    variants(|server| {
        let bob = server.user("bob", Some("dev"));
        let who = bob.create(OWN, &json!({})).expect(201);
        let own = &who["status"]["userInfo"];
        assert_eq!(
            (&own["username"], &own["groups"]),
            (&json!("bob"), &json!(["dev", "system:authenticated"]))
        );
        let may = |attributes: Value| {
            let answer = bob.create(OWN_ACCESS, &asked(&json!({"resourceAttributes": attributes})));
            answer.expect(201)["status"]["allowed"] == true
        };
        assert!(!may(json!({"verb": "get", "resource": "secrets", "namespace": "default"})));
        let group = "authorization.k8s.io";
        assert!(may(json!({"verb": "create", "group": group, "resource": "selfsubjectaccessreviews"})));
        assert!(!may(json!({"verb": "create", "group": group, "resource": "subjectaccessreviews"})));
        let rules = bob.create(RULES, &asked(&json!({"namespace": "default"}))).expect(201);
        let allowed: Vec<_> = rules["status"]["resourceRules"].as_array().unwrap().iter().collect();
        assert_eq!(allowed.len(), 2, "{rules}");
        let get = json!({"verb": "get", "resource": "configmaps", "namespace": "default"});
        let of_other = asked(&json!({"user": "alice", "resourceAttributes": get}));
        for path in [ACCESS.to_owned(), local("default")] {
            bob.create(path, &of_other).refused(403, "Forbidden");
        }
        bob.create(TOKENS, &asked(&json!({"token": "x"}))).refused(403, "Forbidden");
        for path in [OWN, OWN_ACCESS, RULES] {
            server
                .anonymous()
                .create(path, &asked(&json!({"namespace": "default"})))
                .refused(403, "Forbidden");
            bob.get(path).refused(403, "Forbidden");
        }
    });
}

#[test]
fn a_review_that_cannot_be_meant_is_refused_in_upstreams_words() {
    variants(|server| {
        let admin = server.admin();
        let get = json!({"verb": "get", "namespace": "default"});
        let of_bob = json!({"user": "bob", "resourceAttributes": get});
        for (path, object, code, message) in [
            (
                OWN_ACCESS.to_owned(),
                json!({}),
                422,
                "SelfSubjectAccessReview.authorization.k8s.io \"\" is invalid: spec.resourceAttributes: Invalid value: \
                 \"null\": exactly one of nonResourceAttributes or resourceAttributes must be specified",
            ),
            (
                ACCESS.to_owned(),
                json!({"metadata": {"name": "x"}, "spec": of_bob}),
                422,
                "SubjectAccessReview.authorization.k8s.io \"\" is invalid: metadata: Invalid value: {\"name\":\"x\"}: must \
                 be empty",
            ),
            (
                local("kube-system"),
                asked(&of_bob),
                422,
                "LocalSubjectAccessReview.authorization.k8s.io \"\" is invalid: spec.resourceAttributes.namespace: \
                 Invalid value: \"default\": must match metadata.namespace",
            ),
            (
                local("default"),
                json!({"metadata": {"namespace": "kube-system"}, "spec": of_bob}),
                400,
                "the namespace of the provided object does not match the namespace sent on the request",
            ),
            (TOKENS.to_owned(), json!({}), 400, "token is required for TokenReview in authentication"),
            (RULES.to_owned(), json!({}), 400, "no namespace on request"),
            (
                format!("{RULES}?fieldValidation=Strict"),
                json!({"spec": {"namespace": "default", "more": 1}}),
                400,
                "SelfSubjectRulesReview in version \"v1\" cannot be handled as a SelfSubjectRulesReview: strict decoding error: \
                 unknown field \"spec.more\"",
            ),
            (
                OWN.to_owned(),
                json!({"kind": "TokenReview"}),
                400,
                "the kind in the data (TokenReview) does not match the expected kind (SelfSubjectReview)",
            ),
        ] {
            let reason = if code == 422 { "Invalid" } else { "BadRequest" };
            let refused = admin.create(&*path, &object).refused(code, reason);
            let said = refused["message"].as_str().unwrap();
            assert!(said.starts_with(message), "{path} {object}: {said}");
        }
        let unknown = json!({"spec": {"namespace": "default", "more": 1}});
        let warned = admin.create(RULES, &unknown);
        assert_eq!(warned.header("warning"), Some("299 - \"unknown field \\\"spec.more\\\"\""));
        // No name stands in the path of an access review of a namespace's own.
        let cluster = "/apis/authorization.k8s.io/v1/localsubjectaccessreviews";
        admin.create(cluster, &asked(&of_bob)).refused(404, "NotFound");
    });
}

#[test]
fn kubectl_asks_what_it_may() {
    every_line(|server| {
        let can = |question: &str| {
            let output = server.kubectl(&format!("auth can-i {question}")).run();
            (output.code, output.stdout)
        };
        for question in
            ["create configmaps", "get secrets/one -n kube-system", "* *", "get /metrics", "list events -A"]
        {
            let (code, said) = can(question);
            assert_eq!((code, said.as_str()), (0, "yes"), "{question}");
        }
        let list = server.kubectl("auth can-i --list").ok();
        let rows: Vec<Vec<&str>> = list.lines().map(|line| line.split_whitespace().collect()).collect();
        assert!(rows.contains(&vec!["*.*", "[]", "[]", "[*]"]), "{list}");
        assert!(list.contains("/livez/*"), "{list}");
        let review = "apiVersion: authorization.k8s.io/v1\nkind: SubjectAccessReview\nspec: {user: bob, \
                      resourceAttributes: {verb: get, resource: configmaps}}";
        let told = server.kubectl("create -f - -o jsonpath={.status.allowed}").stdin(review).ok();
        assert_eq!(told, "false");
    });
}

#[test]
fn kubectl_says_who_it_is() {
    every_line(|server| {
        if server.line() == detectviz_tests::Line::Old {
            // It has no such command.
            let refused = server.kubectl("auth whoami").run();
            assert!(!refused.stdout.contains("ATTRIBUTE"), "{refused}");
            return;
        }
        let who = server.kubectl("auth whoami").ok();
        assert!(who.starts_with("ATTRIBUTE") && who.contains("system:masters"), "{who}");
    });
}
