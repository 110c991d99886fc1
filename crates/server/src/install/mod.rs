//! Installing API groups: definitions become resources, resources become a link of the chain, and both are published.

mod discovery;
mod forms;

use anyhow::Context as _;
use detectviz_api::definition::Definition;
use detectviz_api::request_info::ROOT_CLUSTER;
use detectviz_api::{GroupVersion, GroupVersionResource, RequestInfo};
use detectviz_core::catalog::{GroupVersionEntry, OpenApi, Owner};
use detectviz_core::{ApiGroupBuilder, Catalog, Delegate, Handler};
use detectviz_schema::columns::Columns;
use detectviz_schema::openapi::{Published, group_version_document};
use detectviz_schema::{Compiled, Fragments};
use detectviz_storage::keys::resource_prefix;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::sync::Semaphore;

use crate::admission::AdmissionChain;
use crate::conversion::{BUDGET, Conversion, Derived};
use crate::metrics::WatchCounts;
use crate::resource::{Backend, Resource};
use crate::rest::Served;
use crate::strategy::Strategy;

/// The number of the next resource.
static NUMBER: AtomicU32 = AtomicU32::new(0);
/// The most lists of one resource that are read from the store's history at once.
const HISTORY_READS: usize = 16;

/// Makes resources of definitions.
pub struct Installer {
    /// Where objects are.
    pub backend: Backend,
    /// What may change or refuse a write.
    pub admission: AdmissionChain,
    /// Schemas that definitions share.
    pub fragments: Arc<Fragments>,
    /// The most bytes of a request body.
    pub max_body_bytes: usize,
}

/// The special rules of a resource, by group and plural.
pub type Strategies<'a> = &'a dyn Fn(&str, &str) -> Arc<dyn Strategy>;

/// The version priority of what is served locally, as its APIServices say it: the versions of a group stand in the order
/// of Kubernetes.
const VERSION_PRIORITY: i64 = 15;

impl Installer {
    /// Installs `groups`, and publishes them in `catalog`.
    ///
    /// # Errors
    /// Names the definition that cannot be served.
    pub fn install(
        &self,
        groups: &[ApiGroupBuilder],
        strategies: Strategies<'_>,
        catalog: &Catalog,
    ) -> anyhow::Result<Resources> {
        let derived = Arc::new(Derived::new(BUDGET));
        let mut resources = HashMap::new();
        for definition in groups.iter().flat_map(|group| &group.definitions) {
            let strategy = strategies(&definition.group, &definition.names.plural);
            for resource in self.compile(definition, groups, &strategy, &derived)? {
                resources.insert(resource.gvr.clone(), Arc::new(Served(Arc::new(resource))));
            }
        }
        let resources = Resources(resources);
        for group in groups {
            self.publish(group, &resources, catalog)?;
        }
        Ok(resources)
    }

    fn compile(
        &self,
        definition: &Arc<Definition>,
        groups: &[ApiGroupBuilder],
        strategy: &Arc<dyn Strategy>,
        derived: &Arc<Derived>,
    ) -> anyhow::Result<Vec<Resource>> {
        let compiled = Compiled::built_in(Definition::clone(definition), &self.fragments)?;
        let (group, names) = (&definition.group, &definition.names);
        let stored = definition.stored_form().context("find the version that objects are stored in")?;
        let served =
            definition.versions.iter().zip(compiled.versions()).filter(|(declared, _)| declared.served);
        served
            .map(|(declared, version)| {
                let gvr = GroupVersionResource {
                    group: group.as_str().into(),
                    version: declared.name.as_str().into(),
                    resource: names.plural.as_str().into(),
                };
                let columns = Columns::compile(declared)
                    .with_context(|| format!("compile the columns of {}", names.plural))?;
                let number = NUMBER.fetch_add(1, Ordering::Relaxed);
                let conversion = Conversion::of(definition, declared, number, derived)
                    .with_context(|| format!("convert {}.{group}", names.plural))?;
                let mut version = version.clone();
                for (api_version, names) in forms::others(groups, definition, declared) {
                    version.add_form(api_version, names);
                }
                Ok(Resource {
                    definition: Arc::clone(definition),
                    prefix: resource_prefix(&stored.group, &stored.resource, ROOT_CLUSTER),
                    conversion,
                    api_version: gvr.group_version().to_string(),
                    gvr,
                    version,
                    declared: declared.clone(),
                    columns,
                    strategy: Arc::clone(strategy),
                    backend: self.backend.clone(),
                    admission: self.admission.clone(),
                    max_body_bytes: self.max_body_bytes,
                    number,
                    watches: WatchCounts::default(),
                    history_reads: Arc::new(Semaphore::new(HISTORY_READS)),
                })
            })
            .collect()
    }

    fn publish(
        &self,
        group: &ApiGroupBuilder,
        resources: &Resources,
        catalog: &Catalog,
    ) -> anyhow::Result<()> {
        for gv in group.group_versions() {
            let resources = resources.of(&gv);
            let entry = GroupVersionEntry {
                resources: resources.iter().map(|resource| discovery::entry(resource)).collect(),
                owner: Owner::Local,
                priority: (group.priority, VERSION_PRIORITY),
                open_api: Some(open_api(&gv, group, &self.fragments, &resources)),
                group_version: gv,
                stale: false,
            };
            catalog.publish(entry)?;
        }
        Ok(())
    }
}

fn open_api(
    gv: &GroupVersion,
    group: &ApiGroupBuilder,
    fragments: &Arc<Fragments>,
    resources: &[&Resource],
) -> OpenApi {
    let (gv, fragments) = (gv.clone(), Arc::clone(fragments));
    let definitions = group.definitions.iter().map(|definition| {
        let resource = resources.iter().find(|resource| Arc::ptr_eq(&resource.definition, definition));
        (Arc::clone(definition), resource.map(|resource| discovery::undeclared(resource)).unwrap_or_default())
    });
    let definitions: Vec<_> = definitions.collect();
    Arc::new(move || {
        let published = definitions.iter().map(|(definition, subresources)| Published {
            definition,
            built_in: !definition.extensions.custom,
            subresources,
        });
        let published: Vec<_> = published.collect();
        group_version_document(&gv, &published, &fragments).to_string().into()
    })
}

/// The link of the chain that serves local resources.
pub struct Resources(HashMap<GroupVersionResource, Arc<Served>>);

impl Resources {
    /// The resources of a group-version, by name.
    fn of(&self, gv: &GroupVersion) -> Vec<&Resource> {
        let of_gv =
            self.0.values().map(|served| &*served.0).filter(|resource| resource.gvr.group_version() == *gv);
        let by_name: BTreeMap<_, _> = of_gv.map(|resource| (&resource.gvr.resource, resource)).collect();
        by_name.into_values().collect()
    }

    /// All resources, in no order.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Resource> {
        self.0.values().map(|served| &*served.0)
    }

    /// The resource called `gvr`.
    pub fn get(&self, gvr: &GroupVersionResource) -> Option<&Arc<Resource>> {
        self.0.get(gvr).map(|served| &served.0)
    }
}

/// [`Resources`] in front of the rest of the chain.
pub struct Link {
    resources: Arc<Resources>,
    next: Arc<dyn Delegate>,
}

impl Link {
    /// Serves `resources`; what they do not know goes to `next`.
    pub fn new(resources: Arc<Resources>, next: Arc<dyn Delegate>) -> Arc<Self> {
        Arc::new(Self { resources, next })
    }
}

impl Delegate for Link {
    fn route(&self, info: &RequestInfo) -> Option<Arc<dyn Handler>> {
        let local = info.resource.as_ref().and_then(|resource| self.resources.0.get(&resource.gvr));
        local.map(|served| Arc::clone(served) as Arc<dyn Handler>).or_else(|| self.next.route(info))
    }
}
