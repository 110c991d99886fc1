//! Keeps the objects of the remote services file: at the start, when the file changes, and when somebody changes or
//! deletes what was made of it.

use detectviz_api::{Reason, Status, meta};
use detectviz_core::informer::Informer;
use detectviz_core::{Loopback, RunContext};
use serde_json::Value;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Interval, MissedTickBehavior};

use super::RemoteServices;
use super::objects::{MADE, NAMESPACE, Step, Wanted, steps};
use crate::escape;
use crate::stamp::LOOK_EVERY;

const API_SERVICES: &str = "/apis/apiregistration.k8s.io/v1/apiservices";

/// How long to wait after a pass in which something was refused.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Does the work.
pub(super) struct Keeper {
    files: RemoteServices,
    context: RunContext,
    loopback: Arc<dyn Loopback>,
    /// What was said already, so that it is said once and not each second.
    told: HashSet<String>,
    /// When the files are looked at, however much else there is to do.
    looks: Interval,
}

/// One kind of object: where it is, and what is made of it.
struct Collection {
    path: String,
    made: Vec<Value>,
}

impl Keeper {
    pub(super) fn new(files: RemoteServices, context: RunContext, loopback: Arc<dyn Loopback>) -> Self {
        let mut looks = tokio::time::interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { files, context, loopback, told: HashSet::new(), looks }
    }

    /// Works until it is dropped. Without a file there is one pass, which takes back what an earlier file made.
    pub(super) async fn run(mut self) {
        let mut views = self.files.is_configured().then(|| self.follow());
        loop {
            self.context.leadership().gained().await;
            // Another server may have led for long.
            self.files.refresh().await;
            let settled = self.pass().await;
            match &mut views {
                None if settled => return,
                None => tokio::time::sleep(RETRY_AFTER).await,
                Some(views) => self.wait(settled, views).await,
            }
        }
    }

    fn follow(&self) -> [Informer; 2] {
        let paths = [API_SERVICES.to_owned(), external_names()];
        paths.map(|path| Informer::start(&self.context, Arc::clone(&self.loopback), &marked(&path)))
    }

    /// Waits until there may be something to do.
    async fn wait(&mut self, settled: bool, [services, names]: &mut [Informer; 2]) {
        let refreshed = async {
            loop {
                self.looks.tick().await;
                if self.files.refresh().await {
                    return;
                }
            }
        };
        tokio::select! {
            biased;
            () = refreshed => self.told.clear(),
            () = services.changed() => {}
            () = names.changed() => {}
            () = tokio::time::sleep(RETRY_AFTER), if !settled => {}
        }
    }

    /// Brings all objects in line with the file; returns whether everything was taken. A name comes before the
    /// APIService that needs it, and goes after it.
    async fn pass(&mut self) -> bool {
        let (names, services) = (external_names(), API_SERVICES.to_owned());
        let wanted = self.files.wanted.clone();
        let (Some(names), Some(services)) = (self.look(names).await, self.look(services).await) else {
            return false;
        };
        let (make, drop): (Vec<_>, Vec<_>) = plan(&names, &wanted.external_names);
        let mut settled = self.all(&names.path, make).await;
        settled &= self.all(&services.path, steps(&wanted.api_services, &services.made)).await;
        settled & self.all(&names.path, drop).await
    }

    async fn look(&self, path: String) -> Option<Collection> {
        match self.loopback.get(&marked(&path)).await {
            Ok(list) => {
                Some(Collection { path, made: list["items"].as_array().cloned().unwrap_or_default() })
            }
            Err(refusal) => {
                tracing::warn!(path, error = %refusal, "list what was made of the remote services file");
                None
            }
        }
    }

    async fn all(&mut self, path: &str, steps: Vec<Step>) -> bool {
        let mut settled = true;
        for step in steps {
            if !self.context.leadership().is_leading() {
                return false;
            }
            if let Err((name, refusal)) = self.step(path, step).await {
                // Somebody wrote in between: what is there now is looked at next.
                let is_news = !refusal.is(Reason::Conflict);
                if is_news && self.told.insert(format!("{path}/{name}: {refusal}")) {
                    tracing::warn!(path, name, error = %refusal, "keep an object of the remote services file");
                }
                settled = false;
            }
        }
        settled
    }

    async fn step(&mut self, path: &str, step: Step) -> Result<(), (String, Status)> {
        let at = |name: &str| format!("{path}/{}", escape::path_segment(name));
        let (name, outcome) = match step {
            Step::Create(object) => {
                let name = meta::name(&object).to_owned();
                let outcome = self.loopback.create(path, &object).await;
                if outcome.as_ref().is_err_and(|refusal| refusal.is(Reason::AlreadyExists)) {
                    self.leave_alone(path, &name);
                    return Ok(());
                }
                (name, outcome)
            }
            Step::Replace(object) => {
                let name = meta::name(&object).to_owned();
                let outcome = self.loopback.update(&at(&name), &object).await;
                (name, outcome)
            }
            Step::Delete(name) => {
                let outcome = self.loopback.delete(&at(&name)).await;
                (name, outcome)
            }
        };
        match outcome {
            Err(refusal) if !refusal.is(Reason::NotFound) => Err((name, refusal)),
            _ => Ok(()),
        }
    }

    /// Says once that an object of that name is somebody else's.
    fn leave_alone(&mut self, path: &str, name: &str) {
        if self.told.insert(format!("{path}/{name}")) {
            tracing::warn!(path, name, "leave alone what the remote services file did not make");
        }
    }
}

/// What is to be done with names before, and after APIServices.
fn plan(names: &Collection, wanted: &Wanted) -> (Vec<Step>, Vec<Step>) {
    steps(wanted, &names.made).into_iter().partition(|step| !matches!(step, Step::Delete(_)))
}

fn external_names() -> String {
    format!("/apis/service.grafana.app/v0alpha1/namespaces/{NAMESPACE}/externalnames")
}

/// Those of the collection at `path` that were made of the file.
fn marked(path: &str) -> String {
    format!("{path}?labelSelector={}%3D{}", MADE.0.replace('/', "%2F"), MADE.1)
}
