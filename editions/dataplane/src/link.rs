//! This runner's link of the chain: one lookup in a snapshot that the controller swaps whole.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use detectviz_api::{GroupVersion, RequestInfo};
use detectviz_core::{Delegate, Handler};

/// The query handlers by the group-version that they answer for.
pub(crate) type Routes = HashMap<GroupVersion, Arc<dyn Handler>>;

/// Stands in front of `delegate` for the query paths of the routes, and for nothing else.
pub(crate) struct Link {
    delegate: Arc<dyn Delegate>,
    routes: Arc<ArcSwap<Routes>>,
}

impl Link {
    pub(crate) fn new(delegate: Arc<dyn Delegate>, routes: Arc<ArcSwap<Routes>>) -> Self {
        Self { delegate, routes }
    }
}

impl Delegate for Link {
    fn route(&self, info: &RequestInfo) -> Option<Arc<dyn Handler>> {
        let own = queried(info).and_then(|gv| self.routes.load().get(&gv).cloned());
        own.or_else(|| self.delegate.route(info))
    }
}

/// The parts of `/apis/GROUP/VERSION/namespaces/NS/datasources/UID/query`, an empty one in front: the legacy form with
/// `watch` in it has more.
const PARTS: usize = 9;

/// The group-version of a query path, by any method. `connections` is the older name of `datasources` in it.
fn queried(info: &RequestInfo) -> Option<GroupVersion> {
    let resource = info.resource.as_ref()?;
    let is_query = matches!(&*resource.gvr.resource, "datasources" | "connections")
        && !resource.namespace.is_empty()
        && !resource.name.is_empty()
        && resource.subresource == "query"
        && resource.rest.is_empty()
        && info.path.split('/').count() == PARTS;
    is_query.then(|| resource.gvr.group_version())
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_trait::async_trait;
    use detectviz_api::Status;
    use detectviz_core::Context;
    use detectviz_core::delegate::End;
    use detectviz_core::http::{Body, Request, Response};
    use http::Method;

    struct Empty;

    #[async_trait]
    impl Handler for Empty {
        async fn handle(&self, _: Arc<Context>, _: Request) -> Result<Response, Status> {
            Ok(Response::new(Body::empty()))
        }
    }

    fn is_taken(link: &Link, method: &Method, path: &str) -> bool {
        let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
        link.route(&RequestInfo::parse(method, path, query).unwrap()).is_some()
    }

    fn link(gv: &str) -> (Link, Arc<ArcSwap<Routes>>) {
        let handler: Arc<dyn Handler> = Arc::new(Empty);
        let routes = Arc::new(ArcSwap::from_pointee(Routes::from([(gv.parse().unwrap(), handler)])));
        (Link::new(Arc::new(End), Arc::clone(&routes)), routes)
    }

    #[test]
    fn only_the_query_paths_of_the_group_version_are_taken() {
        let (link, _) = link("p.io/v1");
        for path in [
            "/apis/p.io/v1/namespaces/default/datasources/a/query",
            "/apis/p.io/v1/namespaces/default/connections/A_b/query",
            "/apis/p.io/v1/namespaces/default/datasources/a/query?x=1",
        ] {
            assert!(is_taken(&link, &Method::POST, path) && is_taken(&link, &Method::PUT, path), "{path}");
        }
        for path in [
            "/apis/p.io/v1",
            "/apis/p.io/v1/namespaces/default/datasources",
            "/apis/p.io/v1/namespaces/default/datasources/a",
            "/apis/p.io/v1/namespaces/default/datasources/a/health",
            "/apis/p.io/v1/namespaces/default/datasources/a/query/more",
            "/apis/p.io/v1/namespaces/default/things/a/query",
            "/apis/p.io/v1/datasources/a/query",
            "/apis/p.io/v2/namespaces/default/datasources/a/query",
            "/apis/q.io/v1/namespaces/default/datasources/a/query",
            "/apis/p.io/v1/watch/namespaces/default/datasources/a/query",
            "/api/v1/namespaces/default/datasources/a/query",
        ] {
            assert!(!is_taken(&link, &Method::GET, path), "{path}");
        }
    }

    #[test]
    fn a_swapped_snapshot_is_seen_at_once() {
        let (link, routes) = link("p.io/v1");
        routes.store(Arc::default());
        assert!(!is_taken(&link, &Method::POST, "/apis/p.io/v1/namespaces/default/datasources/a/query"));
    }
}
