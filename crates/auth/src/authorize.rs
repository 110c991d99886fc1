//! A chain of authorizers, each of which allows, denies or has no opinion; nobody's opinion means no.

use detectviz_api::identity::{SYSTEM_AUTHENTICATED, SYSTEM_MASTERS};
use detectviz_api::request_info::ResourceInfo;
use detectviz_api::resource::qualified_resource;
use detectviz_api::{Identity, Reason, RequestInfo, Status, Verb};

use crate::rules::{ResourceRule, Rules};

/// Paths that everyone may read: probes must work without credentials, and clients ask for the version first.
const PUBLIC: [&str; 4] = ["/livez", "/readyz", "/healthz", "/version"];

/// What everybody who proved who they are may create: questions about oneself. Upstream's role `system:basic-user`.
const OWN_REVIEWS: [(&str, &[&str]); 2] = [
    ("authorization.k8s.io", &["selfsubjectaccessreviews", "selfsubjectrulesreviews"]),
    ("authentication.k8s.io", &["selfsubjectreviews"]),
];

/// What an [`Authorizer`] says about a request. The reasons are for the audit log, not for the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Yes; nobody further is asked.
    Allow,
    /// No; nobody further is asked.
    Deny(String),
    /// Ask the next one. At the end of the chain it means no.
    NoOpinion(String),
}

impl Decision {
    /// Whether the request may go on. Only an explicit yes is one.
    pub fn is_allowed(&self) -> bool {
        *self == Self::Allow
    }
}

/// Decides whether a caller may do what a request asks for.
pub trait Authorizer: Send + Sync {
    /// Judges the very `info` that will be executed.
    fn authorize(&self, identity: &Identity, info: &RequestInfo) -> Decision;

    /// All that it lets a caller do in `namespace`, as far as that can be listed.
    fn rules(&self, identity: &Identity, namespace: &str) -> Rules;
}

/// Members of `system:masters` may do everything.
pub struct SystemMasters;

impl Authorizer for SystemMasters {
    fn authorize(&self, identity: &Identity, _: &RequestInfo) -> Decision {
        if identity.is_in(SYSTEM_MASTERS) {
            return Decision::Allow;
        }
        Decision::NoOpinion(format!("not in {SYSTEM_MASTERS}"))
    }

    fn rules(&self, identity: &Identity, _: &str) -> Rules {
        if identity.is_in(SYSTEM_MASTERS) { Rules::everything() } else { Rules::default() }
    }
}

/// Everyone may read health and version, and what lies below them such as `/livez/ping`.
pub struct PublicPaths;

impl Authorizer for PublicPaths {
    fn authorize(&self, _: &Identity, info: &RequestInfo) -> Decision {
        let reads = matches!(info.verb, Verb::Get | Verb::Head);
        if reads && info.resource.is_none() && PUBLIC.iter().any(|root| lies_in(&info.path, root)) {
            return Decision::Allow;
        }
        Decision::NoOpinion("not a public path".to_owned())
    }

    fn rules(&self, _: &Identity, _: &str) -> Rules {
        let paths = PUBLIC.iter().flat_map(|root| [(*root).to_owned(), format!("{root}/*")]);
        Rules::of_paths(&[Verb::Get, Verb::Head], paths)
    }
}

/// Whoever proved who they are may ask who that is, and what they may do.
pub struct OwnReviews;

impl Authorizer for OwnReviews {
    fn authorize(&self, identity: &Identity, info: &RequestInfo) -> Decision {
        let is_own = |resource: &ResourceInfo| {
            let (group, plural) = (&*resource.gvr.group, &*resource.gvr.resource);
            let of_group = OWN_REVIEWS.iter().find(|(known, _)| *known == group);
            resource.subresource.is_empty() && of_group.is_some_and(|(_, all)| all.contains(&plural))
        };
        let asks = info.verb == Verb::Create && info.resource.as_ref().is_some_and(is_own);
        if asks && identity.is_in(SYSTEM_AUTHENTICATED) {
            return Decision::Allow;
        }
        Decision::NoOpinion("not a question about oneself".to_owned())
    }

    fn rules(&self, identity: &Identity, _: &str) -> Rules {
        if !identity.is_in(SYSTEM_AUTHENTICATED) {
            return Rules::default();
        }
        let rule = |(group, resources): &(&str, &[&str])| ResourceRule {
            verbs: vec![Verb::Create.as_str().to_owned()],
            groups: vec![(*group).to_owned()],
            resources: resources.iter().map(|one| (*one).to_owned()).collect(),
            names: Vec::new(),
        };
        Rules { resources: OWN_REVIEWS.iter().map(rule).collect(), paths: Vec::new() }
    }
}

fn lies_in(path: &str, root: &str) -> bool {
    path.strip_prefix(root).is_some_and(|below| below.is_empty() || below.starts_with('/'))
}

/// Asks each authorizer in order until one decides.
pub struct Union(Vec<Box<dyn Authorizer>>);

impl Union {
    /// A chain in the order given.
    pub fn new(chain: Vec<Box<dyn Authorizer>>) -> Self {
        Self(chain)
    }
}

impl Authorizer for Union {
    fn authorize(&self, identity: &Identity, info: &RequestInfo) -> Decision {
        let mut reasons = Vec::with_capacity(self.0.len());
        for authorizer in &self.0 {
            match authorizer.authorize(identity, info) {
                Decision::NoOpinion(reason) => reasons.push(reason),
                decided => return decided,
            }
        }
        Decision::NoOpinion(reasons.join("; "))
    }

    fn rules(&self, identity: &Identity, namespace: &str) -> Rules {
        let mut all = Rules::default();
        for authorizer in &self.0 {
            all.add(authorizer.rules(identity, namespace));
        }
        all
    }
}

/// The 403 for a request that is not allowed, in upstream's words, which people and scripts match on.
pub fn forbidden(identity: &Identity, info: &RequestInfo) -> Status {
    let Some(resource) = &info.resource else {
        let (user, verb, path) = (&identity.name, info.verb.as_str(), &info.path);
        let message = format!("forbidden: User {user:?} cannot {verb} path {path:?}");
        return Status::failure(Reason::Forbidden, message).about("", "", "");
    };
    let (group, plural, name) = (&resource.gvr.group, &resource.gvr.resource, &resource.name);
    let what = qualified_resource(group, plural);
    let subject = if name.is_empty() { what } else { format!("{what} {name:?}") };
    let message = format!("{subject} is forbidden: {}", cannot(identity, info.verb, resource));
    Status::failure(Reason::Forbidden, message).about(group, plural, name)
}

fn cannot(identity: &Identity, verb: Verb, resource: &ResourceInfo) -> String {
    let what = match resource.subresource.as_str() {
        "" => resource.gvr.resource.to_string(),
        subresource => format!("{}/{subresource}", resource.gvr.resource),
    };
    let place = match resource.namespace() {
        Some(namespace) => format!("in the namespace {namespace:?}"),
        None => "at the cluster scope".to_owned(),
    };
    let (user, verb, group) = (&identity.name, verb.as_str(), &resource.gvr.group);
    format!("User {user:?} cannot {verb} resource {what:?} in API group {group:?} {place}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Method;

    fn info(method: &Method, path: &str) -> RequestInfo {
        RequestInfo::parse(method, path, None).unwrap()
    }

    fn bob() -> Identity {
        Identity::authenticated("bob", ["dev".to_owned()])
    }

    fn chain() -> Union {
        Union::new(vec![Box::new(SystemMasters), Box::new(PublicPaths), Box::new(OwnReviews)])
    }

    #[test]
    fn anonymous_reaches_health_and_version_only() {
        let allowed = |method: &Method, path: &str| {
            chain().authorize(&Identity::anonymous(), &info(method, path)).is_allowed()
        };
        for path in ["/livez", "/readyz", "/healthz", "/livez/ping", "/readyz/poststarthook/a", "/version"] {
            assert!(allowed(&Method::GET, path) && allowed(&Method::HEAD, path), "{path}");
            assert!(!allowed(&Method::POST, path) && !allowed(&Method::DELETE, path), "{path}");
        }
        for path in ["/", "/api", "/apis", "/metrics", "/statusz", "/livezz", "/versions", "/api/v1/livez"] {
            assert!(!allowed(&Method::GET, path), "{path}");
        }
        assert!(!allowed(&Method::GET, "/apis/livez/v1/readyz"));
    }

    #[test]
    fn masters_may_all_and_others_nothing() {
        let get = info(&Method::GET, "/api/v1/namespaces/a/configmaps/b");
        assert!(chain().authorize(&Identity::loopback(), &get).is_allowed());
        let refused = chain().authorize(&bob(), &get);
        assert_eq!(
            refused,
            Decision::NoOpinion(
                "not in system:masters; not a public path; not a question about oneself".into()
            )
        );
        assert!(!Union::new(Vec::new()).authorize(&Identity::loopback(), &get).is_allowed());
    }

    #[test]
    fn whoever_proved_who_they_are_may_ask_about_themselves() {
        let asks = |identity: &Identity, method: &Method, path: &str| {
            chain().authorize(identity, &info(method, &format!("/apis/{path}"))).is_allowed()
        };
        for path in [
            "authorization.k8s.io/v1/selfsubjectaccessreviews",
            "authorization.k8s.io/v1/selfsubjectrulesreviews",
            "authentication.k8s.io/v1/selfsubjectreviews",
        ] {
            assert!(asks(&bob(), &Method::POST, path), "{path}");
            assert!(!asks(&Identity::anonymous(), &Method::POST, path), "{path}");
            assert!(!asks(&bob(), &Method::GET, path), "{path}");
            assert!(!asks(&bob(), &Method::DELETE, path), "{path}");
            assert!(!asks(&bob(), &Method::POST, &format!("{path}/a/status")), "{path}");
        }
        for path in [
            "authorization.k8s.io/v1/subjectaccessreviews",
            "authorization.k8s.io/v1/namespaces/default/localsubjectaccessreviews",
            "authentication.k8s.io/v1/tokenreviews",
            "example.org/v1/selfsubjectreviews",
            "authentication.k8s.io/v1/selfsubjectaccessreviews",
        ] {
            assert!(!asks(&bob(), &Method::POST, path), "{path}");
        }
    }

    #[test]
    fn what_may_be_done_is_listed_for_each_caller() {
        let of = |identity| chain().rules(&identity, "default");
        let public = of(Identity::anonymous());
        assert_eq!((public.resources.len(), public.paths.len()), (0, 1));
        assert!(public.paths[0].paths.iter().any(|path| path == "/livez/*"), "{public:?}");
        let own = of(bob());
        assert_eq!(own.paths, public.paths);
        let asked: Vec<_> =
            own.resources.iter().map(|rule| (rule.verbs.join(","), rule.resources.join(","))).collect();
        assert_eq!(
            asked,
            [
                ("create".to_owned(), "selfsubjectaccessreviews,selfsubjectrulesreviews".to_owned()),
                ("create".to_owned(), "selfsubjectreviews".to_owned()),
            ]
        );
        let all = of(Identity::loopback());
        assert_eq!(
            (&*all.resources[0].verbs, &*all.paths[0].paths),
            (&["*".to_owned()][..], &["*".to_owned()][..])
        );
        assert_eq!(all.paths[1..], public.paths);
    }

    #[test]
    fn a_denial_ends_the_chain() {
        struct Never;
        impl Authorizer for Never {
            fn authorize(&self, _: &Identity, _: &RequestInfo) -> Decision {
                Decision::Deny("never".into())
            }

            fn rules(&self, _: &Identity, _: &str) -> Rules {
                Rules::default()
            }
        }
        let chain = Union::new(vec![Box::new(Never), Box::new(SystemMasters)]);
        let decision = chain.authorize(&Identity::loopback(), &info(&Method::GET, "/version"));
        assert_eq!(decision, Decision::Deny("never".into()));
    }

    #[test]
    fn a_refusal_reads_as_upstream_writes_it() {
        for (method, path, message) in [
            (
                Method::GET,
                "/api/v1/namespaces/default/configmaps/a",
                "configmaps \"a\" is forbidden: User \"bob\" cannot get resource \"configmaps\" in API group \"\" in the namespace \"default\"",
            ),
            (
                Method::GET,
                "/apis/apps/v1/deployments",
                "deployments.apps is forbidden: User \"bob\" cannot list resource \"deployments\" in API group \"apps\" at the cluster scope",
            ),
            (
                Method::PUT,
                "/apis/g/v1/namespaces/n/things/t/status",
                "things.g \"t\" is forbidden: User \"bob\" cannot update resource \"things/status\" in API group \"g\" in the namespace \"n\"",
            ),
            (Method::GET, "/metrics", "forbidden: User \"bob\" cannot get path \"/metrics\""),
        ] {
            let status = forbidden(&bob(), &info(&method, path));
            assert_eq!((status.code, status.reason.as_str()), (403, "Forbidden"));
            assert_eq!(status.message, message);
        }
    }
}
