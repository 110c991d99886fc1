//! Resources of which nothing is kept: to create an object is to ask, and what comes back is the object with its answer.

use detectviz_api::options::WriteKind;
use detectviz_api::{Status, Verb};
use detectviz_core::http::{Body, Response};
use http::StatusCode;
use serde_json::json;

use super::Call;
use super::write::{Draft, Write, Written, refuse_strictly};
use crate::admission::Operation;
use crate::resource::Part;

/// Answers a request, which must be a create.
pub(super) async fn answer(call: Call, body: Body) -> Result<Response, Status> {
    let info = call.info();
    if !info.subresource.is_empty() {
        return Err(Status::no_such_path());
    }
    if call.context.info.verb != Verb::Create || !info.name.is_empty() {
        return Err(Status::method_not_allowed());
    }
    let write = Write::new(&call, Part::Whole, WriteKind::Create)?;
    let output = call.output()?;
    let mut incoming = call.incoming(body, write.form).await?;
    // The status is ours to say. Clients send an empty one along, which need not be valid.
    incoming.object.as_object_mut().map(|map| map.remove("status"));
    let draft = write.draft(incoming.object, &incoming.duplicates, refuse_strictly(write.form))?;
    write.compute(draft).await?.respond(&call, &output)
}

impl Write<'_> {
    /// The object with its answer. A dry run is no different: nothing is kept either way.
    async fn compute(&self, mut draft: Draft) -> Result<Written, Status> {
        if let Some(map) = draft.object.as_object_mut() {
            map.entry("metadata").or_insert_with(|| json!({}));
        }
        self.call.place(&mut draft.object)?;
        self.mutate(Operation::Create, &mut draft, None).await?;
        self.check_schema(&draft)?;
        let strategy = &self.call.resource.strategy;
        let causes = strategy.validate(&draft.object);
        if !causes.is_empty() {
            return Err(Status::invalid(self.form.group, self.form.kind, "", causes));
        }
        self.admit(Operation::Create, &mut draft.object, None).await?;
        strategy.answer(&self.call.context.identity, &mut draft.object)?;
        let Draft { object, warnings, .. } = draft;
        Ok(Written { code: StatusCode::CREATED, json: object.to_string().into(), warnings })
    }
}
