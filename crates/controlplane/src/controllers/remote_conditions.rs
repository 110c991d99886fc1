//! Where a runner does not run, its objects say so: a user who asks for something that this server does not do reads
//! why, and what to do instead, on the object itself.

use detectviz_api::condition::Condition;
use detectviz_core::edition::Obstacle;
use detectviz_core::informer::{Informer, Objects};
use detectviz_core::{Loopback, RunContext};
use serde_json::Value;
use std::sync::Arc;
use tokio::sync::watch;

use super::retry::Pace;
use super::write::edit;
use super::{Obstacles, apiservices};

/// The objects that wait for one runner.
struct Served {
    collection: &'static str,
    /// What the runner would do, as it reads behind "to".
    purpose: &'static str,
    /// The reasons for "not turned on", "not in this edition" and "turned on in vain".
    reasons: (&'static str, &'static str, &'static str),
    /// What keeps the runner from running.
    obstacle: fn(&Obstacles) -> Option<Obstacle>,
    /// Whether the object is for the runner.
    is_remote: fn(&Value) -> bool,
}

const APISERVICES: Served = Served {
    collection: apiservices::COLLECTION,
    purpose: "serve APIServices that name a service",
    reasons: ("AggregatorDisabled", "AggregatorNotInEdition", "AggregatorNotStarted"),
    obstacle: |obstacles| obstacles.aggregator,
    is_remote: |object| object["spec"]["service"].is_object(),
};

const DATAPLANE_SERVICES: Served = Served {
    collection: "/apis/aggregation.grafana.app/v0alpha1/dataplaneservices",
    purpose: "serve DataPlaneServices",
    reasons: ("DataplaneDisabled", "DataplaneNotInEdition", "DataplaneNotStarted"),
    obstacle: |obstacles| obstacles.dataplane,
    is_remote: |_| true,
};

/// Sets the condition of the objects of each runner that does not run, for as long as it does not.
pub(super) fn start(
    context: &RunContext,
    loopback: &Arc<dyn Loopback>,
    obstacles: &watch::Receiver<Obstacles>,
) {
    for served in [&APISERVICES, &DATAPLANE_SERVICES] {
        let (scope, loopback, mut obstacles) = (context.clone(), Arc::clone(loopback), obstacles.clone());
        context.spawn(async move {
            loop {
                let obstacle = (served.obstacle)(&obstacles.borrow_and_update());
                // Ends with the obstacle: where a runner runs, its objects are not followed here.
                let while_so = scope.child();
                if let Some(obstacle) = obstacle {
                    follow(&while_so, &loopback, served, condition(served, obstacle));
                }
                let other = |obstacles: &Obstacles| (served.obstacle)(obstacles) != obstacle;
                if obstacles.wait_for(other).await.is_err() {
                    return scope.cancelled().await;
                }
                while_so.cancel();
            }
        });
    }
}

fn condition(served: &Served, obstacle: Obstacle) -> Condition {
    let (disabled, not_in_edition, not_started) = served.reasons;
    let (reason, remedy) = match obstacle {
        Obstacle::ToggleOff { toggle } => (
            disabled,
            format!(
                "turn it on with --toggle {toggle}=true, with {toggle} = true under [feature_toggles] in the \
                 configuration file, or with DETECTVIZ_FEATURE_TOGGLES__{toggle}=true"
            ),
        ),
        Obstacle::NotInEdition { .. } => (not_in_edition, "use the enterprise edition".to_owned()),
        Obstacle::NoApiGroup => (disabled, "install an API group".to_owned()),
        Obstacle::NotStarted { .. } => {
            (not_started, "remove the cause and send the server SIGHUP".to_owned())
        }
    };
    let message = format!("{obstacle}; to {}, {remedy}", served.purpose);
    Condition::new("Available", false, reason, message)
}

fn follow(context: &RunContext, loopback: &Arc<dyn Loopback>, served: &'static Served, condition: Condition) {
    let mut objects = Informer::start(context, Arc::clone(loopback), served.collection);
    let loopback = Arc::clone(loopback);
    context.spawn(async move {
        objects.synced().await;
        let mut pace = Pace::new();
        loop {
            let settled = pass(&*loopback, served, &condition, &objects.objects()).await;
            pace.next(settled, objects.changed()).await;
        }
    });
}

/// Sets the condition where it is not set; returns whether all writes were taken.
async fn pass(loopback: &dyn Loopback, served: &Served, condition: &Condition, objects: &Objects) -> bool {
    let mut settled = true;
    for (name, object) in objects.iter().filter(|(_, object)| (served.is_remote)(object)) {
        let path = format!("{}/{name}", served.collection);
        let change = |object: &mut Value| (served.is_remote)(object) && condition.apply(object);
        if let Err(refusal) = edit(loopback, &path, "/status", object, change).await {
            tracing::warn!(object = path, error = %refusal, "set condition again");
            settled = false;
        }
    }
    settled
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::Fake;
    use detectviz_api::condition::find;
    use detectviz_core::health::Checks;
    use serde_json::json;

    const OFF: Obstacle = Obstacle::ToggleOff { toggle: "kubernetesAggregator" };
    const MISSING: Obstacle = Obstacle::NotInEdition { edition: "oss", name: "dataplane" };

    #[test]
    fn the_message_names_what_is_missing_and_what_to_do() {
        let off = condition(&APISERVICES, OFF);
        assert_eq!((off.status, off.reason.as_str()), (Some(false), "AggregatorDisabled"));
        assert!(off.message.contains("--toggle kubernetesAggregator=true"), "{}", off.message);
        let missing = condition(&DATAPLANE_SERVICES, MISSING);
        assert_eq!(missing.reason, "DataplaneNotInEdition");
        assert_eq!(
            missing.message,
            "the oss edition has no dataplane runner; to serve DataPlaneServices, use the enterprise edition"
        );
    }

    fn remote(name: &str) -> Value {
        json!({"metadata": {"name": name}, "spec": {"group": "a.b", "version": "v1",
            "service": {"namespace": "x", "name": "y"}}})
    }

    #[tokio::test]
    async fn remote_objects_say_why_nothing_serves_them() {
        let fake = Fake::new();
        let loopback = fake.loopback();
        let context = RunContext::new(Arc::new(Checks::default()));
        let obstacles = watch::Sender::new(Obstacles { aggregator: Some(OFF), dataplane: Some(MISSING) });
        start(&context, &loopback, &obstacles.subscribe());
        loopback.create(APISERVICES.collection, &remote("v1.a.b")).await.unwrap();
        let local = json!({"metadata": {"name": "v1."}, "spec": {"version": "v1"}});
        loopback.create(APISERVICES.collection, &local).await.unwrap();
        let plugin = json!({"metadata": {"name": "v1.c"}, "spec": {"group": "c", "version": "v1"}});
        loopback.create(DATAPLANE_SERVICES.collection, &plugin).await.unwrap();
        for (collection, name, reason) in [
            (APISERVICES.collection, "v1.a.b", "AggregatorDisabled"),
            (DATAPLANE_SERVICES.collection, "v1.c", "DataplaneNotInEdition"),
        ] {
            let path = format!("{collection}/{name}");
            let says = |fake: &Fake| {
                let object = fake.object(&path).unwrap_or_default();
                find(&object, "Available").is_some_and(|(status, why, _)| (status, why) == ("False", reason))
            };
            fake.until(says).await;
        }
        let local = fake.object(&format!("{}/v1.", APISERVICES.collection)).unwrap();
        assert_eq!(find(&local, "Available").map(|(_, reason, _)| reason), Some("Local"));
        // The runner is switched on, says something, and is switched off.
        obstacles.send_modify(|obstacles| obstacles.aggregator = None);
        let path = format!("{}/v1.a.b", APISERVICES.collection);
        let mut object = fake.object(&path).unwrap();
        assert!(Condition::new("Available", true, "Passed", "x").apply(&mut object));
        loopback.update(&format!("{path}/status"), &object).await.unwrap();
        obstacles.send_modify(|obstacles| obstacles.aggregator = Some(OFF));
        let is_disabled = |fake: &Fake| {
            let object = fake.object(&path).unwrap_or_default();
            find(&object, "Available").is_some_and(|(_, why, _)| why == "AggregatorDisabled")
        };
        fake.until(is_disabled).await;
        context.cancel();
        context.drained().await;
    }

    #[tokio::test]
    async fn a_condition_that_is_set_is_not_written_again() {
        let fake = Fake::new();
        fake.loopback().create(APISERVICES.collection, &remote("v1.a.b")).await.unwrap();
        let condition = condition(&APISERVICES, OFF);
        let stale = fake.view(APISERVICES.collection);
        assert!(pass(&*fake.loopback(), &APISERVICES, &condition, &stale).await);
        let written = fake.revision();
        // The old view makes a conflict; what is read then is in order.
        assert!(pass(&*fake.loopback(), &APISERVICES, &condition, &stale).await);
        assert_eq!(fake.revision(), written);
    }
}
