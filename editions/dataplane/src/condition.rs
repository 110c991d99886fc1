//! What is known of a DataPlaneService: its `Available` condition, from the claim on its group-version and its plugin.

use std::collections::{BTreeMap, BTreeSet};

use detectviz_api::GroupVersion;
use detectviz_api::condition::Condition;

use crate::plugin::{Manifest, Missing, State};
use crate::service::Service;

const AVAILABLE: &str = "Available";

/// Of each service that may not answer for its group-version: who does. The rest may.
#[derive(Debug, Default)]
pub(crate) struct Claims(BTreeMap<String, String>);

impl Claims {
    /// Settles who answers for what: group-versions in `local` are this server's, and others go to one service each.
    pub(crate) fn settle(services: &[Service], local: &BTreeSet<GroupVersion>) -> Self {
        // Who answers no queries would get nothing by a group-version, and takes it from nobody.
        let claims = |service: &&Service| service.has_query() || local.contains(&service.group_version);
        let mut order: Vec<&Service> = services.iter().filter(claims).collect();
        order.sort_by_key(|service| service.claim_order());
        let (mut owners, mut refused) = (BTreeMap::new(), BTreeMap::new());
        for service in order {
            let gv = &service.group_version;
            if local.contains(gv) {
                refused.insert(service.name.clone(), "this server itself".to_owned());
            } else if let Some(owner) = owners.insert(gv, service.name.as_str()) {
                owners.insert(gv, owner);
                refused.insert(service.name.clone(), format!("DataPlaneService {owner:?}"));
            }
        }
        Self(refused)
    }

    /// Who has the group-version of `service`, if it is not the service itself.
    pub(crate) fn taken_by(&self, service: &Service) -> Option<&str> {
        self.0.get(&service.name).map(String::as_str)
    }
}

/// The condition of a service whose group-version belongs to `owner`.
pub(crate) fn taken(service: &Service, owner: &str) -> Condition {
    let message = format!(
        "{} is served by {owner}: give spec.group and spec.version another value",
        service.group_version
    );
    unavailable("GroupVersionTaken", message)
}

/// The condition of a service without a plugin.
pub(crate) fn missing(missing: Missing) -> Condition {
    match missing {
        Missing::Folder(message) => unavailable("NoPluginDir", message),
        Missing::Plugin(message) => unavailable("PluginNotFound", message),
    }
}

/// Whether the plugin is what the service asks for; decides over its condition and over its answers.
///
/// # Errors
/// The service's condition: what differs, and what to do.
pub(crate) fn fits(service: &Service, manifest: &Manifest) -> Result<(), Condition> {
    let (id, kind, asked) = (&manifest.id, &manifest.kind, &service.plugin_type);
    if asked == kind {
        return Ok(());
    }
    let message = format!("plugin {id:?} is of type {kind}, not {asked}: set spec.pluginType to {kind}");
    Err(unavailable("PluginNotFound", message))
}

/// The condition of a service with a plugin.
pub(crate) fn with_plugin(service: &Service, manifest: &Manifest, state: &State) -> Condition {
    if let Err(condition) = fits(service, manifest) {
        return condition;
    }
    let id = &manifest.id;
    let not_running = |message: String| unavailable("PluginNotRunning", message);
    match state {
        State::Running(_) => running(service, id),
        State::Starting => not_running(format!("plugin {id:?} is being started: wait")),
        State::Stopped => not_running(format!("plugin {id:?} was stopped with the server")),
        State::Failed(why) => not_running(format!(
            "plugin {id:?} does not run: {why}; it is tried again, and the log has its output"
        )),
    }
}

/// A service type that nothing serves is said, and never passed over.
fn running(service: &Service, id: &str) -> Condition {
    let unserved = service.unserved().join(", ");
    match (service.has_query(), unserved.as_str()) {
        (true, "") => Condition::new(AVAILABLE, true, "Passed", format!("plugin {id:?} runs")),
        (true, types) => {
            Condition::new(AVAILABLE, true, "Passed", format!("plugin {id:?} runs; not served yet: {types}"))
        }
        (false, "") => unavailable("NothingServed", "spec.services is empty: add {type: query}".to_owned()),
        (false, types) => unavailable(
            "NothingServed",
            format!("not served yet: {types}; add {{type: query}} to spec.services"),
        ),
    }
}

fn unavailable(reason: &str, message: String) -> Condition {
    Condition::new(AVAILABLE, false, reason, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(name: &str, gv: &str, types: &[&str]) -> Service {
        Service {
            name: name.to_owned(),
            plugin_id: "p".to_owned(),
            plugin_type: "datasource".to_owned(),
            group_version: gv.parse().unwrap(),
            types: types.iter().map(|kind| (*kind).to_owned()).collect(),
        }
    }

    fn manifest() -> Manifest {
        Manifest { id: "p".into(), kind: "datasource".into(), executable: "x".into(), version: String::new() }
    }

    #[test]
    fn the_conventional_name_wins_a_group_version_and_local_ones_are_never_given() {
        let services = [
            service("a", "p.io/v1", &["query"]),
            service("v1.p.io", "p.io/v1", &["query"]),
            service("v1.l.io", "l.io/v1", &[]),
        ];
        let claims = Claims::settle(&services, &BTreeSet::from(["l.io/v1".parse().unwrap()]));
        let taken: Vec<_> = services.iter().map(|service| claims.taken_by(service)).collect();
        assert_eq!(taken, [Some("DataPlaneService \"v1.p.io\""), None, Some("this server itself")]);
    }

    #[test]
    fn a_service_that_answers_no_queries_takes_no_group_version() {
        let services = [service("a", "p.io/v1", &["query"]), service("v1.p.io", "p.io/v1", &["route"])];
        let claims = Claims::settle(&services, &BTreeSet::new());
        assert!(services.iter().all(|service| claims.taken_by(service).is_none()));
    }

    #[test]
    fn each_obstacle_has_its_reason_and_says_what_to_do() {
        let queries = service("v1.p.io", "p.io/v1", &["query"]);
        let other = Manifest { kind: "app".into(), ..manifest() };
        let failed = State::Failed("no such file".into());
        for (condition, reason, words) in [
            (taken(&queries, "x"), "GroupVersionTaken", "p.io/v1 is served by x: give"),
            (missing(Missing::Folder("set plugin_dir".into())), "NoPluginDir", "set plugin_dir"),
            (missing(Missing::Plugin("put".into())), "PluginNotFound", "put"),
            (with_plugin(&queries, &other, &State::Starting), "PluginNotFound", "spec.pluginType to app"),
            (with_plugin(&queries, &manifest(), &State::Starting), "PluginNotRunning", "being started"),
            (with_plugin(&queries, &manifest(), &failed), "PluginNotRunning", "no such file"),
            (running(&service("a", "p.io/v1", &[]), "p"), "NothingServed", "{type: query}"),
            (running(&service("a", "p.io/v1", &["route"]), "p"), "NothingServed", "not served yet: route"),
        ] {
            assert_eq!((condition.status, condition.reason.as_str()), (Some(false), reason));
            assert!(condition.message.contains(words), "{}", condition.message);
        }
        let passed = running(&service("a", "p.io/v1", &["stream", "query"]), "p");
        assert_eq!((passed.status, passed.reason.as_str()), (Some(true), "Passed"));
        assert!(passed.message.ends_with("not served yet: stream"), "{}", passed.message);
    }
}
