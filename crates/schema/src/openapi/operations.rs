//! `paths`: where a resource is served, and what each method does there.

use detectviz_api::definition::{Backing, Names, Schema, Version};
use detectviz_api::resource::GroupVersion;
use serde_json::{Map, Value, json};

use super::Published;
use super::components::{reference, shared};
use super::parameters::{self, Query};

const JSON: &str = "application/json";
const WATCH: &str = "application/json;stream=watch";
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
const JSON_PATCH: &str = "application/json-patch+json";
const MERGE_PATCH: &str = "application/merge-patch+json";
const STRATEGIC_PATCH: &str = "application/strategic-merge-patch+json";
const APPLY_PATCH: &str = "application/apply-patch+yaml";

/// A resource in one of its versions.
pub(super) struct Resource<'a> {
    group_version: &'a GroupVersion,
    published: Published<'a>,
    version: &'a Version,
}

/// What a method does at a path.
#[derive(Clone, Copy)]
enum Action {
    List,
    Create,
    Read,
    Replace,
    Patch,
    Delete,
    DeleteCollection,
}

/// A path of a resource.
struct Place {
    path: String,
    actions: &'static [Action],
    /// The parameters in the path.
    parameters: Vec<&'static str>,
    /// What the operation id says between the verb and the end: `CoreV1NamespacedConfigMap`.
    subject: String,
    /// The subresource, or [`ACROSS`]: what the operation id says last.
    subresource: &'static str,
}

/// What an operation id says last of a collection in all namespaces.
const ACROSS: &str = "ForAllNamespaces";

const SCALE: &str = "scale";
/// The name of the component of `Scale`.
pub(super) const SCALE_COMPONENT: &str = "io.k8s.api.autoscaling.v1.Scale";

const COLLECTION: &[Action] = &[Action::List, Action::Create, Action::DeleteCollection];
const OBJECT: &[Action] = &[Action::Read, Action::Replace, Action::Patch, Action::Delete];
const SUBRESOURCE: &[Action] = &[Action::Read, Action::Replace, Action::Patch];

impl<'a> Resource<'a> {
    pub(super) fn new(
        group_version: &'a GroupVersion,
        published: Published<'a>,
        version: &'a Version,
    ) -> Self {
        Self { group_version, published, version }
    }

    pub(super) fn is_built_in(&self) -> bool {
        self.published.built_in
    }

    /// Whether there are objects to be read, and not just answers to creates.
    pub(super) fn is_stored(&self) -> bool {
        self.published.definition.extensions.backing == Backing::Stored
    }

    pub(super) fn names(&self) -> &'a Names {
        &self.published.definition.names
    }

    pub(super) fn schema(&self) -> &'a Schema {
        &self.version.schema.open_api_v3_schema
    }

    /// A kind of the resource's group and version, as `x-kubernetes-group-version-kind` says it.
    pub(super) fn kind(&self, kind: &str) -> Value {
        json!({"group": &*self.group_version.group, "version": &*self.group_version.version, "kind": kind})
    }

    /// The name of a kind's component: upstream's Go package for a built-in kind, the reversed group for any other.
    pub(super) fn component(&self, kind: &str) -> String {
        let (group, version) = (&*self.group_version.group, &self.group_version.version);
        let first = group.split('.').next().unwrap_or_default();
        let package = match group {
            "" => "io.k8s.api.core".to_owned(),
            "apiregistration.k8s.io" => "io.k8s.kube-aggregator.pkg.apis.apiregistration".to_owned(),
            "apiextensions.k8s.io" => "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions".to_owned(),
            _ if self.published.built_in && (group == first || group.ends_with(".k8s.io")) => {
                format!("io.k8s.api.{first}")
            }
            _ => group.rsplit('.').collect::<Vec<_>>().join("."),
        };
        format!("{package}.{version}.{kind}")
    }

    /// Whether its objects have a `/scale`.
    pub(super) fn has_scale(&self) -> bool {
        self.version.subresources.as_ref().is_some_and(|some| some.scale.is_some())
    }

    /// The path items of the resource.
    pub(super) fn paths(&self) -> Map<String, Value> {
        self.places().into_iter().map(|place| (place.path.clone(), self.item(&place))).collect()
    }

    fn places(&self) -> Vec<Place> {
        let namespaced = self.published.definition.is_namespaced();
        let (base, plural) = (self.group_version.path(), &self.names().plural);
        let (scope, within, scoped) = match namespaced {
            true => ("/namespaces/{namespace}", vec!["namespace"], "Namespaced"),
            false => ("", vec![], ""),
        };
        let named: Vec<_> = ["name"].into_iter().chain(within.iter().copied()).collect();
        let place = |path: String, actions, parameters: &Vec<_>, scoped, subresource| Place {
            path,
            actions,
            parameters: parameters.clone(),
            subject: format!("{}{scoped}{}", self.title(), self.names().kind),
            subresource,
        };
        let collection = format!("{base}{scope}/{plural}");
        let object = format!("{collection}/{{name}}");
        if !self.is_stored() {
            return vec![place(collection, &[Action::Create], &within, scoped, "")];
        }
        let mut places = vec![
            place(collection, &COLLECTION[..self.collection_actions()], &within, scoped, ""),
            place(object.clone(), OBJECT, &named, scoped, ""),
        ];
        if namespaced {
            let all = format!("{base}/{plural}");
            places.push(place(all, &COLLECTION[..1], &vec![], "", ACROSS));
        }
        if self.has_scale() {
            places.push(place(format!("{object}/{SCALE}"), SUBRESOURCE, &named, scoped, SCALE));
        }
        if self.version.subresources.as_ref().is_some_and(|some| some.status.is_some()) {
            places.push(place(format!("{object}/status"), SUBRESOURCE, &named, scoped, "status"));
        }
        let others = self.published.subresources.iter();
        places
            .extend(others.map(|name| place(format!("{object}/{name}"), SUBRESOURCE, &named, scoped, name)));
        places
    }

    /// How many of [`COLLECTION`] there are: not every collection can be deleted as a whole.
    fn collection_actions(&self) -> usize {
        COLLECTION.len() - usize::from(self.published.definition.extensions.without_delete_collection)
    }

    /// The group and version as operation ids say them: `CoreV1`, `ServiceGrafanaAppV0alpha1`.
    fn title(&self) -> String {
        let group = match &*self.group_version.group {
            "" => "core",
            group => group.strip_suffix(".k8s.io").unwrap_or(group),
        };
        group.split(['.', '-']).chain([&*self.group_version.version]).map(capitalized).collect()
    }

    fn item(&self, place: &Place) -> Value {
        let actions = place.actions.iter();
        let operation = |action: &Action| (action.method().to_owned(), self.operation(*action, place));
        let mut item: Map<_, _> = actions.map(operation).collect();
        item.insert("parameters".to_owned(), parameters::of_path(&place.parameters));
        Value::Object(item)
    }

    fn operation(&self, action: Action, place: &Place) -> Value {
        let mut operation = json!({
            "description": action.description(&self.names().kind, place),
            "operationId": self.operation_id(action, place),
            "tags": [self.tag()],
            "parameters": action.query().parameters(),
            "responses": self.responses(action, place),
            "x-kubernetes-action": action.name(),
            "x-kubernetes-group-version-kind": self.kind_at(place),
        });
        if let Some(body) = self.body(action, place) {
            operation["requestBody"] = body;
        }
        operation
    }

    fn operation_id(&self, action: Action, place: &Place) -> String {
        let subject = match action {
            // `deleteCoreV1CollectionNamespacedConfigMap`
            Action::DeleteCollection => {
                place.subject.replacen(&self.title(), &format!("{}Collection", self.title()), 1)
            }
            _ => place.subject.clone(),
        };
        format!("{}{subject}{}", action.verb(), capitalized(place.subresource))
    }

    fn tag(&self) -> String {
        let group = match &*self.group_version.group {
            "" => "core",
            group => group,
        };
        format!("{group}_{}", self.group_version.version)
    }

    fn body(&self, action: Action, place: &Place) -> Option<Value> {
        let (content, required) = match action {
            Action::List | Action::Read => return None,
            Action::Create | Action::Replace => (self.encoded(&self.reference_at(place)), true),
            Action::Patch => (content(self.patches(), &shared("Patch")), true),
            Action::Delete | Action::DeleteCollection => (self.encoded(&shared("DeleteOptions")), false),
        };
        Some(json!({"content": content, "required": required}))
    }

    fn patches(&self) -> &'static [&'static str] {
        match self.published.built_in {
            true => &[JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH, APPLY_PATCH],
            false => &[JSON_PATCH, MERGE_PATCH, APPLY_PATCH],
        }
    }

    fn responses(&self, action: Action, place: &Place) -> Value {
        let success = match action {
            Action::List => self.list_content(),
            Action::Delete | Action::DeleteCollection => content(&[JSON], &shared("Status")),
            _ => self.encoded(&self.reference_at(place)),
        };
        let mut responses = json!({
            "default": {"description": "Failure", "content": content(&[JSON], &shared("Status"))},
        });
        for code in self.codes(action) {
            let (code, description) = code;
            responses[*code] = json!({"description": description, "content": success});
        }
        responses
    }

    fn codes(&self, action: Action) -> &'static [(&'static str, &'static str)] {
        match action {
            Action::Create => &[("201", "Created")],
            Action::Replace if self.published.definition.extensions.allow_create_on_update => {
                &[("200", "OK"), ("201", "Created")]
            }
            Action::Delete => &[("200", "OK"), ("202", "Accepted")],
            _ => &[("200", "OK")],
        }
    }

    fn list_content(&self) -> Value {
        let mut content = self.encoded(&reference(&self.component(&self.names().list_kind)));
        content[WATCH] = json!({"schema": shared("WatchEvent")});
        content
    }

    /// What is read and written at a path: the resource's kind, or `Scale`.
    fn reference_at(&self, place: &Place) -> Value {
        match place.subresource {
            SCALE => reference(SCALE_COMPONENT),
            _ => reference(&self.component(&self.names().kind)),
        }
    }

    fn kind_at(&self, place: &Place) -> Value {
        match place.subresource {
            SCALE => json!({"group": "autoscaling", "version": "v1", "kind": "Scale"}),
            _ => self.kind(&self.names().kind),
        }
    }

    /// `schema` in each encoding that the kind has.
    fn encoded(&self, schema: &Value) -> Value {
        match self.published.definition.extensions.protobuf {
            true => content(&[JSON, PROTOBUF], schema),
            false => content(&[JSON], schema),
        }
    }
}

fn content(media_types: &[&str], schema: &Value) -> Value {
    media_types.iter().map(|media_type| ((*media_type).to_owned(), json!({"schema": schema}))).collect()
}

fn capitalized(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}

impl Action {
    const fn method(self) -> &'static str {
        match self {
            Self::List | Self::Read => "get",
            Self::Create => "post",
            Self::Replace => "put",
            Self::Patch => "patch",
            Self::Delete | Self::DeleteCollection => "delete",
        }
    }

    /// The `x-kubernetes-action`.
    const fn name(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::DeleteCollection => "deletecollection",
            other => other.method(),
        }
    }

    /// The start of an operation id.
    const fn verb(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Create => "create",
            Self::Read => "read",
            Self::Replace => "replace",
            Self::Patch => "patch",
            Self::Delete | Self::DeleteCollection => "delete",
        }
    }

    const fn query(self) -> Query {
        match self {
            Self::List => Query::List,
            Self::Create | Self::Replace => Query::Write,
            Self::Patch => Query::Patch,
            Self::Read => Query::None,
            Self::Delete => Query::Delete,
            Self::DeleteCollection => Query::DeleteCollection,
        }
    }

    fn description(self, kind: &str, place: &Place) -> String {
        let object = match place.subresource {
            "" | ACROSS => format!("a {kind}"),
            subresource => format!("the {subresource} of a {kind}"),
        };
        match self {
            Self::List => format!("List or watch objects of kind {kind}."),
            Self::Create => format!("Create {object}."),
            Self::Read => format!("Read {object}."),
            Self::Replace => format!("Replace {object}."),
            Self::Patch => format!("Change parts of {object}."),
            Self::Delete => format!("Delete {object}."),
            Self::DeleteCollection => format!("Delete objects of kind {kind}."),
        }
    }
}
