//! Whatever a client sends in a request line, a header or a patch is read or refused, and never more than that.

use detectviz_api::options::{ListOptions, WriteKind, WriteOptions};
use detectviz_api::query::{Query, go_duration, percent_decode};
use detectviz_api::selector::{FieldSelector, LabelSelector};
use detectviz_api::{RequestInfo, negotiate, patch};
use http::Method;
use proptest::prelude::*;

/// Paths made of the pieces that attacks are made of.
fn path() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("api".to_owned()),
        Just("apis".to_owned()),
        Just("v1".to_owned()),
        Just("namespaces".to_owned()),
        Just("watch".to_owned()),
        Just("status".to_owned()),
        Just(".".to_owned()),
        Just("..".to_owned()),
        Just("%2e%2e".to_owned()),
        Just("%2f".to_owned()),
        Just("%5c".to_owned()),
        Just("%00".to_owned()),
        Just("..;".to_owned()),
        Just(String::new()),
        "[a-zA-Z0-9%._;-]{0,12}",
    ];
    prop::collection::vec(piece, 0..9).prop_map(|pieces| format!("/{}", pieces.join("/")))
}

proptest! {
    #[test]
    fn an_accepted_path_is_canonical(path in path(), watch in any::<bool>()) {
        let Ok(info) = RequestInfo::parse(&Method::GET, &path, watch.then_some("watch=1")) else { return Ok(()) };
        let page = path.strip_suffix('/').filter(|page| page.len() > 1 && info.resource.is_none());
        let path = page.unwrap_or(&path);
        prop_assert_eq!(&*info.path, path);
        for segment in path.split('/').skip(1).filter(|_| path != "/") {
            let text = percent_decode(segment, false).unwrap();
            prop_assert!(!text.is_empty() && text != "." && text != ".." && !text.contains('\0'), "{}", path);
        }
        if let Some(resource) = info.resource {
            for part in [&*resource.gvr.group, &*resource.gvr.resource, &resource.name, &resource.namespace] {
                prop_assert!(!part.contains('/'), "{}: {}", path, part);
            }
        }
    }

    #[test]
    fn any_request_line_is_read_or_refused(path in ".*", query in ".*") {
        if let Err(status) = RequestInfo::parse(&Method::POST, &path, Some(&query)) {
            prop_assert_eq!(status.code, 400);
        }
    }

    #[test]
    fn any_options_are_read_or_refused(query in "[a-zA-Z0-9=&%,()! <>.-]{0,80}") {
        let Ok(query) = Query::parse(Some(&query)) else { return Ok(()) };
        for outcome in [ListOptions::parse(&query, true).err(), ListOptions::parse(&query, false).err()] {
            prop_assert!(outcome.is_none_or(|status| matches!(status.code, 400 | 422)));
        }
        prop_assert!(WriteOptions::parse(&query, WriteKind::Patch).err().is_none_or(|status| status.code == 422));
    }

    #[test]
    fn any_selector_is_read_or_refused(text in "[a-z0-9=!<>(), ./\\\\-]{0,40}") {
        if let Ok(selector) = text.parse::<LabelSelector>() {
            selector.matches(|_| Some("1"));
        }
        if let Ok(selector) = text.parse::<FieldSelector>() {
            selector.matches(|_| "1".into());
        }
    }

    #[test]
    fn an_equality_selects_its_own_value(key in "[a-z]([a-z0-9-]{0,10}[a-z0-9])?", value in "[a-z0-9]{0,10}") {
        let selector: LabelSelector = format!("{key}={value}").parse().unwrap();
        prop_assert!(selector.matches(|have| (have == key).then_some(value.as_str())));
        prop_assert!(!selector.matches(|_| None));
    }

    #[test]
    fn any_accept_header_is_answered_or_406(accept in "[a-z*/;=,.+0-9 ]{0,60}") {
        for status in [negotiate::presentation(Some(&accept)).err(), negotiate::form(Some(&accept)).err()] {
            prop_assert!(status.is_none_or(|status| status.code == 406));
        }
        prop_assert_eq!(negotiate::status_form(Some(&accept)).presentation, negotiate::Presentation::Object);
        negotiate::accepts_gzip(Some(&accept));
    }

    #[test]
    fn any_duration_is_read_or_refused(text in "[-+]?[0-9.\u{b5}a-z]{0,12}") {
        if let Ok(seconds) = go_duration(&text) {
            prop_assert!(seconds.is_finite());
        }
    }

    #[test]
    fn any_patch_is_applied_or_refused(body in "[\\[\\]{}\":,a-z0-9/~-]{0,80}") {
        let document = || serde_json::json!({"a": {"b": [1, 2]}, "c": "d"});
        for outcome in [
            patch::json_patch(&mut document(), body.as_bytes()),
            patch::merge_patch(&mut document(), body.as_bytes()),
        ] {
            prop_assert!(outcome.err().is_none_or(|status| matches!(status.code, 400 | 413 | 422)));
        }
    }
}
