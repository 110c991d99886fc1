//! watch: the present state if asked for, then every change. A watch holds a position in the cache's window, no queue; its
//! body is polled by whoever writes to the client, so that a client which does not read costs what its socket holds.

mod begin;
mod encode;
mod events;
mod initial;
mod schedule;
mod upgrade;

use detectviz_api::Status;
use detectviz_api::negotiate::presentation;
use detectviz_api::options::ListOptions;
use detectviz_core::http::{Body, Response};
use http::{HeaderValue, header};

use self::encode::Encoder;
use self::events::Events;
use super::Call;
use super::filter::Filter;
use super::present::View;

/// The most objects or events that are looked at before others get a turn.
const MAX_SCANNED: usize = 512;

pub(super) async fn watch(call: Call) -> Result<Response, Status> {
    let query = &call.context.info.query;
    let view = View::new(presentation(call.accept())?, query)?;
    let options = ListOptions::parse(query, true)?;
    let filter = Filter::new(&call, &options)?;
    let upgrade = upgrade::wanted(&call)?;
    let encoder = Encoder::new(&call.resource, view);
    let body = if options.timeout_seconds.is_some_and(i64::is_negative) {
        // Its time is over: upstream ends it before it begins.
        Body::empty()
    } else {
        match call.begin(&options).await {
            Ok(begun) => {
                Body::stream(Events::new(&call, encoder, filter, &options, begun, upgrade.is_none()))
            }
            // Past the checks of the request, a watch reports its faults as an event, as upstream does.
            Err(fault) => Body::full(encode::error(&fault)),
        }
    };
    Ok(match upgrade {
        Some(upgrade) => upgrade.accept(body),
        None => respond(body),
    })
}

fn respond(body: Body) -> Response {
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
