//! Where a runner does not run, its objects say so: a user who asks for something that this server does not do reads
//! why, and what to do instead, on the object itself.

use detectviz_api::condition::Condition;
use detectviz_core::edition::Obstacle;
use detectviz_core::informer::{Informer, Objects};
use detectviz_core::{Loopback, RunContext};
use serde_json::Value;
use std::sync::Arc;

use super::retry::Pace;
use super::write::edit;
use super::{Obstacles, apiservices};

/// The objects that wait for one runner.
struct Served {
    collection: &'static str,
    /// What the runner would do, as it reads behind "to".
    purpose: &'static str,
    /// The reasons for "not turned on" and "not in this edition".
    reasons: (&'static str, &'static str),
    /// Whether the object is for the runner.
    is_remote: fn(&Value) -> bool,
}

const APISERVICES: Served = Served {
    collection: apiservices::COLLECTION,
    purpose: "serve APIServices that name a service",
    reasons: ("AggregatorDisabled", "AggregatorNotInEdition"),
    is_remote: |object| object["spec"]["service"].is_object(),
};

const DATAPLANE_SERVICES: Served = Served {
    collection: "/apis/aggregation.grafana.app/v0alpha1/dataplaneservices",
    purpose: "serve DataPlaneServices",
    reasons: ("DataplaneDisabled", "DataplaneNotInEdition"),
    is_remote: |_| true,
};

/// Sets the condition of the objects of each runner that does not run.
pub(super) fn start(context: &RunContext, loopback: &Arc<dyn Loopback>, obstacles: Obstacles) {
    for (served, obstacle) in
        [(&APISERVICES, obstacles.aggregator), (&DATAPLANE_SERVICES, obstacles.dataplane)]
    {
        if let Some(obstacle) = obstacle {
            follow(context, loopback, served, condition(served, obstacle));
        }
    }
}

fn condition(served: &Served, obstacle: Obstacle) -> Condition {
    let (disabled, not_in_edition) = served.reasons;
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
        start(&context, &loopback, Obstacles { aggregator: Some(OFF), dataplane: Some(MISSING) });
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
        assert_eq!(find(&local, "Available"), None);
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
