//! What every write has in common, in its order: the schema has its say, the books of fields are kept, plugins change the
//! object, the strategy prepares it, all of it is checked, and plugins may still refuse.

use detectviz_api::options::{FieldValidation, WriteKind, WriteOptions};
use detectviz_api::{Cause, Status, meta, timestamp};
use detectviz_core::http::Response;
use detectviz_schema::CompiledVersion;
use detectviz_schema::managed::{Writer, managed_faults};
use http::{StatusCode, header};
use serde_json::Value;

use super::Call;
use super::metadata::{dedup_owners, update_faults};
use super::output::Output;
use super::present::warn;
use super::scale;
use crate::admission::{Operation, Options};
use crate::resource::Part;

/// The kind in which an endpoint reads and writes: the resource's own, or `Scale`.
#[derive(Clone, Copy)]
pub(super) struct Form<'a> {
    pub(super) version: &'a CompiledVersion,
    pub(super) group: &'a str,
    pub(super) kind: &'a str,
    pub(super) api_version: &'a str,
    /// Whether bodies may be protobuf.
    pub(super) protobuf: bool,
    /// Whether a user made the kind.
    pub(super) custom: bool,
}

/// One write: what is asked, and by whom.
pub(super) struct Write<'a> {
    pub(super) call: &'a Call,
    pub(super) part: Part,
    kind: WriteKind,
    pub(super) form: Form<'a>,
    pub(super) options: WriteOptions,
    manager: String,
    now: String,
}

/// An object on its way to the store, with what came to light on the way.
#[derive(Clone)]
pub(super) struct Draft {
    pub(super) object: Value,
    pub(super) warnings: Vec<String>,
    /// What the schema has against it.
    causes: Vec<Cause>,
}

/// A write that was done.
pub(super) struct Written {
    pub(super) code: StatusCode,
    /// The object as it is served.
    pub(super) json: bytes::Bytes,
    pub(super) warnings: Vec<String>,
}

impl Draft {
    /// A draft of an object that the schema has `causes` against.
    pub(super) fn new(object: Value, warnings: Vec<String>, causes: Vec<Cause>) -> Self {
        Self { object, warnings, causes }
    }
}

impl Written {
    /// The answer.
    pub(super) fn respond(self, call: &Call, output: &Output) -> Result<Response, Status> {
        let mut response = output.object(&call.resource, self.code, &self.json)?;
        warn(&mut response, &self.warnings);
        Ok(response)
    }
}

impl Call {
    /// The kind of `part`.
    pub(super) fn form(&self, part: Part) -> Form<'_> {
        let resource = &self.resource;
        match part {
            Part::Scale => scale::form(resource.definition.extensions.custom),
            Part::Whole | Part::Fields(_) => Form {
                version: &resource.version,
                group: &resource.gvr.group,
                kind: resource.kind(),
                api_version: &resource.api_version,
                protobuf: resource.definition.extensions.protobuf,
                custom: resource.definition.extensions.custom,
            },
        }
    }
}

impl<'a> Write<'a> {
    /// The write that `call` asks for.
    ///
    /// # Errors
    /// 422 for bad options.
    pub(super) fn new(call: &'a Call, part: Part, kind: WriteKind) -> Result<Self, Status> {
        let options = WriteOptions::parse(&call.context.info.query, kind)?;
        let user_agent = call.headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
        let manager = options.manager(user_agent.unwrap_or_default()).into_owned();
        Ok(Self { call, part, kind, form: call.form(part), options, manager, now: timestamp::now() })
    }

    /// The object that was read, pruned, defaulted and held against its schema. `found` are the fields that stood twice;
    /// `refuse` says how unknown fields are refused where they are.
    pub(super) fn draft(
        &self,
        mut object: Value,
        found: &[String],
        refuse: impl FnOnce(&str, &Value) -> Status,
    ) -> Result<Draft, Status> {
        if meta::depth(&object) > meta::MAX_DEPTH {
            let message = format!("the object is nested more than {} levels deep", meta::MAX_DEPTH);
            return Err(Status::bad_request(message));
        }
        let patched = self.kind != WriteKind::Create && self.kind != WriteKind::Update;
        let twice = dedup_owners(&mut object, patched);
        let admitted = self.form.version.admit(&mut object);
        if let Some(why) = admitted.mistyped {
            return Err(refuse(&why, &object));
        }
        let unknown = admitted.unknown.iter().map(|path| format!("unknown field {path:?}"));
        let mut warnings: Vec<String> = match self.options.field_validation {
            FieldValidation::Ignore => Vec::new(),
            _ => found.iter().cloned().chain(unknown).collect(),
        };
        if self.options.field_validation == FieldValidation::Strict && !warnings.is_empty() {
            return Err(refuse(&format!("strict decoding error: {}", warnings.join(", ")), &object));
        }
        warnings.extend(twice);
        let causes = self.concerned(admitted.causes);
        if self.part != Part::Scale {
            self.call.resource.strategy.normalize(&mut object);
        }
        Ok(Draft::new(object, warnings, causes))
    }

    /// The faults that are in what this write takes.
    fn concerned(&self, mut causes: Vec<Cause>) -> Vec<Cause> {
        let inside = |cause: &Cause, field: &str| {
            cause
                .field
                .strip_prefix(field)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        match self.part {
            Part::Whole if self.call.resource.has_status() => {
                causes.retain(|cause| !inside(cause, "status"));
            }
            Part::Whole | Part::Scale => {}
            Part::Fields(fields) => {
                causes.retain(|cause| fields.iter().any(|field| inside(cause, field)));
            }
        }
        causes
    }

    /// Who writes, for the books.
    pub(super) fn writer(&self) -> Writer<'_> {
        Writer {
            manager: &self.manager,
            subresource: &self.call.info().subresource,
            api_version: self.form.api_version,
            now: &self.now,
        }
    }

    /// Hands `then` the fields that this write does not take.
    pub(super) fn with_reset<T>(&self, then: impl FnOnce(&[&[&str]]) -> T) -> T {
        let resource = &self.call.resource;
        if let Some(reset) = resource.strategy.reset_fields(&self.call.info().subresource) {
            return then(reset);
        }
        let mut names: Vec<[&str; 1]> = Vec::new();
        match self.part {
            Part::Whole if resource.has_status() => names.push(["status"]),
            Part::Whole => {}
            // Who scales owns the number that is asked for, and nothing of what is there.
            Part::Scale => names.push(["status"]),
            Part::Fields(taken) => {
                let known = resource.declared.schema.open_api_v3_schema.properties.keys();
                let kept = known.map(String::as_str).filter(|name| {
                    !matches!(*name, "apiVersion" | "kind" | "metadata") && !taken.contains(name)
                });
                names.extend(kept.map(|name| [name]));
                if !resource.strategy.takes_metadata(&self.call.info().subresource) {
                    names.push(["metadata"]);
                }
            }
        }
        let paths: Vec<&[&str]> = names.iter().map(<[&str; 1]>::as_slice).collect();
        then(&paths)
    }

    /// Keeps the books of a write that is no apply.
    pub(super) fn manage(&self, live: Option<&Value>, object: &mut Value) {
        self.with_reset(|reset| self.form.version.manage_update(live, object, &self.writer(), reset));
    }

    /// Lets plugins change the object. Books that they damage are put back, and what they changed is held against the
    /// schema again.
    pub(super) async fn mutate(
        &self,
        operation: Operation,
        draft: &mut Draft,
        old: Option<&Value>,
    ) -> Result<(), Status> {
        let admission = &self.call.resource.admission;
        let before = admission.mutates().then(|| managed_fields(&draft.object).cloned());
        let mut attributes =
            self.call.attributes(operation, &mut draft.object, old, self.admission_options());
        admission.mutate(&mut attributes).await?;
        if let Some(before) = before {
            self.restore_books(draft, before);
            let mutated = true;
            draft.warnings.extend(dedup_owners(&mut draft.object, mutated));
            let admitted = self.form.version.admit(&mut draft.object);
            if let Some(why) = admitted.mistyped {
                return Err(Status::internal(why));
            }
            draft.causes = self.concerned(admitted.causes);
        }
        Ok(())
    }

    fn restore_books(&self, draft: &mut Draft, before: Option<Value>) {
        let faults = managed_faults(&draft.object);
        let Some(fault) = faults.first() else { return };
        draft.warnings.push(format!(
            ".metadata.managedFields was in an invalid state after admission; this could be caused by an outdated mutating \
             admission controller; please fix your requests: {}: {}",
            fault.field, fault.message
        ));
        if let Some(metadata) = meta::of_mut(&mut draft.object) {
            match before {
                Some(before) => metadata.insert("managedFields".to_owned(), before),
                None => metadata.remove("managedFields"),
            };
        }
    }

    /// Refuses what is not valid, all faults at once; collects warnings about what is.
    pub(super) fn validate(&self, draft: &mut Draft, old: Option<&Value>) -> Result<(), Status> {
        let resource = &self.call.resource;
        let object = &draft.object;
        let subject = meta::Subject {
            namespaced: resource.definition.is_namespaced(),
            name_rule: resource.definition.extensions.name_rule,
            built_in: resource.version.is_built_in(),
        };
        let mut causes = meta::faults(object, subject);
        causes.extend(managed_faults(object));
        if let Some(old) = old {
            causes.extend(update_faults(object, old));
        }
        causes.append(&mut draft.causes);
        if causes.is_empty() {
            causes = match old {
                Some(old) => resource.strategy.validate_update(object, old),
                None => resource.strategy.validate(object),
            };
        }
        if !causes.is_empty() {
            return Err(Status::invalid(&resource.gvr.group, resource.kind(), meta::name(object), causes));
        }
        draft.warnings.extend(resource.strategy.warnings(object, old));
        Ok(())
    }

    /// Refuses what the schema has against the object alone.
    pub(super) fn check_schema(&self, draft: &Draft) -> Result<(), Status> {
        if draft.causes.is_empty() {
            return Ok(());
        }
        let Form { group, kind, .. } = self.form;
        Err(Status::invalid(group, kind, meta::name(&draft.object), draft.causes.clone()))
    }

    /// Lets plugins refuse the final object.
    pub(super) async fn admit(
        &self,
        operation: Operation,
        object: &mut Value,
        old: Option<&Value>,
    ) -> Result<(), Status> {
        let attributes = self.call.attributes(operation, object, old, self.admission_options());
        self.call.resource.admission.validate(&attributes).await
    }

    fn admission_options(&self) -> Options<'_> {
        Options::Write(&self.options)
    }
}

fn managed_fields(object: &Value) -> Option<&Value> {
    object.get("metadata")?.get("managedFields")
}

/// 400 for an object that is sent with unknown fields where they are refused.
pub(super) fn refuse_strictly(form: Form<'_>) -> impl FnOnce(&str, &Value) -> Status {
    let version = form.api_version.rsplit('/').next().unwrap_or_default().to_owned();
    let kind = form.kind.to_owned();
    move |fault, _| {
        Status::bad_request(format!("{kind} in version {version:?} cannot be handled as a {kind}: {fault}"))
    }
}
