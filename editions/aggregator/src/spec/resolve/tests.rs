#![allow(clippy::needless_pass_by_value, reason = "cases are written as JSON in place")]

use super::*;
use serde_json::json;

const NOT_FOUND: &str = "EndpointsNotFound: cannot find endpointslices for service/svc in \"ns\": there must be one \
                         with the label kubernetes.io/service-name=svc, or Endpoints called svc";

/// A world with one Service `ns/svc`, and what it resolves to on port 443, in words.
struct Case {
    by: Surroundings,
    annotations: Value,
    port: i64,
}

fn named(mut object: Value, name: &str) -> (String, Arc<Value>) {
    object["metadata"]["namespace"] = "ns".into();
    object["metadata"]["name"] = name.into();
    (key("ns", name), Arc::new(object))
}

fn case(service: Value) -> Case {
    let services = Objects::from_iter([named(json!({ "spec": service }), "svc")]);
    let by = Surroundings { services, socket_dirs: ["/run".into()].into(), ..Surroundings::default() };
    Case { by, annotations: Value::Null, port: 443 }
}

/// A Service of `kind` without an address, whose port 443 is called `https`.
fn plain(kind: &str) -> Value {
    json!({"type": kind, "ports": [{"name": "http", "port": 80}, {"name": "https", "port": 443}]})
}

fn slice(endpoints: Value) -> Value {
    json!({
        "metadata": {"labels": {SERVICE_NAME: "svc"}}, "endpoints": endpoints,
        "ports": [{"name": "http", "port": 8080}, {"name": "https", "port": 8443}],
    })
}

fn ready(address: &str) -> Value {
    json!({"addresses": [address], "conditions": {"ready": true}})
}

impl Case {
    fn slices(mut self, slices: impl IntoIterator<Item = Value>) -> Self {
        let named =
            slices.into_iter().enumerate().map(|(index, slice)| named(slice, &format!("svc-{index}")));
        self.by.slices = Slices::of(&named.collect());
        self
    }

    fn endpoints(mut self, subsets: Value) -> Self {
        self.by.endpoints = Objects::from_iter([named(json!({ "subsets": subsets }), "svc")]);
        self
    }

    fn external_name(mut self, host: &str) -> Self {
        self.by.external_names = Objects::from_iter([named(json!({"spec": {"host": host}}), "svc")]);
        self
    }

    fn annotated(mut self, targets: &str) -> Self {
        self.annotations = json!({ targets::ANNOTATION: targets });
        self
    }

    fn port(mut self, port: i64) -> Self {
        self.port = port;
        self
    }

    fn check(self, expected: &str) {
        let reference = Reference { namespace: "ns".into(), name: "svc".into(), port: self.port };
        let found = match reference.resolve(&self.annotations, &self.by) {
            Ok(addresses) => addresses.iter().map(crate::spec::url).collect::<Vec<_>>().join(" "),
            Err(why) => format!("{}: {why}", why.reason()),
        };
        assert_eq!(found, expected);
    }
}

#[test]
fn no_service_is_not_found() {
    let mut nothing = case(Value::Null);
    nothing.by.services = Objects::new();
    nothing.check(
        "ServiceNotFound: service/svc in \"ns\" is not present: there must be a Service, or an ExternalName that \
         says its host",
    );
}

#[test]
fn an_external_service_is_dialled_at_the_port_that_is_asked_for() {
    let external = |host: &str| case(json!({"type": "ExternalName", "externalName": host}));
    external("a.example.com.").check("https://a.example.com:443");
    external("a.example.com").port(8443).check("https://a.example.com:8443");
    external("a").port(0).check(
        "ServicePortError: service/svc in \"ns\" is not listening on port 0: a port must be from 1 to 65535",
    );
    external("").check(
        "ServiceNotFound: service/svc in \"ns\" is not present: there must be a Service, or an ExternalName that \
         says its host",
    );
}

#[test]
fn a_given_address_is_dialled_unless_it_is_known_that_nothing_is_behind_it() {
    let given = |kind: &str| {
        let mut service = plain(kind);
        service["clusterIP"] = "10.0.0.1".into();
        case(service)
    };
    for kind in ["ClusterIP", "NodePort", "LoadBalancer"] {
        given(kind).check("https://10.0.0.1:443");
        given(kind).slices([slice(json!([ready("10.1.0.1")]))]).check("https://10.0.0.1:443");
        given(kind).slices([slice(json!([]))]).check(
            "MissingEndpoints: endpointslices for service/svc in \"ns\" have no addresses with port name \"https\"",
        );
    }
    given("ClusterIP").port(444).check(
        "ServicePortError: service/svc in \"ns\" is not listening on port 444: its TCP ports are 80, 443",
    );
}

#[test]
fn without_an_address_the_slices_say_what_is_there() {
    let missing = "MissingEndpoints: endpointslices for service/svc in \"ns\" have no addresses with port name \"https\"";
    for address in [json!(""), json!("None"), Value::Null] {
        let mut service = plain("ClusterIP");
        service["clusterIP"] = address;
        let new = || case(service.clone());
        new().check(NOT_FOUND);
        new().slices([slice(Value::Null)]).check(missing);
        let all = slice(json!([ready("10.1.0.2"), ready("10.1.0.1"), ready("10.1.0.2")]));
        new()
            .slices([all, slice(json!([ready("fd00::1")]))])
            .check("https://10.1.0.1:8443 https://10.1.0.2:8443 https://[fd00::1]:8443");
        new().slices([slice(json!([ready("a.example.com.")]))]).check("https://a.example.com:8443");
        new()
            .slices([slice(json!([{"addresses": ["10.1.0.1", "10.1.0.9"]}]))])
            .check("https://10.1.0.1:8443");
    }
}

#[test]
fn a_port_is_found_by_its_name_and_protocol() {
    let with = |ports: Value| {
        let mut slice = slice(json!([ready("10.1.0.1")]));
        slice["ports"] = ports;
        case(plain("ClusterIP")).slices([slice])
    };
    let missing = "MissingEndpoints: endpointslices for service/svc in \"ns\" have no addresses with port name \"https\"";
    with(json!([{"name": "https", "port": 1}, {"name": "other", "port": 2}])).check("https://10.1.0.1:1");
    for ports in [
        json!([{"name": "other", "port": 1}]),
        json!([{"name": "https"}]),
        json!([{"name": "https", "port": 1, "protocol": "UDP"}]),
        json!([{"port": 1}]),
        json!([]),
        Value::Null,
    ] {
        with(ports).check(missing);
    }
    let nameless = |port: Value| {
        let mut slice = slice(json!([ready("10.1.0.1")]));
        slice["ports"] = json!([port]);
        case(json!({"type": "ClusterIP", "ports": [{"port": 443}]})).slices([slice])
    };
    nameless(json!({"name": "", "port": 6})).check("https://10.1.0.1:6");
    nameless(json!({"port": 7})).check("https://10.1.0.1:7");
    case(json!({"type": "ClusterIP", "ports": [{"port": 443, "protocol": "UDP"}]}))
        .check("ServicePortError: service/svc in \"ns\" is not listening on port 443: it has no TCP port");
    case(json!({"type": "Headless"}))
        .check("FailedDiscoveryCheck: service \"svc\" has the unsupported type \"Headless\"");
}

#[test]
fn what_is_not_ready_is_used_only_while_it_ends_and_nothing_else_is_there() {
    let state = |address: &str, ready: bool, serving: bool, terminating: bool| {
        json!({"addresses": [address],
               "conditions": {"ready": ready, "serving": serving, "terminating": terminating}})
    };
    let with = |endpoints: Value| case(plain("ClusterIP")).slices([slice(endpoints)]);
    let missing = "MissingEndpoints: endpointslices for service/svc in \"ns\" have no addresses with port name \"https\"";
    with(json!([state("10.1.0.1", false, false, false)])).check(missing);
    with(json!([state("10.1.0.1", false, true, false)])).check(missing);
    with(json!([state("10.1.0.1", false, false, true)])).check(missing);
    with(json!([state("10.1.0.1", false, true, true)])).check("https://10.1.0.1:8443");
    with(json!([state("10.1.0.1", false, true, true), ready("10.1.0.2")])).check("https://10.1.0.2:8443");
    let (ending, new) =
        (slice(json!([state("10.1.0.1", false, true, true)])), slice(json!([ready("10.1.0.2")])));
    case(plain("ClusterIP")).slices([ending, new]).check("https://10.1.0.2:8443");
}

#[test]
fn endpoints_say_it_only_where_there_is_no_slice() {
    let subsets = json!([
        {"addresses": [{"ip": "10.2.0.2"}, {"ip": "10.2.0.1"}], "notReadyAddresses": [{"ip": "10.2.0.9"}],
         "ports": [{"name": "https", "port": 8443}, {"name": "http", "port": 8080}]},
        {"addresses": [{"ip": "10.2.0.3"}], "ports": [{"name": "https", "port": 9443}]},
        {"addresses": [{"ip": "10.2.0.4"}]},
    ]);
    let both = "https://10.2.0.1:8443 https://10.2.0.2:8443 https://10.2.0.3:9443";
    case(plain("ClusterIP")).endpoints(subsets.clone()).check(both);
    let sliced = case(plain("ClusterIP")).endpoints(subsets);
    sliced.slices([slice(json!([ready("10.1.0.1")]))]).check("https://10.1.0.1:8443");
    case(plain("ClusterIP")).endpoints(json!([])).check(
        "MissingEndpoints: endpointslices for service/svc in \"ns\" have no addresses with port name \"https\"",
    );
}

#[test]
fn the_annotation_comes_before_the_external_name_and_that_before_the_service() {
    let service = || case(plain("ClusterIP")).slices([slice(json!([ready("10.1.0.1")]))]);
    service().external_name("[::1]").check("https://[::1]:443");
    let annotated = service().external_name("a").annotated("https://b:1, unix:///run/x.sock");
    annotated.check("https://b:1 unix:///run/x.sock");
    service().external_name("a").annotated("http://b").check(
        "InvalidEndpoints: read the annotation aggregator.detectviz.io/endpoints: \"http://b\" would show to \
         everybody on the way who asks: only https and unix are allowed",
    );
}

#[test]
fn slices_of_other_services_and_namespaces_do_not_count() {
    let mut other = slice(json!([ready("10.1.0.1")]));
    other["metadata"]["labels"][SERVICE_NAME] = "other".into();
    let mut unlabelled = slice(json!([ready("10.1.0.1")]));
    unlabelled["metadata"]["labels"] = Value::Null;
    let not_found = NOT_FOUND;
    case(plain("ClusterIP")).slices([other, unlabelled]).check(not_found);
    let mut elsewhere = slice(json!([ready("10.1.0.1")]));
    elsewhere["metadata"]["namespace"] = "elsewhere".into();
    let mut case = case(plain("ClusterIP"));
    case.by.slices = Slices::of(&Objects::from_iter([("elsewhere/svc".to_owned(), Arc::new(elsewhere))]));
    case.check(not_found);
}

#[test]
fn a_service_of_very_many_addresses_has_a_bound() {
    let many = (0..1000).map(|n| ready(&format!("10.1.{}.{}", n / 250, n % 250))).collect::<Value>();
    let by = case(plain("ClusterIP")).slices([slice(many)]).by;
    let reference = Reference { namespace: "ns".into(), name: "svc".into(), port: 443 };
    assert_eq!(reference.resolve(&Value::Null, &by).unwrap().len(), 256);
}
