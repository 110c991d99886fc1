//! Events as `kube`'s recorder makes them: the first by a create, those of the same cause by a patch of its series.

use k8s_openapi::api::core::v1::{Event as CoreEvent, ObjectReference};
use k8s_openapi::api::events::v1::Event as NewEvent;
use kube::Api;
use kube::api::ListParams;
use kube::runtime::events::{Event, EventType, Recorder};

use crate::support::with_client;

#[test]
fn a_recorders_events_are_those_of_both_groups() {
    with_client(|client| async move {
        let about = ObjectReference {
            kind: Some("ConfigMap".to_owned()),
            namespace: Some("default".to_owned()),
            name: Some("m".to_owned()),
            ..ObjectReference::default()
        };
        let event = Event {
            type_: EventType::Warning,
            reason: "Failed".to_owned(),
            note: Some("it failed".to_owned()),
            action: "Trying".to_owned(),
            secondary: None,
        };
        let recorder = Recorder::new(client.clone(), "example.com/recorder".into());
        for _ in 0..3 {
            recorder.publish(&event, &about).await.unwrap();
        }
        let fields =
            ListParams::default().fields("regarding.name=m,reportingController=example.com/recorder");
        let new = Api::<NewEvent>::default_namespaced(client.clone()).list(&fields).await.unwrap();
        assert_eq!(new.items.len(), 1, "{new:?}");
        let new = &new.items[0];
        assert_eq!(new.series.as_ref().map(|series| series.count), Some(3));
        let fields = ListParams::default().fields("involvedObject.name=m,source=example.com/recorder");
        let core = Api::<CoreEvent>::default_namespaced(client).list(&fields).await.unwrap();
        let core = &core.items[0];
        assert_eq!((&core.message, &core.event_time), (&new.note, &new.event_time));
        assert_eq!((core.involved_object.clone(), &core.metadata), (about, &new.metadata));
        let last = core.series.as_ref().and_then(|series| series.last_observed_time.clone());
        assert_eq!(last, new.series.as_ref().map(|series| series.last_observed_time.clone()));
    });
}
