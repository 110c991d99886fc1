use super::*;
use crate::strategies::read;
use serde_json::json;

/// A service of a client that said only what it must, as it is stored.
fn created(spec: &Value) -> Value {
    let mut service = json!({"metadata": {"name": "s"}, "spec": spec});
    let ports = service.pointer_mut("/spec/ports").and_then(Value::as_array_mut);
    for port in ports.into_iter().flatten() {
        if port.get("protocol").is_none() {
            port["protocol"] = "TCP".into();
        }
    }
    Services.prepare_create(&mut service);
    service
}

fn check(spec: &Value, expected: &[&str]) {
    let service = created(spec);
    assert_eq!(read(&Services.validate(&service)), expected, "{service}");
}

#[test]
fn what_is_not_said_is_filled_in() {
    let service = created(&json!({"ports": [{"port": 80}, {"port": 81, "targetPort": "http"}]}));
    assert_eq!(
        service["spec"],
        json!({"type": "ClusterIP", "sessionAffinity": "None", "internalTrafficPolicy": "Cluster",
            "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack", "ports": [
                {"port": 80, "protocol": "TCP", "targetPort": 80},
                {"port": 81, "protocol": "TCP", "targetPort": "http"}]})
    );
    let balancer =
        created(&json!({"type": "LoadBalancer", "sessionAffinity": "ClientIP", "clusterIP": "::2"}));
    assert_eq!(
        balancer["spec"],
        json!({"type": "LoadBalancer", "sessionAffinity": "ClientIP", "internalTrafficPolicy": "Cluster",
            "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 10800}}, "externalTrafficPolicy": "Cluster",
            "allocateLoadBalancerNodePorts": true, "clusterIP": "::2", "clusterIPs": ["::2"],
            "ipFamilies": ["IPv6"], "ipFamilyPolicy": "SingleStack"})
    );
    let outside = created(&json!({"type": "ExternalName", "externalName": "a.b"}));
    assert_eq!(
        outside["spec"],
        json!({"type": "ExternalName", "externalName": "a.b", "sessionAffinity": "None"})
    );
    let mut with_status = json!({"spec": {}, "status": {"loadBalancer": {}}});
    Services.prepare_create(&mut with_status);
    assert_eq!(with_status["status"], json!({"loadBalancer": {}}));
}

#[test]
fn each_type_has_its_fields() {
    let port = json!([{"port": 80}]);
    check(&json!({"ports": port}), &[]);
    check(&json!({}), &["spec.ports: Required value"]);
    check(&json!({"clusterIP": "None"}), &[]);
    check(&json!({"type": "ExternalName", "externalName": "example.com."}), &[]);
    check(&json!({"type": "ExternalName"}), &["spec.externalName: Required value"]);
    check(
        &json!({"type": "ExternalName", "externalName": "a", "clusterIP": "10.0.0.1"}),
        &["spec.clusterIPs: Forbidden: may not be set for ExternalName services"],
    );
    check(
        &json!({"type": "NodePort", "clusterIP": "None", "ports": port}),
        &["spec.clusterIPs[0]: Invalid value: \"None\": may not be set to 'None' for NodePort services"],
    );
    check(
        &json!({"type": "X", "ports": port}),
        &[
            "spec.type: Unsupported value: \"X\": supported values: \"ClusterIP\", \"ExternalName\", \"LoadBalancer\", \"NodePort\"",
        ],
    );
    check(
        &json!({"ports": port, "loadBalancerClass": "a/b", "loadBalancerSourceRanges": ["1.1.1.1"],
            "allocateLoadBalancerNodePorts": true, "externalTrafficPolicy": "Local", "healthCheckNodePort": 1}),
        &[
            "spec.LoadBalancerSourceRanges: Forbidden: may only be used when `type` is 'LoadBalancer'",
            "spec.LoadBalancerSourceRanges[0]: Invalid value: \"1.1.1.1\": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)",
            "spec.allocateLoadBalancerNodePorts: Forbidden: may only be used when `type` is 'LoadBalancer'",
            "spec.loadBalancerClass: Forbidden: may only be used when `type` is 'LoadBalancer'",
            "spec.externalTrafficPolicy: Invalid value: \"Local\": may only be set for externally-accessible services",
            "spec.healthCheckNodePort: Invalid value: 1: may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'",
        ],
    );
    check(
        &json!({"ports": port, "internalTrafficPolicy": "x", "trafficDistribution": "y", "sessionAffinity": "z"}),
        &[
            "spec.sessionAffinity: Unsupported value: \"z\": supported values: \"ClientIP\", \"None\"",
            "spec.internalTrafficPolicy: Unsupported value: \"x\": supported values: \"Cluster\", \"Local\"",
            "spec.trafficDistribution: Unsupported value: \"y\": supported values: \"PreferClose\", \"PreferSameNode\", \"PreferSameZone\"",
        ],
    );
    let stay = json!({"clientIP": {"timeoutSeconds": 86401}});
    check(
        &json!({"ports": port, "sessionAffinity": "ClientIP", "sessionAffinityConfig": stay, "externalIPs": ["127.0.0.1"]}),
        &[
            "spec.sessionAffinityConfig.clientIP.timeoutSeconds: Invalid value: 86401: must be greater than 0 and less than 86400",
            "spec.externalIPs[0]: Invalid value: \"127.0.0.1\": may not be in the loopback range (127.0.0.0/8, ::1/128)",
        ],
    );
}

#[test]
fn ports_have_names_and_stand_once() {
    check(
        &json!({"ports": [{"port": 80, "nodePort": 30000}, {"port": 80, "name": "a"}, {"port": 0, "name": "a"}]}),
        &[
            "spec.ports[0].name: Required value",
            "spec.ports[2].name: Duplicate value: \"a\"",
            "spec.ports[2].port: Invalid value: 0: must be between 1 and 65535, inclusive",
            "spec.ports[2].targetPort: Invalid value: 0: must be between 1 and 65535, inclusive",
            "spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'",
            "spec.ports[1]: Duplicate value: {\"AppProtocol\":null,\"Name\":\"\",\"NodePort\":0,\"Port\":80,\"Protocol\":\"TCP\",\"TargetPort\":0}",
        ],
    );
    let same =
        json!([{"port": 80, "name": "a", "nodePort": 30000}, {"port": 81, "name": "b", "nodePort": 30000}]);
    check(&json!({"type": "NodePort", "ports": same}), &["spec.ports[1].nodePort: Duplicate value: 30000"]);
}

#[test]
fn addresses_and_families_fit() {
    let port = json!([{"port": 80}]);
    check(
        &json!({"ports": port, "clusterIP": "x"}),
        &[
            "spec.clusterIPs[0]: Invalid value: \"x\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
        ],
    );
    check(
        &json!({"ports": port, "clusterIPs": ["10.0.0.1"]}),
        &["spec.clusterIPs: Invalid value: [\"10.0.0.1\"]: must be empty when `clusterIP` is not specified"],
    );
    check(
        &json!({"ports": port, "clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1", "10.0.0.2"], "ipFamilies": ["IPv6"]}),
        &[
            "spec.clusterIPs: Invalid value: [\"10.0.0.1\",\"10.0.0.2\"]: may specify no more than one IP for each IP family",
            "spec.clusterIPs[0]: Invalid value: \"10.0.0.1\": expected an IPv6 value as indicated by `ipFamilies[0]`",
        ],
    );
    check(
        &json!({"ports": port, "ipFamilies": ["IPv4", "IPv4", "x"], "ipFamilyPolicy": "y"}),
        &[
            "spec.ipFamilies[1]: Duplicate value: \"IPv4\"",
            "spec.ipFamilies[2]: Unsupported value: \"x\": supported values: \"IPv4\", \"IPv6\"",
            "spec.ipFamilyPolicy: Unsupported value: \"y\": supported values: \"PreferDualStack\", \"RequireDualStack\", \"SingleStack\"",
        ],
    );
}

/// What an update that says `spec` is stored as, and what is wrong with it.
fn updated(old: &Value, spec: &Value) -> (Value, Vec<String>) {
    let mut service = json!({"spec": spec});
    Services.prepare_update(&mut service, old);
    let faults = read(&Services.validate_update(&service, old));
    (service, faults)
}

#[test]
fn an_address_stays_once_it_is_set() {
    let port = json!([{"port": 80, "protocol": "TCP"}]);
    let old = created(&json!({"ports": port, "clusterIP": "10.0.0.1"}));
    let (kept, faults) = updated(&old, &json!({"ports": port}));
    assert_eq!((&kept["spec"], faults), (&old["spec"], vec![]));
    let (_, faults) = updated(&old, &json!({"ports": port, "clusterIP": "10.0.0.2"}));
    assert_eq!(faults, ["spec.clusterIPs[0]: Invalid value: [\"10.0.0.2\"]: may not change once set"]);
    let (_, faults) =
        updated(&created(&json!({"ports": port})), &json!({"ports": port, "clusterIP": "10.0.0.2"}));
    assert!(faults.is_empty(), "{faults:?}");
}

#[test]
fn what_only_the_old_type_had_goes_with_it() {
    let port = json!([{"port": 80, "protocol": "TCP", "targetPort": 80, "nodePort": 30000}]);
    let old = created(&json!({"type": "LoadBalancer", "ports": port, "clusterIP": "10.0.0.1"}));
    let mut spec = old["spec"].clone();
    spec["type"] = "ClusterIP".into();
    let (cluster, faults) = updated(&old, &spec);
    assert_eq!(faults, Vec::<String>::new());
    for gone in
        ["/spec/allocateLoadBalancerNodePorts", "/spec/externalTrafficPolicy", "/spec/ports/0/nodePort"]
    {
        assert!(cluster.pointer(gone).is_none(), "{gone}");
    }
    let mut spec = old["spec"].clone();
    spec["type"] = "ExternalName".into();
    spec["externalName"] = "a.b".into();
    let (outside, faults) = updated(&old, &spec);
    assert_eq!(faults, Vec::<String>::new());
    assert!(outside["spec"].get("clusterIP").is_none() && outside["spec"].get("ipFamilies").is_none());
}

#[test]
fn a_node_port_that_is_left_out_stays() {
    let old = created(&json!({"type": "NodePort", "ports": [{"port": 80, "nodePort": 30000}]}));
    let (kept, faults) =
        updated(&old, &json!({"type": "NodePort", "ports": [{"port": 80, "protocol": "TCP"}]}));
    assert_eq!((&kept["spec"]["ports"][0]["nodePort"], faults), (&json!(30000), vec![]));
}

#[test]
fn the_class_of_a_load_balancer_stays() {
    let port = json!([{"port": 80, "protocol": "TCP"}]);
    let old = created(&json!({"type": "LoadBalancer", "ports": port, "loadBalancerClass": "a/b"}));
    let (_, faults) = updated(&old, &json!({"type": "LoadBalancer", "ports": port}));
    assert_eq!(faults, ["spec.loadBalancerClass: Invalid value: null: may not change once set"]);
}
