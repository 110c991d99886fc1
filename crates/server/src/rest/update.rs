//! update: what was sent takes the place of what is there.

use detectviz_api::options::WriteKind;
use detectviz_api::{Status, meta};
use detectviz_core::http::{Body, Response};
use serde_json::Value;

use super::change::Intent;
use super::write::Write;
use super::{Call, scale};
use crate::resource::Part;

pub(super) async fn update(call: Call, body: Body, part: Part) -> Result<Response, Status> {
    let write = Write::new(&call, part, WriteKind::Update)?;
    let output = call.output()?;
    let incoming = call.incoming(body, write.form).await?;
    call.check_name(&incoming.object)?;
    call.check_namespace(&incoming.object)?;
    let intent = Intent::Replace(incoming.object, incoming.duplicates);
    let written = match part {
        Part::Scale => scale::change(&write, intent).await?,
        Part::Whole | Part::Fields(_) => write.change(intent).await?,
    };
    written.respond(&call, &output)
}

impl Call {
    fn check_namespace(&self, object: &Value) -> Result<(), Status> {
        let wanted = self.info().namespace.as_str();
        match meta::namespace(object) {
            "" => Ok(()),
            given if given == wanted || wanted.is_empty() => Ok(()),
            given => Err(Status::bad_request(format!(
                "the namespace of the object ({given}) does not match the namespace on the request ({wanted})"
            ))),
        }
    }
}
