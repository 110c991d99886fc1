//! Paths are matched whole or not at all: what is not canonical is unknown, never repaired.

use http::Method;

/// The API group that this server answers for.
pub(crate) const GROUP: &str = "example.detectviz.io";
/// Its only version.
pub(crate) const VERSION: &str = "v1";
/// Its only resource.
pub(crate) const RESOURCE: &str = "flights";
/// The kind of the resource.
pub(crate) const KIND: &str = "Flight";

/// What a path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route<'a> {
    /// `/livez`, `/readyz`, `/healthz`
    Health,
    /// `/version`
    Version,
    /// `/apis`
    Groups,
    /// `/apis/GROUP`
    Group,
    /// `/apis/GROUP/VERSION`
    Resources,
    /// `/apis/GROUP/VERSION/whoami`
    WhoAmI,
    /// `/openapi/v3`
    OpenApiIndex,
    /// `/openapi/v3/apis/GROUP/VERSION`
    OpenApiDocument,
    /// The resource, of all namespaces, of one, or one object.
    Flights(Target<'a>),
}

/// The part of the resource that a path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Target<'a> {
    /// The namespace; `None` means all of them.
    pub(crate) namespace: Option<&'a str>,
    /// The object's name; only with a namespace.
    pub(crate) name: Option<&'a str>,
}

impl<'a> Route<'a> {
    /// Reads an undecoded path.
    pub(crate) fn parse(path: &'a str) -> Option<Self> {
        let segments = path.strip_prefix('/')?.split('/').collect::<Vec<_>>();
        if segments.iter().any(|segment| segment.is_empty() || segment.contains('%')) {
            return None;
        }
        match segments.as_slice() {
            ["livez" | "readyz" | "healthz"] => Some(Self::Health),
            ["version"] => Some(Self::Version),
            ["openapi", "v3"] => Some(Self::OpenApiIndex),
            ["openapi", "v3", "apis", GROUP, VERSION] => Some(Self::OpenApiDocument),
            ["apis"] => Some(Self::Groups),
            ["apis", GROUP] => Some(Self::Group),
            ["apis", GROUP, VERSION, rest @ ..] => Self::parse_resource(rest),
            _ => None,
        }
    }

    fn parse_resource(rest: &[&'a str]) -> Option<Self> {
        let flights = |namespace, name| Some(Self::Flights(Target { namespace, name }));
        match *rest {
            [] => Some(Self::Resources),
            ["whoami"] => Some(Self::WhoAmI),
            [RESOURCE] => flights(None, None),
            ["namespaces", namespace, RESOURCE] => flights(Some(namespace), None),
            ["namespaces", namespace, RESOURCE, name] => flights(Some(namespace), Some(name)),
            _ => None,
        }
    }
}

/// What is done to a [`Target`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    /// Read one object.
    Get,
    /// Read a collection.
    List,
    /// Follow a collection.
    Watch,
    /// Add an object.
    Create,
    /// Replace an object.
    Update,
    /// Change parts of an object.
    Patch,
    /// Remove an object.
    Delete,
    /// Remove what a selector matches in one namespace.
    DeleteCollection,
}

impl Verb {
    /// Every verb, in the order that discovery lists them.
    pub(crate) const ALL: [Self; 8] = [
        Self::Create,
        Self::Delete,
        Self::DeleteCollection,
        Self::Get,
        Self::List,
        Self::Patch,
        Self::Update,
        Self::Watch,
    ];

    /// Derives the verb from the method, what the path names, and the `watch` parameter.
    pub(crate) fn of(method: &Method, target: Target<'_>, watch: bool) -> Option<Self> {
        match (method, target.namespace, target.name) {
            (&Method::GET, _, Some(_)) => Some(Self::Get),
            (&Method::GET, _, None) => Some(if watch { Self::Watch } else { Self::List }),
            (&Method::POST, Some(_), None) => Some(Self::Create),
            (&Method::PUT, _, Some(_)) => Some(Self::Update),
            (&Method::PATCH, _, Some(_)) => Some(Self::Patch),
            (&Method::DELETE, _, Some(_)) => Some(Self::Delete),
            (&Method::DELETE, Some(_), None) => Some(Self::DeleteCollection),
            _ => None,
        }
    }

    /// The verb's name in discovery and in authorization.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::DeleteCollection => "deletecollection",
        }
    }

    /// Whether the verb leaves everything as it is.
    pub(crate) const fn is_read(self) -> bool {
        matches!(self, Self::Get | Self::List | Self::Watch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_paths() {
        let flights = |namespace, name| Some(Route::Flights(Target { namespace, name }));
        assert_eq!(Route::parse("/apis"), Some(Route::Groups));
        assert_eq!(Route::parse("/apis/example.detectviz.io/v1"), Some(Route::Resources));
        assert_eq!(Route::parse("/apis/example.detectviz.io/v1/flights"), flights(None, None));
        assert_eq!(
            Route::parse("/apis/example.detectviz.io/v1/namespaces/a/flights/b"),
            flights(Some("a"), Some("b"))
        );
    }

    #[test]
    fn what_is_not_canonical_is_unknown() {
        for path in [
            "",
            "/",
            "/apis/",
            "//apis",
            "/apis/example.detectviz.io/v2",
            "/apis/example.detectviz.io/v1/namespaces//flights",
            "/apis/example.detectviz.io/v1/namespaces/a/flights/%2e%2e",
            "/apis/example.detectviz.io/v1/flights/b",
        ] {
            assert_eq!(Route::parse(path), None, "{path}");
        }
    }

    #[test]
    fn a_named_object_is_got_even_with_watch() {
        let target = Target { namespace: Some("a"), name: Some("b") };
        assert_eq!(Verb::of(&Method::GET, target, true), Some(Verb::Get));
        assert_eq!(Verb::of(&Method::POST, target, false), None);
    }
}
