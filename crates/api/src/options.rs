//! What a request asks for beyond its path: list, watch, write and delete options, read and checked at one place.

use serde::Deserialize;

use crate::query::Query;
use crate::selector::{FieldSelector, LabelSelector};
use crate::status::Status;

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
    /// The most items of a page; `None` means all.
    pub limit: Option<usize>,
    /// Where a page begins, as the page before it said.
    pub continue_token: Option<String>,
    /// Whether bookmarks are welcome in a watch.
    pub allow_bookmarks: bool,
    /// Whether a watch begins with the present state (WatchList, KEP-3157); left out, it does unless it names a version.
    pub send_initial_events: Option<bool>,
    /// After how many seconds the server ends the watch; 0 leaves it to the server, and a negative one is over already.
    pub timeout_seconds: Option<i64>,
}

impl ListOptions {
    /// Reads the options of a list, or of a watch if `watch`.
    ///
    /// # Errors
    /// 400 for an unreadable value, 422 for a forbidden combination.
    pub fn parse(query: &Query, watch: bool) -> Result<Self, Status> {
        let bad = |key: &str, why: String| Status::bad_request(format!("invalid {key}: {why}"));
        let labels = query
            .get("labelSelector")
            .unwrap_or_default()
            .parse()
            .map_err(|why| bad("labelSelector", why))?;
        let fields = query
            .get("fieldSelector")
            .unwrap_or_default()
            .parse()
            .map_err(|why| bad("fieldSelector", why))?;
        let options = Self {
            labels,
            fields,
            resource_version: resource_version(query)?,
            version_match: version_match(query)?,
            limit: number::<u64>(query, "limit")?
                .filter(|limit| *limit > 0)
                .map(|limit| usize::try_from(limit).unwrap_or(usize::MAX)),
            continue_token: query.get("continue").filter(|token| !token.is_empty()).map(str::to_owned),
            allow_bookmarks: query.flag("allowWatchBookmarks"),
            send_initial_events: query.get("sendInitialEvents").map(|_| query.flag("sendInitialEvents")),
            timeout_seconds: number(query, "timeoutSeconds")?,
        };
        options.check(watch, query)?;
        Ok(options)
    }

    fn check(&self, watch: bool, query: &Query) -> Result<(), Status> {
        if self.continue_token.is_some() && self.resource_version.is_some_and(|version| version > 0) {
            return Err(Status::bad_request(
                "specifying resource version is not allowed when using continue",
            ));
        }
        let forbidden = |field: &str, why: &str| {
            let cause = crate::Cause {
                reason: "FieldValueForbidden".into(),
                message: format!("Forbidden: {why}"),
                field: field.into(),
            };
            Err(Status::invalid("meta.k8s.io", "ListOptions", "", vec![cause]))
        };
        let initial = query.get("sendInitialEvents").is_some();
        match (watch, initial, self.version_match) {
            (false, true, _) => forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"),
            (true, false, Some(_)) => forbidden(
                "resourceVersionMatch",
                "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
            ),
            (true, true, matched) if matched != Some(VersionMatch::NotOlderThan) => forbidden(
                "resourceVersionMatch",
                "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
            ),
            (false, _, Some(_)) if self.resource_version.is_none() => forbidden(
                "resourceVersionMatch",
                "resourceVersionMatch is forbidden unless resourceVersion is provided",
            ),
            (false, _, Some(VersionMatch::Exact)) if self.resource_version == Some(0) => forbidden(
                "resourceVersionMatch",
                "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"",
            ),
            _ => Ok(()),
        }
    }
}

fn resource_version(query: &Query) -> Result<Option<u64>, Status> {
    match query.get("resourceVersion") {
        None | Some("") => Ok(None),
        Some(text) => text.parse().map(Some).map_err(|_| {
            Status::bad_request(format!(
                "invalid resourceVersion {text:?}: must be a whole number, such as a list returned"
            ))
        }),
    }
}

fn version_match(query: &Query) -> Result<Option<VersionMatch>, Status> {
    match query.get("resourceVersionMatch") {
        None | Some("") => Ok(None),
        Some("NotOlderThan") => Ok(Some(VersionMatch::NotOlderThan)),
        Some("Exact") => Ok(Some(VersionMatch::Exact)),
        Some(other) => Err(Status::bad_request(format!(
            "invalid resourceVersionMatch {other:?}: supported values: \"Exact\", \"NotOlderThan\""
        ))),
    }
}

fn number<T: std::str::FromStr>(query: &Query, key: &str) -> Result<Option<T>, Status> {
    let Some(text) = query.get(key).filter(|text| !text.is_empty()) else { return Ok(None) };
    text.parse()
        .map(Some)
        .map_err(|_| Status::bad_request(format!("invalid {key} {text:?}: must be a whole number")))
}

/// What happens to unknown and duplicate fields of a written object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FieldValidation {
    /// They are dropped silently.
    Ignore,
    /// They are dropped, with a `Warning` header each. The default, as upstream since 1.27.
    #[default]
    Warn,
    /// The request is refused.
    Strict,
}

/// The options of create, update and patch.
#[derive(Clone, Debug, Default)]
pub struct WriteOptions {
    /// Do everything but the write.
    pub dry_run: bool,
    /// Who manages the written fields.
    pub field_manager: String,
    /// What happens to fields that the schema does not know.
    pub field_validation: FieldValidation,
}

impl WriteOptions {
    /// Reads the options of a write.
    ///
    /// # Errors
    /// 422 with the field at fault.
    pub fn parse(query: &Query) -> Result<Self, Status> {
        let field_validation = match query.get("fieldValidation") {
            None | Some("") => FieldValidation::default(),
            Some("Ignore") => FieldValidation::Ignore,
            Some("Warn") => FieldValidation::Warn,
            Some("Strict") => FieldValidation::Strict,
            Some(other) => {
                return Err(unsupported(
                    "CreateOptions",
                    "fieldValidation",
                    other,
                    "\"Ignore\", \"Strict\", \"Warn\"",
                ));
            }
        };
        let field_manager = query.get("fieldManager").unwrap_or_default().to_owned();
        Ok(Self { dry_run: dry_run(query, "CreateOptions")?, field_manager, field_validation })
    }
}

fn dry_run(query: &Query, options: &str) -> Result<bool, Status> {
    let mut asked = false;
    for value in query.all("dryRun") {
        match value {
            "All" => asked = true,
            "" => {}
            other => return Err(unsupported(options, "dryRun", other, "\"All\"")),
        }
    }
    Ok(asked)
}

fn unsupported(options: &str, field: &str, value: &str, allowed: &str) -> Status {
    let message = format!("Unsupported value: {value:?}: supported values: {allowed}");
    let cause = crate::Cause { reason: "FieldValueNotSupported".into(), message, field: field.into() };
    Status::invalid("meta.k8s.io", options, "", vec![cause])
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
        let propagation_policy = query.get("propagationPolicy").map(str::to_owned);
        let dry_run = dry_run(query, "DeleteOptions")?.then(|| vec!["All".to_owned()]);
        let options = Self { propagation_policy, dry_run, ..Self::default() };
        options.check()?;
        Ok(options)
    }

    /// Whether everything but the deletion is done.
    pub fn is_dry_run(&self) -> bool {
        self.dry_run.as_ref().is_some_and(|values| !values.is_empty())
    }

    /// Checks the values against what is allowed.
    ///
    /// # Errors
    /// 422 with the field at fault.
    pub fn check(&self) -> Result<(), Status> {
        if let Some(policy) = self.propagation_policy.as_deref()
            && !matches!(policy, "Orphan" | "Background" | "Foreground")
        {
            return Err(unsupported(
                "DeleteOptions",
                "propagationPolicy",
                policy,
                "\"Background\", \"Foreground\", \"Orphan\"",
            ));
        }
        match self.dry_run.iter().flatten().find(|value| *value != "All") {
            Some(other) => Err(unsupported("DeleteOptions", "dryRun", other, "\"All\"")),
            None => Ok(()),
        }
    }
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
            ("resourceVersionMatch=Exact", false, 422),
            ("sendInitialEvents=true", false, 422),
            ("sendInitialEvents=true", true, 422),
            ("resourceVersionMatch=Exact&resourceVersion=1", true, 422),
            ("labelSelector=%3D", false, 400),
            ("timeoutSeconds=-1", true, 400),
            ("resourceVersionMatch=Newest", false, 400),
            ("resourceVersionMatch=Exact&resourceVersion=0", false, 422),
            ("continue=x&resourceVersion=5", false, 400),
            ("limit=-1", false, 400),
        ] {
            assert_eq!(list(query, watch).unwrap_err().code, code, "{query}");
        }
    }

    #[test]
    fn write_options_are_read() {
        let parse = |text: &str| WriteOptions::parse(&Query::parse(Some(text)).unwrap());
        let options = parse("dryRun=All&fieldValidation=Strict&fieldManager=me").unwrap();
        assert!(
            options.dry_run
                && options.field_validation == FieldValidation::Strict
                && options.field_manager == "me"
        );
        assert_eq!(parse("dryRun=Some").unwrap_err().code, 422);
        assert_eq!(parse("fieldValidation=Loose").unwrap_err().code, 422);
    }
}
