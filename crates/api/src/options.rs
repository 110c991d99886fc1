//! What a request asks for beyond its path: list, watch, write and delete options, read and checked at one place.

use serde::Deserialize;
use std::num::{IntErrorKind, ParseIntError};

use crate::query::Query;
use crate::selector::{FieldSelector, LabelSelector};
use crate::status::{Cause, Status};
pub use crate::write_options::{FieldValidation, WriteKind, WriteOptions};

/// How a list's `resourceVersion` is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VersionMatch {
    /// At least as new as the given version.
    NotOlderThan,
    /// Exactly the given version.
    Exact,
}

/// The options of list and watch (`metav1.ListOptions`).
#[derive(Clone, Debug, Default)]
pub struct ListOptions {
    /// Which objects, by their labels.
    pub labels: LabelSelector,
    /// Which objects, by their fields.
    pub fields: FieldSelector,
    /// The version asked for; `None` means the most recent, 0 any.
    pub resource_version: Option<u64>,
    /// How `resource_version` is meant.
    pub version_match: Option<VersionMatch>,
    /// The most items of a page; `None` means all. A list that begins at any version ("0") is whole: upstream's
    /// `computeListLimit`.
    pub limit: Option<usize>,
    /// Where a page begins, as the page before it said.
    pub continue_token: Option<String>,
    /// Whether bookmarks are welcome in a watch.
    pub allow_bookmarks: bool,
    /// Whether a watch begins with the present state (WatchList, KEP-3157); left out, it does unless it names a version,
    /// and is read as asked for where upstream's `SetListOptionsDefaults` does so.
    pub send_initial_events: Option<bool>,
    /// After how many seconds the server ends the watch; 0 leaves it to the server, and a negative one is over already.
    pub timeout_seconds: Option<i64>,
}

impl ListOptions {
    /// Reads the options of a list, or of a watch if `watch`.
    ///
    /// # Errors
    /// 400 for an unreadable value, 422 with every forbidden combination.
    pub fn parse(query: &Query, watch: bool) -> Result<Self, Status> {
        let selector = |key| query.get(key).unwrap_or_default();
        check_match(query, watch)?;
        let mut options = Self {
            labels: selector("labelSelector").parse().map_err(|why: String| Status::bad_request(why))?,
            fields: selector("fieldSelector").parse().map_err(|why: String| Status::bad_request(why))?,
            resource_version: resource_version(query)?,
            version_match: version_match(query),
            limit: limit(query)?,
            continue_token: given(query, "continue").map(str::to_owned),
            allow_bookmarks: query.flag("allowWatchBookmarks"),
            send_initial_events: query.get("sendInitialEvents").map(|_| query.flag("sendInitialEvents")),
            timeout_seconds: number(query, "timeoutSeconds")?,
        };
        if options.continue_token.is_some() && options.resource_version.is_some_and(|version| version > 0) {
            return Err(Status::bad_request(
                "specifying resource version is not allowed when using continue",
            ));
        }
        if options.resource_version == Some(0) && options.continue_token.is_none() {
            options.limit = None;
        }
        // Not below the path `/watch/`: there upstream's options do not say that this is a watch.
        if watch && query.flag("watch") {
            options.default_to_initial_events();
        }
        Ok(options)
    }

    /// A watch that names no version begins with the present state, and the end of that is marked as if it was asked
    /// for: upstream's `SetListOptionsDefaults`.
    fn default_to_initial_events(&mut self) {
        let unsaid = self.send_initial_events.is_none() && self.version_match.is_none();
        if unsaid && self.resource_version.is_none_or(|version| version == 0) {
            self.send_initial_events = Some(true);
            self.version_match = Some(VersionMatch::NotOlderThan);
        }
    }

    /// The one version that a list has to be of. A page of a named version is of exactly that version also when the
    /// client does not say so: upstream's rule from before `resourceVersionMatch`.
    pub fn exact_version(&self) -> Option<u64> {
        let legacy = self.limit.is_some() && self.version_match.is_none();
        let exact = legacy || self.version_match == Some(VersionMatch::Exact);
        self.resource_version.filter(|version| exact && *version > 0)
    }
}

/// Parameters that stand in the query with a value.
fn given<'a>(query: &'a Query, key: &str) -> Option<&'a str> {
    query.get(key).filter(|text| !text.is_empty())
}

/// Refuses what cannot be meant together; all of it at once, as upstream's validation of `ListOptions` does.
fn check_match(query: &Query, watch: bool) -> Result<(), Status> {
    let matched = given(query, "resourceVersionMatch");
    let initial = query.get("sendInitialEvents").is_some();
    let mut causes = Vec::new();
    let mut add = |wrong: bool, cause: Cause| causes.extend(wrong.then_some(cause));
    let continues = given(query, "continue").is_some();
    let continued = || forbidden("resourceVersionMatch is forbidden when continue is provided");
    if watch {
        let other = matched.filter(|matched| *matched != "NotOlderThan");
        let both = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
        let alone = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
        add(initial && matched != Some("NotOlderThan"), forbidden(both));
        add(!initial && matched.is_some(), forbidden(alone));
        add(other.is_some(), unknown_match(other.unwrap_or_default(), "\"NotOlderThan\""));
        add(matched.is_some() && continues, continued());
    } else if let Some(matched) = matched {
        let version = given(query, "resourceVersion");
        let alone = "resourceVersionMatch is forbidden unless resourceVersion is provided";
        let any = "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"";
        let known = matches!(matched, "Exact" | "NotOlderThan");
        add(version.is_none(), forbidden(alone));
        add(continues, continued());
        add(!known, unknown_match(matched, "\"Exact\", \"NotOlderThan\", \"\""));
        add(matched == "Exact" && version == Some("0"), forbidden(any));
    }
    if initial && !watch {
        let why = "sendInitialEvents is forbidden for list";
        causes.push(Cause { field: "sendInitialEvents".into(), ..forbidden(why) });
    }
    if causes.is_empty() { Ok(()) } else { Err(Status::invalid("meta.k8s.io", "ListOptions", "", causes)) }
}

fn forbidden(why: &str) -> Cause {
    let (reason, field) = ("FieldValueForbidden".into(), "resourceVersionMatch".into());
    Cause { reason, message: format!("Forbidden: {why}"), field }
}

fn unknown_match(found: &str, supported: &str) -> Cause {
    let message = format!("Unsupported value: {found:?}: supported values: {supported}");
    Cause { reason: "FieldValueNotSupported".into(), message, field: "resourceVersionMatch".into() }
}

/// The version that a get or list names; `None` means the most recent, 0 any.
///
/// # Errors
/// 400 when it is no whole number, in the words of upstream's number parser.
pub fn resource_version(query: &Query) -> Result<Option<u64>, Status> {
    let Some(text) = given(query, "resourceVersion") else { return Ok(None) };
    // No sign: Go's unsigned numbers have none.
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let parsed = text.parse().map_err(|fault| why_no_number(&fault));
    parsed.and_then(|version| if digits { Ok(Some(version)) } else { Err("invalid syntax") }).map_err(|why| {
        Status::bad_request(format!(
            "invalid resource version: resourceVersion: Invalid value: {text:?}: strconv.ParseUint: parsing {text:?}: {why}"
        ))
    })
}

fn version_match(query: &Query) -> Option<VersionMatch> {
    match query.get("resourceVersionMatch") {
        Some("NotOlderThan") => Some(VersionMatch::NotOlderThan),
        Some("Exact") => Some(VersionMatch::Exact),
        _ => None,
    }
}

/// The most items of a page; a limit below 1 is none.
fn limit(query: &Query) -> Result<Option<usize>, Status> {
    let limit = number(query, "limit")?.filter(|limit| *limit > 0);
    Ok(limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX)))
}

/// A number that stands in the query. An empty one is none that can be read, as upstream.
fn number(query: &Query, key: &str) -> Result<Option<i64>, Status> {
    let Some(text) = query.get(key) else { return Ok(None) };
    text.parse().map(Some).map_err(|fault| {
        Status::bad_request(format!("strconv.ParseInt: parsing {text:?}: {}", why_no_number(&fault)))
    })
}

/// The words of Go's `strconv`, which upstream passes on.
fn why_no_number(fault: &ParseIntError) -> &'static str {
    match fault.kind() {
        IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => "value out of range",
        _ => "invalid syntax",
    }
}

/// What must hold for a delete to go ahead.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Preconditions {
    /// The uid that the object must have.
    pub uid: Option<String>,
    /// The version that the object must have.
    pub resource_version: Option<String>,
}

/// `metav1.DeleteOptions`, from the body or, where that is empty, from the query.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DeleteOptions {
    /// Seconds before the object is removed; only kinds that run something use it.
    pub grace_period_seconds: Option<i64>,
    /// What must hold.
    pub preconditions: Option<Preconditions>,
    /// Deprecated form of `propagationPolicy`.
    pub orphan_dependents: Option<bool>,
    /// `Orphan`, `Background` or `Foreground`.
    pub propagation_policy: Option<String>,
    /// `["All"]` for a dry run.
    pub dry_run: Option<Vec<String>>,
}

impl DeleteOptions {
    /// The options that stand in the query, for a delete without a body.
    ///
    /// # Errors
    /// 400 or 422 with the field at fault.
    pub fn from_query(query: &Query) -> Result<Self, Status> {
        let text = |key| given(query, key).map(str::to_owned);
        let (uid, resource_version) = (text("uid"), text("resourceVersion"));
        let dry_run: Vec<String> = query.all("dryRun").map(str::to_owned).collect();
        let options = Self {
            grace_period_seconds: number(query, "gracePeriodSeconds")?,
            preconditions: (uid.is_some() || resource_version.is_some())
                .then_some(Preconditions { uid, resource_version }),
            orphan_dependents: query.get("orphanDependents").map(|_| query.flag("orphanDependents")),
            propagation_policy: query.get("propagationPolicy").map(str::to_owned),
            dry_run: (!dry_run.is_empty()).then_some(dry_run),
        };
        options.check()?;
        Ok(options)
    }

    /// Whether everything but the deletion is done.
    pub fn is_dry_run(&self) -> bool {
        self.dry_run.as_ref().is_some_and(|values| !values.is_empty())
    }

    /// The seconds that the client gives the object to end; a negative number is taken for 1, as upstream takes it.
    pub fn grace_seconds(&self) -> Option<i64> {
        self.grace_period_seconds.map(|seconds| if seconds < 0 { 1 } else { seconds })
    }

    /// Checks the values against what is allowed; all of it at once.
    ///
    /// # Errors
    /// 422 with the fields at fault, in the words of upstream's `ValidateDeleteOptions`.
    pub fn check(&self) -> Result<(), Status> {
        let mut causes = Vec::new();
        if let Some(policy) = self.propagation_policy.as_deref() {
            if self.orphan_dependents.is_some() {
                let why = "orphanDependents and deletionPropagation cannot be both set";
                let message = format!("Invalid value: {policy:?}: {why}");
                let (reason, field) = ("FieldValueInvalid".into(), "propagationPolicy".into());
                causes.push(Cause { reason, message, field });
            }
            if !matches!(policy, "Orphan" | "Background" | "Foreground") {
                let allowed = "\"Foreground\", \"Background\", \"Orphan\", \"nil\"";
                causes.push(not_supported("propagationPolicy", &format!("{policy:?}"), allowed));
            }
        }
        let dry_run = self.dry_run.as_deref().unwrap_or_default();
        if dry_run.iter().any(|value| value != "All") {
            let values: Vec<String> = dry_run.iter().map(|value| format!("{value:?}")).collect();
            causes.push(not_supported("dryRun", &format!("[]string{{{}}}", values.join(", ")), "\"All\""));
        }
        if causes.is_empty() {
            Ok(())
        } else {
            Err(Status::invalid("meta.k8s.io", "DeleteOptions", "", causes))
        }
    }
}

fn not_supported(field: &str, found: &str, allowed: &str) -> Cause {
    let message = format!("Unsupported value: {found}: supported values: {allowed}");
    Cause { reason: "FieldValueNotSupported".into(), message, field: field.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(query: &str, watch: bool) -> Result<ListOptions, Status> {
        ListOptions::parse(&Query::parse(Some(query)).unwrap(), watch)
    }

    #[test]
    fn list_options_are_read() {
        let options =
            list("resourceVersion=12&resourceVersionMatch=Exact&labelSelector=a%3Db", false).unwrap();
        assert_eq!((options.resource_version, options.version_match), (Some(12), Some(VersionMatch::Exact)));
        assert!(!options.labels.is_empty());
        let initial = list("sendInitialEvents=true&resourceVersionMatch=NotOlderThan", true).unwrap();
        assert_eq!(initial.send_initial_events, Some(true));
    }

    #[test]
    fn bad_options_are_refused_with_their_code() {
        for (query, watch, code) in [
            ("resourceVersion=x", false, 400),
            ("resourceVersion=%2B1", false, 400),
            ("resourceVersion=-1", false, 400),
            ("resourceVersion=18446744073709551616", false, 400),
            ("resourceVersionMatch=Exact", false, 422),
            ("sendInitialEvents=true", false, 422),
            ("sendInitialEvents=true", true, 422),
            ("resourceVersionMatch=Exact&resourceVersion=1", true, 422),
            ("labelSelector=%3D", false, 400),
            ("timeoutSeconds=soon", true, 400),
            ("resourceVersionMatch=Newest&resourceVersion=1", false, 422),
            ("resourceVersionMatch=Exact&resourceVersion=0", false, 422),
            ("resourceVersionMatch=NotOlderThan&resourceVersion=0&continue=x", false, 422),
            ("continue=x&resourceVersion=5", false, 400),
            ("limit=some", false, 400),
            ("limit=", false, 400),
            ("timeoutSeconds=", true, 400),
            ("limit=9223372036854775808", false, 400),
        ] {
            assert_eq!(list(query, watch).unwrap_err().code, code, "{query}");
        }
        for query in ["limit=0", "limit=-1", "limit=9223372036854775807", "continue=x&resourceVersion=0"] {
            assert!(list(query, false).is_ok(), "{query}");
        }
    }

    #[test]
    fn a_watch_of_no_version_asks_for_the_end_of_its_initial_events() {
        for (query, initial) in [
            ("watch=1", Some(true)),
            ("watch=true&resourceVersion=0", Some(true)),
            ("watch=true&resourceVersion=", Some(true)),
            ("watch=true&resourceVersion=1", None),
            ("", None),
            ("watch=true&sendInitialEvents=false&resourceVersionMatch=NotOlderThan", Some(false)),
        ] {
            assert_eq!(list(query, true).unwrap().send_initial_events, initial, "{query}");
        }
        assert_eq!(list("watch=true", false).unwrap().send_initial_events, None);
    }

    #[test]
    fn a_list_of_any_version_has_no_pages() {
        for (query, limit) in [
            ("limit=1", Some(1)),
            ("limit=1&resourceVersion=7", Some(1)),
            ("limit=1&resourceVersion=0", None),
            ("limit=1&resourceVersion=0&resourceVersionMatch=NotOlderThan", None),
            ("limit=1&resourceVersion=0&continue=x", Some(1)),
        ] {
            assert_eq!(list(query, false).unwrap().limit, limit, "{query}");
        }
    }

    #[test]
    fn all_that_cannot_be_meant_is_said_at_once() {
        let both = list("resourceVersionMatch=Newest&sendInitialEvents=0", false).unwrap_err();
        assert_eq!(
            both.message,
            "ListOptions.meta.k8s.io \"\" is invalid: [resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden \
             unless resourceVersion is provided, resourceVersionMatch: Unsupported value: \"Newest\": supported values: \
             \"Exact\", \"NotOlderThan\", \"\", sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list]"
        );
    }

    #[test]
    fn a_page_of_a_named_version_is_of_exactly_that_version() {
        for (query, exact) in [
            ("resourceVersion=7", None),
            ("resourceVersion=7&limit=1", Some(7)),
            ("resourceVersion=0&limit=1", None),
            ("resourceVersion=7&limit=1&resourceVersionMatch=NotOlderThan", None),
            ("resourceVersion=7&resourceVersionMatch=Exact", Some(7)),
        ] {
            assert_eq!(list(query, false).unwrap().exact_version(), exact, "{query}");
        }
    }

    #[test]
    fn delete_options_are_read_from_a_query() {
        let parse = |text: &str| DeleteOptions::from_query(&Query::parse(Some(text)).unwrap());
        let options = parse("gracePeriodSeconds=-5&propagationPolicy=Foreground&uid=u&dryRun=All").unwrap();
        assert_eq!((options.grace_seconds(), options.is_dry_run()), (Some(1), true));
        assert_eq!(options.propagation_policy.as_deref(), Some("Foreground"));
        assert_eq!(options.preconditions.unwrap().uid.as_deref(), Some("u"));
        assert_eq!(parse("orphanDependents=false").unwrap().orphan_dependents, Some(false));
        assert_eq!(parse("gracePeriodSeconds=soon").unwrap_err().code, 400);
    }

    #[test]
    fn faults_of_delete_options_are_told_at_once_in_upstreams_words() {
        let parse = |text: &str| DeleteOptions::from_query(&Query::parse(Some(text)).unwrap());
        let fault = parse("propagationPolicy=Never&orphanDependents=true&dryRun=Some").unwrap_err();
        assert_eq!(
            fault.message,
            "DeleteOptions.meta.k8s.io \"\" is invalid: [propagationPolicy: Invalid value: \"Never\": orphanDependents and \
             deletionPropagation cannot be both set, propagationPolicy: Unsupported value: \"Never\": supported values: \
             \"Foreground\", \"Background\", \"Orphan\", \"nil\", dryRun: Unsupported value: []string{\"Some\"}: supported \
             values: \"All\"]"
        );
        assert_eq!((fault.code, fault.details.unwrap().causes.len()), (422, 3));
    }
}
