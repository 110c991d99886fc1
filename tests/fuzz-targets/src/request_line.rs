//! A path and its query: what is accepted is canonical, and nothing in it leaves its place.

use detectviz_api::RequestInfo;
use detectviz_api::options::{ListOptions, WriteKind, WriteOptions};
use detectviz_api::query::{Query, percent_decode};
use http::Method;

use crate::text;

/// A request line without its method: `PATH?QUERY`.
pub(crate) fn request_line(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let (path, query) = text.split_once('?').map_or((text, None), |(path, query)| (path, Some(query)));
    options(query);
    for method in [Method::GET, Method::POST, Method::DELETE] {
        match RequestInfo::parse(&method, path, query) {
            Ok(info) => accepted(&info, path),
            Err(status) => assert_eq!(status.code, 400, "{path:?}"),
        }
    }
}

fn accepted(info: &RequestInfo, path: &str) {
    // A page may end with a slash.
    let page = path.strip_suffix('/').filter(|page| page.len() > 1 && info.resource.is_none());
    let path = page.unwrap_or(path);
    assert_eq!(&*info.path, path);
    for segment in path.split('/').skip(1).filter(|_| path != "/") {
        let text = percent_decode(segment, false).expect("an accepted path can be decoded");
        assert!(!text.is_empty() && text != "." && text != ".." && !text.contains('\0'), "{path:?}");
    }
    if let Some(resource) = &info.resource {
        for part in [&*resource.gvr.group, &*resource.gvr.resource, &resource.name, &resource.namespace] {
            assert!(!part.contains('/'), "{path:?}: {part:?}");
        }
    }
}

fn options(query: Option<&str>) {
    let Ok(query) = Query::parse(query) else { return };
    let outcomes = [ListOptions::parse(&query, true).err(), ListOptions::parse(&query, false).err()];
    let kinds = [WriteKind::Create, WriteKind::Update, WriteKind::Patch, WriteKind::Apply];
    let writes = kinds.map(|kind| WriteOptions::parse(&query, kind).err());
    for status in outcomes.into_iter().chain(writes).flatten() {
        assert!((400..500).contains(&status.code), "{status:?}");
    }
}
