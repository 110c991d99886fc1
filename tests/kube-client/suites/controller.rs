//! A controller as operators write it: it applies what it wants, cleans up behind a finalizer, and one of two processes
//! leads at a time.

use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use detectviz_tests::Server;
use futures_util::StreamExt as _;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Service};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::runtime::controller::Action;
use kube::runtime::finalizer::{Event as Finalizing, finalizer};
use kube::runtime::wait::{await_condition, conditions};
use kube::runtime::{Controller, watcher};
use kube::{Api, Client, ResourceExt as _};
use serde_json::{Value, json};

use crate::support::{client, config_map, runtime, with_client};

const FINALIZER: &str = "kube.test/service";
const MANAGER: &str = "kube-test";

#[derive(Debug)]
struct Failed(String);

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failed {}

fn failed(fault: impl std::fmt::Display) -> Failed {
    Failed(fault.to_string())
}

fn wanted(map: &ConfigMap) -> Value {
    let port = map.data.as_ref().and_then(|data| data.get("value")).and_then(|port| port.parse::<u16>().ok());
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": map.name_any()},
        "spec": {"selector": {"app": map.name_any()}, "ports": [{"port": port.unwrap_or(80)}]}})
}

/// Applies a service for each config map, and deletes it with the map.
async fn reconcile(map: Arc<ConfigMap>, client: Arc<Client>) -> Result<Action, Failed> {
    let maps: Api<ConfigMap> = Api::default_namespaced(Client::clone(&client));
    let services: Api<Service> = Api::default_namespaced(Client::clone(&client));
    let done = finalizer(&maps, FINALIZER, map, |event| async {
        match event {
            Finalizing::Apply(map) => {
                let params = PatchParams::apply(MANAGER).force();
                services
                    .patch(&map.name_any(), &params, &Patch::Apply(wanted(&map)))
                    .await
                    .map_err(failed)?;
            }
            Finalizing::Cleanup(map) => {
                services.delete(&map.name_any(), &DeleteParams::default()).await.map_err(failed)?;
            }
        }
        Ok::<_, Failed>(Action::await_change())
    });
    done.await.map_err(failed)
}

#[test]
fn a_controller_applies_and_cleans_up() {
    with_client(|client| async move {
        let maps: Api<ConfigMap> = Api::default_namespaced(client.clone());
        let services: Api<Service> = Api::default_namespaced(client.clone());
        let retry =
            |_: Arc<ConfigMap>, _: &Failed, _: Arc<Client>| Action::requeue(Duration::from_millis(100));
        let running = Controller::new(maps.clone(), watcher::Config::default())
            .run(reconcile, retry, Arc::new(client.clone()))
            .for_each(|_| std::future::ready(()));
        let running = tokio::spawn(running);
        maps.create(&PostParams::default(), &config_map("web", "8080")).await.unwrap();
        let port = |port: i32| {
            move |service: Option<&Service>| {
                let spec = service.and_then(|service| service.spec.as_ref());
                spec.and_then(|spec| spec.ports.as_ref())
                    .is_some_and(|ports| ports.len() == 1 && ports[0].port == port)
            }
        };
        await_condition(services.clone(), "web", port(8080)).await.unwrap();
        let change = Patch::Merge(json!({"data": {"value": "9090"}}));
        maps.patch("web", &PatchParams::default(), &change).await.unwrap();
        // The port that is no longer applied goes: it was nobody else's.
        await_condition(services.clone(), "web", port(9090)).await.unwrap();
        let owners = services.get("web").await.unwrap().metadata.managed_fields.unwrap_or_default();
        assert!(owners.iter().any(|entry| entry.manager.as_deref() == Some(MANAGER)), "{owners:?}");
        let uid = maps.get("web").await.unwrap().uid().unwrap();
        maps.delete("web", &DeleteParams::default()).await.unwrap();
        await_condition(maps, "web", conditions::is_deleted(&uid)).await.unwrap();
        assert_eq!(services.get_opt("web").await.unwrap(), None);
        running.abort();
    });
}

/// Says to this binary that it is a candidate, by which name, and where the server is.
const CANDIDATE: &str = "KUBE_TEST_CANDIDATE";
/// How long a holder that falls silent keeps the lease.
const SECONDS: i32 = 2;

/// Runs as a candidate when it is told so, for as long as the process lives; as a test it has nothing to do.
#[test]
fn candidate() {
    let Ok(told) = std::env::var(CANDIDATE) else { return };
    let (name, kubeconfig) = told.split_once(' ').expect("a name and a path");
    runtime().block_on(async {
        let kubeconfig = kube::config::Kubeconfig::read_from(kubeconfig).expect("read the kubeconfig");
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &Default::default()).await;
        let leases: Api<Lease> = Api::default_namespaced(Client::try_from(config.unwrap()).unwrap());
        let mut seen: Option<(String, std::time::Instant)> = None;
        loop {
            campaign(&leases, name, &mut seen).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
}

/// Renews the lease, or takes one whose holder has been silent by this process's own clock.
async fn campaign(leases: &Api<Lease>, name: &str, seen: &mut Option<(String, std::time::Instant)>) {
    let Ok(entry) = leases.entry("leader").await else { return };
    let mut entry = entry.or_insert(Lease::default);
    entry.get_mut().metadata.name = Some("leader".to_owned());
    let lease = entry.get_mut();
    let version = lease.metadata.resource_version.clone().unwrap_or_default();
    let spec = lease.spec.get_or_insert_default();
    let is_mine = spec.holder_identity.as_deref() == Some(name);
    if !is_mine && spec.holder_identity.is_some() {
        let since = match seen {
            Some((known, since)) if *known == version => since.elapsed(),
            _ => {
                *seen = Some((version, std::time::Instant::now()));
                return;
            }
        };
        if since < Duration::from_secs(u64::from(SECONDS.unsigned_abs())) {
            return;
        }
    }
    if !is_mine {
        spec.lease_transitions = Some(spec.lease_transitions.map_or(0, |count| count + 1));
        spec.acquire_time = Some(MicroTime(Timestamp::now()));
    }
    spec.holder_identity = Some(name.to_owned());
    spec.lease_duration_seconds = Some(SECONDS);
    spec.renew_time = Some(MicroTime(Timestamp::now()));
    // Whoever loses the race looks again.
    let _ = entry.commit(&PostParams::default()).await;
}

/// A candidate in a process of its own, which ends with the test.
struct Candidate(Child);

impl Candidate {
    fn start(name: &str, server: &Server) -> Self {
        let told = format!("{name} {}", server.data_dir().join("admin.kubeconfig").display());
        let mut command = Command::new(std::env::current_exe().expect("know this binary"));
        command.args(["--exact", "controller::candidate"]).env(CANDIDATE, told);
        Self(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("start a candidate"))
    }

    fn kill(&mut self) {
        self.0.kill().expect("kill a candidate");
        self.0.wait().expect("wait for a candidate");
    }
}

impl Drop for Candidate {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn one_of_two_processes_leads_and_the_other_takes_over() {
    detectviz_tests::variants(|server: Server| {
        let mut candidates = ["one", "two"].map(|name| (name, Candidate::start(name, &server)));
        runtime().block_on(async {
            let leases: Api<Lease> = Api::default_namespaced(client(&server).await);
            let holder = |lease: Option<&Lease>| {
                lease.and_then(|lease| lease.spec.as_ref()).and_then(|spec| spec.holder_identity.clone())
            };
            // Whoever renews leads, which the other one sees; on a slow machine it need not be the first.
            let last = Mutex::new((None, None));
            let is_renewed = |lease: Option<&Lease>| {
                let now = (holder(lease), lease.and_then(|lease| lease.metadata.resource_version.clone()));
                let before = std::mem::replace(&mut *last.lock().unwrap(), now.clone());
                now.0.is_some() && now.0 == before.0 && now.1 != before.1
            };
            let renewed = await_condition(leases.clone(), "leader", is_renewed).await.unwrap();
            let first = holder(renewed.as_ref()).unwrap();
            let (_, leader) = candidates.iter_mut().find(|(name, _)| *name == first).unwrap();
            leader.kill();
            let other = |lease: Option<&Lease>| holder(lease).is_some_and(|holder| holder != first);
            let taken = await_condition(leases.clone(), "leader", other).await.unwrap().unwrap();
            assert!(taken.spec.unwrap().lease_transitions.is_some_and(|count| count > 0));
        });
    });
}
