//! The last link of the chain: whatever named group no other link serves is looked up among the resources that
//! users defined. There are no such definitions yet, so the answer is that there is no such resource.

use async_trait::async_trait;
use detectviz_api::{RequestInfo, Status};
use detectviz_core::http::{Request, Response};
use detectviz_core::{Context, Delegate, Handler};
use std::sync::Arc;

/// Owns every path below `/apis/`; what it does not know, nothing knows.
pub struct Extensions {
    unknown: Arc<dyn Handler>,
}

impl Extensions {
    /// The link, with no definitions.
    pub fn new() -> Self {
        Self { unknown: Arc::new(Unknown) }
    }
}

impl Default for Extensions {
    fn default() -> Self {
        Self::new()
    }
}

impl Delegate for Extensions {
    fn route(&self, info: &RequestInfo) -> Option<Arc<dyn Handler>> {
        info.path.starts_with("/apis/").then(|| Arc::clone(&self.unknown))
    }
}

/// Answers for a resource that nobody defined.
struct Unknown;

#[async_trait]
impl Handler for Unknown {
    async fn handle(&self, _: Arc<Context>, _: Request) -> Result<Response, Status> {
        Err(Status::no_such_path())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use detectviz_api::Identity;
    use detectviz_core::http::Body;

    fn info(path: &str) -> RequestInfo {
        RequestInfo::parse(&http::Method::GET, path, None).unwrap()
    }

    #[test]
    fn only_named_groups_are_its_own() {
        let extensions = Extensions::new();
        for (path, own) in [
            ("/apis/example.org", true),
            ("/apis/example.org/v1", true),
            ("/apis/example.org/v1/namespaces/a/widgets/b", true),
            ("/apis", false),
            ("/apisx/y", false),
            ("/api/v1/pods", false),
            ("/nothing", false),
        ] {
            assert_eq!(extensions.route(&info(path)).is_some(), own, "{path}");
        }
    }

    #[tokio::test]
    async fn an_undefined_resource_is_not_found_in_the_words_that_clients_match() {
        let info = info("/apis/example.org/v1/widgets");
        let handler = Extensions::new().route(&info).unwrap();
        let context = Arc::new(Context { info, identity: Identity::anonymous().into() });
        let refusal = handler.handle(context, http::Request::new(Body::empty())).await.err().unwrap();
        assert_eq!((refusal.code, refusal.reason.as_str()), (404, "NotFound"));
        assert_eq!(refusal.message, "the server could not find the requested resource");
    }
}
