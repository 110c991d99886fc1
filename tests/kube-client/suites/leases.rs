//! Leases as an elector uses them: made by one, seen by all, renewed only by who saw the last renewal.

use detectviz_tests::Server;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::Api;
use kube::api::{ObjectMeta, Patch, PatchParams, PostParams};
use serde_json::json;

use crate::support::{client, refusal, runtime, with_client};

fn lease(holder: &str, seconds: i32) -> Lease {
    let now = MicroTime("2026-01-02T03:04:05.678901Z".parse::<Timestamp>().expect("it is a time"));
    let spec = LeaseSpec {
        holder_identity: Some(holder.to_owned()),
        lease_duration_seconds: Some(seconds),
        acquire_time: Some(now.clone()),
        renew_time: Some(now),
        lease_transitions: Some(0),
        ..LeaseSpec::default()
    };
    Lease { metadata: ObjectMeta { name: Some("l".to_owned()), ..ObjectMeta::default() }, spec: Some(spec) }
}

#[test]
fn a_lease_is_kept_to_the_microsecond_and_taken_by_one() {
    with_client(|client| async move {
        let (api, post): (Api<Lease>, _) = (Api::default_namespaced(client), PostParams::default());
        let first = api.create(&post, &lease("one", 15)).await.unwrap();
        assert_eq!(first.spec, lease("one", 15).spec);
        let mut taken = lease("two", 15);
        taken.metadata.resource_version.clone_from(&first.metadata.resource_version);
        api.replace("l", &post, &taken).await.unwrap();
        assert_eq!(refusal(api.replace("l", &post, &first).await), (409, "Conflict".to_owned()));
        let held = api.get("l").await.unwrap();
        assert_eq!(held.spec.unwrap().holder_identity.as_deref(), Some("two"));
        assert_eq!(refusal(api.create(&post, &lease("x", 0)).await), (422, "Invalid".to_owned()));
        let patch = Patch::Merge(json!({"spec": {"holderIdentity": null}}));
        let released = api.patch("l", &PatchParams::default(), &patch).await.unwrap();
        assert_eq!(released.spec.unwrap().holder_identity, None);
    });
}

#[test]
fn kubectl_shows_who_holds_a_lease_and_waits_for_it() {
    detectviz_tests::variants(|server: Server| {
        runtime().block_on(async {
            let api: Api<Lease> = Api::default_namespaced(client(&server).await);
            api.create(&PostParams::default(), &lease("one", 15)).await.unwrap();
        });
        let table = server.kubectl("get lease l").ok();
        let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!((&rows[0][..], &rows[1][..2]), (&["NAME", "HOLDER", "AGE"][..], &["l", "one"][..]));
        server.kubectl("wait lease/l --for=jsonpath={.spec.holderIdentity}=one --timeout=60s").ok();
    });
}
