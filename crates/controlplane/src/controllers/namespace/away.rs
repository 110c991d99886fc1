//! What a namespace that is to go waits for, of servers that do not answer: only for those that may have objects in it. A
//! server has none there if its collections were seen without any, or if it was away since before the namespace was made;
//! and nothing was sent to it through this server meanwhile. Where nothing is known, the namespace waits.

use detectviz_api::{GroupVersion, meta};
use serde_json::Value;

use super::Controller;
use super::empty::collections;
use crate::controllers::apiservices;
use crate::controllers::garbage::Holds;
use crate::controllers::served::Served;

impl Controller {
    /// Whether `collections`, all of `gv`, which another server serves, may have objects in `namespace`.
    pub(super) async fn may_hold(
        &self,
        gv: &GroupVersion,
        collections: &[Served],
        namespace: &Value,
    ) -> bool {
        self.knows_of(gv, collections, namespace)
            || (self.is_unknown(collections, namespace) && !self.was_away(gv, namespace).await)
    }

    /// Whether the server of `path`, which does not answer, is to be waited for.
    pub(super) async fn is_waited_for(&self, path: &str, namespace: &Value) -> bool {
        let resources = self.resources();
        let of_path = |gv: &&GroupVersion| {
            path.strip_prefix(&*gv.path()).is_some_and(|rest| !rest.starts_with(|c| c != '/'))
        };
        let Some(gv) = resources.remote().find(of_path) else { return true };
        let collections = collections(&resources).into_iter().filter(|served| served.group_version == *gv);
        self.may_hold(gv, &collections.collect::<Vec<_>>(), namespace).await
    }

    /// Whether objects were seen there, or sent there.
    pub(super) fn knows_of(&self, gv: &GroupVersion, collections: &[Served], namespace: &Value) -> bool {
        let name = meta::name(namespace);
        self.catalog.was_written(gv, name)
            || collections.iter().any(|served| self.ledger.holds(served, name) == Holds::Some)
    }

    /// Whether some of `collections` were never seen whole.
    pub(super) fn is_unknown(&self, collections: &[Served], namespace: &Value) -> bool {
        let is_unknown = |served| self.ledger.holds(served, meta::name(namespace)) == Holds::Unknown;
        collections.is_empty() || collections.iter().any(is_unknown)
    }

    /// Whether the server of `gv` was away for as long as there is the namespace: nothing can have come there through us.
    async fn was_away(&self, gv: &GroupVersion, namespace: &Value) -> bool {
        let path = format!("{}/{}", apiservices::COLLECTION, gv.api_service_name());
        let Ok(service) = self.get(&path).await else { return false };
        let conditions = service.pointer("/status/conditions").and_then(Value::as_array);
        let available = conditions.into_iter().flatten().find(|condition| condition["type"] == "Available");
        let Some(available) = available.filter(|available| available["status"] == "False") else {
            return false;
        };
        let since = available["lastTransitionTime"].as_str().unwrap_or_default();
        // Both are of this form, and whole seconds: what happened in the same one may have been in any order.
        !since.is_empty() && since < meta::field(namespace, "creationTimestamp")
    }
}
