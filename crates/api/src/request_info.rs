//! What a request is about, read from its method and path **once**. What is authorized and what is executed
//! is this one value, so the two cannot differ.
//!
//! A path that is not canonical is refused, never repaired: repairing is how a check and an execution come to
//! look at different paths (CVE-2025-3454, CVE-2019-11247).

use http::Method;
use std::borrow::Cow;
use std::sync::Arc;

use crate::names::check_path_segment;
use crate::query::{Query, percent_decode};
use crate::resource::{GroupVersion, GroupVersionResource};
use crate::selector::FieldSelector;
use crate::status::Status;

/// The logical cluster of every request until there are tenants.
pub const ROOT_CLUSTER: &str = "root";

/// As many as the path of an object in a namespace has, and a subresource.
const USUAL_SEGMENTS: usize = 8;

/// What the caller wants to do, in upstream's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verb {
    /// Read one object, or GET a path that is no resource.
    Get,
    /// Read a collection.
    List,
    /// Follow a collection.
    Watch,
    /// Make an object.
    Create,
    /// Replace an object.
    Update,
    /// Change an object.
    Patch,
    /// Remove an object.
    Delete,
    /// Remove a collection.
    DeleteCollection,
    /// HEAD of a path that is no resource.
    Head,
    /// POST to a path that is no resource.
    Post,
    /// PUT to a path that is no resource.
    Put,
    /// OPTIONS.
    Options,
    /// Another method; nothing serves it.
    Other,
}

impl Verb {
    /// The verb's name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::DeleteCollection => "deletecollection",
            Self::Head => "head",
            Self::Post => "post",
            Self::Put => "put",
            Self::Options => "options",
            Self::Other => "other",
        }
    }
}

/// A request's meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestInfo {
    /// What the caller wants to do.
    pub verb: Verb,
    /// The path; canonical by construction.
    pub path: Arc<str>,
    /// The decoded query.
    pub query: Query,
    /// The logical cluster.
    pub cluster: &'static str,
    /// The resource, when the path names one.
    pub resource: Option<ResourceInfo>,
}

/// The part of a [`RequestInfo`] that only paths below `/api/VERSION` and `/apis/GROUP/VERSION` have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceInfo {
    /// Group, version and plural.
    pub gvr: GroupVersionResource,
    /// The namespace; empty for a cluster-scoped resource or a list over all namespaces.
    pub namespace: String,
    /// The object's name; empty for a collection.
    pub name: String,
    /// The subresource; empty for the object itself.
    pub subresource: String,
    /// What stands behind the subresource, still encoded; empty for our own resources.
    pub rest: String,
}

impl RequestInfo {
    /// Reads a request line.
    ///
    /// # Errors
    /// A 400 [`Status`] that names the fault, when the path is not canonical or the query is not well encoded.
    pub fn parse(method: &Method, path: &str, query: Option<&str>) -> Result<Self, Status> {
        // One slash behind a page or a discovery document is how some clients write them (`/version/`, `/apis/`).
        // What is checked and executed is the path without it; behind a resource's path it is refused.
        if let Some(page) = path.strip_suffix('/').filter(|page| page.len() > 1)
            && let Ok(info) = Self::parse_canonical(method, page, query)
            && info.resource.is_none()
        {
            return Ok(info);
        }
        Self::parse_canonical(method, path, query)
    }

    fn parse_canonical(method: &Method, path: &str, query: Option<&str>) -> Result<Self, Status> {
        let segments = canonical_segments(path)?;
        let query = Query::parse(query)
            .map_err(|fault| Status::bad_request(format!("cannot read the query: {fault}")))?;
        let mut info = Self {
            verb: plain_verb(method),
            path: path.into(),
            query,
            cluster: ROOT_CLUSTER,
            resource: None,
        };
        if let Some((gv, rest)) = group_version(&segments) {
            segments.iter().take(3).try_for_each(Segment::refuse_encoded_slash)?;
            if !rest.is_empty() {
                info.read_resource(method, &gv, rest)?;
            }
        }
        Ok(info)
    }

    /// The resource, or a 404 [`Status`]: what a handler of resources asks for.
    ///
    /// # Errors
    /// 404 when the path names no resource.
    pub fn require_resource(&self) -> Result<&ResourceInfo, Status> {
        self.resource.as_ref().ok_or_else(Status::no_such_path)
    }

    /// The group and version that the path lies in, also when it names no resource: `/apis/GROUP/VERSION`.
    pub fn group_version(&self) -> Option<GroupVersion> {
        if let Some(resource) = &self.resource {
            return Some(resource.gvr.group_version());
        }
        let segments: Vec<&str> = self.path.strip_prefix('/')?.split('/').collect();
        match segments.as_slice() {
            ["api", version] => Some(GroupVersion::new("", *version)),
            ["apis", group, version] => Some(GroupVersion::new(*group, *version)),
            _ => None,
        }
    }

    /// Whether the path is one of those for watches alone: `/api/VERSION/watch/...`.
    pub fn is_watch_path(&self) -> bool {
        let behind = match self.path.strip_prefix("/api/") {
            Some(rest) => rest.split_once('/'),
            None => self.path.strip_prefix("/apis/").and_then(|rest| rest.split_once('/')?.1.split_once('/')),
        };
        behind.is_some_and(|(_, rest)| rest.starts_with("watch/"))
    }

    /// Whether the answer goes on for as long as the client listens.
    pub fn is_long_running(&self) -> bool {
        self.verb == Verb::Watch
    }

    fn read_resource(
        &mut self,
        method: &Method,
        gv: &GroupVersion,
        segments: &[Segment<'_>],
    ) -> Result<(), Status> {
        let (watch_prefix, segments) = match segments {
            [first, rest @ ..] if first.text == "watch" && !rest.is_empty() => (true, rest),
            _ => (false, segments),
        };
        let (namespace, parts) = match segments {
            [first, ns, resource, rest @ ..]
                if first.text == "namespaces" && !is_namespace_subresource(resource, rest) =>
            {
                (ns.text.to_string(), &segments[2..])
            }
            [first, ns, ..] if first.text == "namespaces" => (ns.text.to_string(), segments),
            _ => (String::new(), segments),
        };
        let part = |index: usize| parts.get(index).map_or("", |segment: &Segment<'_>| &*segment.text);
        parts.iter().take(3).chain(segments.iter().take(2)).try_for_each(Segment::refuse_encoded_slash)?;
        let gvr = GroupVersionResource {
            group: gv.group.clone(),
            version: gv.version.clone(),
            resource: part(0).into(),
        };
        let rest = parts.get(3..).unwrap_or_default();
        let rest = rest.iter().map(|segment| segment.raw).collect::<Vec<_>>().join("/");
        let mut resource =
            ResourceInfo { gvr, namespace, name: part(1).to_owned(), subresource: part(2).to_owned(), rest };
        self.verb = resource_verb(method, &resource, watch_prefix, self.query.flag("watch"));
        if resource.name.is_empty() && matches!(self.verb, Verb::List | Verb::Watch | Verb::DeleteCollection)
        {
            resource.name = self.selected_name();
        }
        self.resource = Some(resource);
        Ok(())
    }

    /// The name that a field selector pins a collection to: who may read that one object may list it so. What cannot be a
    /// path's segment names no object.
    fn selected_name(&self) -> String {
        let selector = self.query.get("fieldSelector").and_then(|text| text.parse::<FieldSelector>().ok());
        let name = selector.as_ref().and_then(|selector| selector.exact("metadata.name"));
        name.filter(|name| check_path_segment(name).is_ok()).unwrap_or_default().to_owned()
    }
}

impl ResourceInfo {
    /// The namespace as a condition: `None` is cluster scope or all namespaces.
    pub fn namespace(&self) -> Option<&str> {
        (!self.namespace.is_empty()).then_some(self.namespace.as_str())
    }
}

/// One path segment, as sent and decoded.
struct Segment<'a> {
    raw: &'a str,
    text: Cow<'a, str>,
}

impl Segment<'_> {
    fn refuse_encoded_slash(&self) -> Result<(), Status> {
        if self.text.contains('/') {
            return Err(Status::bad_request(format!(
                "path segment {:?} must not contain an encoded slash: groups, versions, namespaces, resources, names and \
                 subresources have none",
                self.raw
            )));
        }
        Ok(())
    }
}

fn canonical_segments(path: &str) -> Result<Vec<Segment<'_>>, Status> {
    let refuse = |why: &str| Status::bad_request(format!("path {path:?} is not canonical: {why}"));
    let inner = path.strip_prefix('/').ok_or_else(|| refuse("it must begin with '/'"))?;
    if inner.is_empty() {
        return Ok(Vec::new());
    }
    let checked = |text: &str| match text {
        "" => Err(refuse("a segment must not be empty")),
        "." | ".." => Err(refuse("dot segments are not allowed")),
        text if text.contains('\0') => Err(refuse("a NUL is not allowed")),
        text if text.contains('/') && text.split('/').any(|piece| matches!(piece, "" | "." | "..")) => {
            Err(refuse("encoded slashes must not make empty or dot segments"))
        }
        _ => Ok(()),
    };
    let mut segments = Vec::with_capacity(USUAL_SEGMENTS);
    for raw in inner.split('/') {
        let decoded = || percent_decode(raw, false).map_err(|fault| refuse(&fault.to_string()));
        let text = if raw.contains('%') { Cow::Owned(decoded()?) } else { Cow::Borrowed(raw) };
        checked(&text)?;
        segments.push(Segment { raw, text });
    }
    Ok(segments)
}

fn group_version<'a, 'b>(segments: &'b [Segment<'a>]) -> Option<(GroupVersion, &'b [Segment<'a>])> {
    match segments {
        [api, version, rest @ ..] if api.raw == "api" => Some((GroupVersion::new("", &*version.text), rest)),
        [apis, group, version, rest @ ..] if apis.raw == "apis" => {
            Some((GroupVersion::new(&*group.text, &*version.text), rest))
        }
        _ => None,
    }
}

/// `/namespaces/NAME/status` and `/finalize` are about the namespace, everything else lies in it.
fn is_namespace_subresource(segment: &Segment<'_>, rest: &[Segment<'_>]) -> bool {
    rest.is_empty() && matches!(&*segment.text, "status" | "finalize")
}

fn plain_verb(method: &Method) -> Verb {
    match method.as_str() {
        "GET" => Verb::Get,
        "HEAD" => Verb::Head,
        "POST" => Verb::Post,
        "PUT" => Verb::Put,
        "PATCH" => Verb::Patch,
        "DELETE" => Verb::Delete,
        "OPTIONS" => Verb::Options,
        _ => Verb::Other,
    }
}

fn resource_verb(method: &Method, resource: &ResourceInfo, watch_prefix: bool, watch: bool) -> Verb {
    let collection = resource.name.is_empty();
    match plain_verb(method) {
        Verb::Get | Verb::Head if watch_prefix => Verb::Watch,
        // What is written below a path for watches is not written at all.
        _ if watch_prefix => Verb::Other,
        Verb::Get | Verb::Head if collection && watch => Verb::Watch,
        Verb::Get | Verb::Head if collection => Verb::List,
        Verb::Get | Verb::Head => Verb::Get,
        Verb::Post => Verb::Create,
        Verb::Put => Verb::Update,
        Verb::Delete if collection => Verb::DeleteCollection,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(method: &Method, url: &str, expected: &str) {
        let (path, query) = url.split_once('?').map_or((url, None), |(path, query)| (path, Some(query)));
        let info = RequestInfo::parse(method, path, query).unwrap();
        let got = match &info.resource {
            None => format!("{} -", info.verb.as_str()),
            Some(r) => format!(
                "{} {} {}|{}|{}|{}|{}",
                info.verb.as_str(),
                r.gvr.group_version(),
                r.namespace,
                r.gvr.resource,
                r.name,
                r.subresource,
                r.rest
            ),
        };
        assert_eq!(got, expected, "{method} {url}");
    }

    #[test]
    fn paths_read_as_upstream_reads_them() {
        check(&Method::GET, "/", "get -");
        check(&Method::GET, "/readyz/ping", "get -");
        check(&Method::GET, "/apis/apps/v1", "get -");
        check(&Method::GET, "/version/", "get -");
        check(&Method::GET, "/apis/apps/v1/", "get -");
        check(&Method::GET, "/api/v1/namespaces", "list v1 |namespaces|||");
        check(&Method::GET, "/api/v1/namespaces/a", "get v1 a|namespaces|a||");
        check(&Method::PUT, "/api/v1/namespaces/a/status", "update v1 a|namespaces|a|status|");
        check(&Method::PUT, "/api/v1/namespaces/a/finalize", "update v1 a|namespaces|a|finalize|");
        check(&Method::GET, "/api/v1/namespaces/a/configmaps", "list v1 a|configmaps|||");
        check(&Method::POST, "/api/v1/namespaces/a/configmaps", "create v1 a|configmaps|||");
        check(&Method::GET, "/api/v1/configmaps?watch=true", "watch v1 |configmaps|||");
        check(&Method::GET, "/api/v1/watch/configmaps", "watch v1 |configmaps|||");
        check(&Method::GET, "/api/v1/namespaces/a/secrets/b?watch=true", "get v1 a|secrets|b||");
        check(&Method::GET, "/api/v1/watch/namespaces/a/secrets/b", "watch v1 a|secrets|b||");
        check(&Method::DELETE, "/api/v1/namespaces/a/configmaps", "deletecollection v1 a|configmaps|||");
        check(&Method::PATCH, "/apis/g/v1/namespaces/a/things/b/scale", "patch g/v1 a|things|b|scale|");
        check(
            &Method::GET,
            "/apis/g/v1/namespaces/a/ds/u/resources/x%2Fy/z",
            "get g/v1 a|ds|u|resources|x%2Fy/z",
        );
        check(
            &Method::GET,
            "/api/v1/namespaces/a/pods?fieldSelector=metadata.name%3Db",
            "list v1 a|pods|b||",
        );
        for name in ["a%2Fb", "..", "a%25"] {
            let url = format!("/api/v1/namespaces/a/pods?fieldSelector=metadata.name%3D{name}");
            check(&Method::GET, &url, "list v1 a|pods|||");
        }
    }

    #[test]
    fn paths_for_watches_are_for_nothing_else() {
        check(&Method::HEAD, "/api/v1/watch/namespaces/a/secrets/b", "watch v1 a|secrets|b||");
        check(&Method::GET, "/api/v1/watch/namespaces/a/secrets/b/status", "watch v1 a|secrets|b|status|");
        for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            check(&method, "/api/v1/watch/namespaces/a/secrets", "other v1 a|secrets|||");
            check(&method, "/apis/g/v1/watch/things/b", "other g/v1 |things|b||");
        }
        for (path, is) in [
            ("/api/v1/watch/pods", true),
            ("/apis/g/v1/watch/pods", true),
            ("/api/v1/watch", false),
            ("/api/v1/pods/watch/x", false),
            ("/apis/watch/v1/pods", false),
        ] {
            assert_eq!(RequestInfo::parse(&Method::GET, path, None).unwrap().is_watch_path(), is, "{path}");
        }
    }

    #[test]
    fn paths_that_are_not_canonical_are_refused() {
        for path in [
            "",
            "a",
            "//",
            "/api//v1",
            "/api/v1/configmaps/",
            "/version//",
            "/api/./v1",
            "/api/v1/namespaces/%2e%2e/configmaps",
            "/api/v1/namespaces/a%2Fb/configmaps",
            "/api/v1/namespaces/a/configmaps/b%2fc",
            "/api/v1/x%00",
            "/api/v1/%ff",
            "/api/v1/%zz",
            "/apis/g/v1/namespaces/a/../b",
            "/apis/g%2Fx/v1",
            "/apis/g/v1/namespaces/n/things/t/x%2Fy",
            "/apis/g/v1/namespaces/n/things/t/proxy/x%2F..%2Fy",
        ] {
            let refused = RequestInfo::parse(&Method::GET, path, None).unwrap_err();
            assert_eq!(refused.code, 400, "{path}");
        }
    }
}
