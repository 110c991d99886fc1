//! The answer as the client wants it: what is shown, how it is written, and whether it is compressed, decided before
//! anything is done.

use bytes::Bytes;
use detectviz_api::negotiate::{Encoding, accepts_gzip, form, pretty};
use detectviz_api::{Status, Verb};
use detectviz_core::http::{Body, BoxError, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use http_body::{Body as HttpBody, Frame};
use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::Call;
use super::present::View;
use crate::encode::{Encoder, Gzip, MIN_GZIP};
use crate::resource::Resource;

/// What the client asked for in its headers and its query.
pub(super) struct Output {
    pub(super) view: View,
    encoding: Encoding,
    pretty: bool,
    gzip: bool,
}

impl Call {
    /// The output that the client wants of one object.
    ///
    /// # Errors
    /// 406 when it takes none on offer, 400 for a bad `includeObject`.
    pub(super) fn output(&self) -> Result<Output, Status> {
        self.output_of(false)
    }

    /// The output that the client wants of a list.
    ///
    /// # Errors
    /// As [`Self::output`].
    pub(super) fn list_output(&self) -> Result<Output, Status> {
        self.output_of(true)
    }

    fn output_of(&self, list: bool) -> Result<Output, Status> {
        let info = &self.context.info;
        let form = form(self.accept())?;
        let view = View::new(form.presentation, &info.query)?;
        view.check_shape(list, &self.resource)?;
        let reads = matches!(info.verb, Verb::Get | Verb::List);
        Ok(Output {
            view,
            encoding: form.encoding,
            pretty: form.pretty || pretty(&info.query, self.header(&header::USER_AGENT)),
            gzip: reads && accepts_gzip(self.header(&header::ACCEPT_ENCODING)),
        })
    }

    fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

impl Output {
    /// An answer with one object, whose JSON is given.
    pub(super) fn object(
        &self,
        resource: &Resource,
        code: StatusCode,
        json: &Bytes,
    ) -> Result<Response, Status> {
        Ok(self.document(code, self.view.object(resource, json)?))
    }

    /// An answer with a document that is no object of the resource, such as a `Status`.
    pub(super) fn document(&self, code: StatusCode, json: Bytes) -> Response {
        let bytes = self.encoder().encode(json);
        let gzip = self.gzip && bytes.len() > MIN_GZIP;
        let mut response = self.respond(Body::full(bytes), gzip);
        *response.status_mut() = code;
        response
    }

    /// What writes the answer down.
    pub(super) fn encoder(&self) -> Encoder {
        Encoder::new(self.encoding, self.pretty)
    }

    /// An answer whose body is streamed, in the encoding already. A short one is sent with its length; a long one is
    /// compressed, if the client takes that.
    ///
    /// # Errors
    /// 500 when the body fails before anything was sent.
    pub(super) async fn stream(&self, body: Body) -> Result<Response, Status> {
        let (begun, rest) = self.begin(body).await.map_err(Status::internal)?;
        let Some(rest) = rest else {
            let bytes = joined(begun);
            let gzip = self.gzip && bytes.len() > MIN_GZIP;
            return Ok(self.respond(Body::full(bytes), gzip));
        };
        Ok(self.respond(Body::stream(Begun { begun: begun.into(), rest }), self.gzip))
    }

    /// The first frames of a body, and the rest if there is one: as much as decides whether it is long.
    async fn begin(&self, mut body: Body) -> Result<(Vec<Bytes>, Option<Body>), BoxError> {
        let enough = if self.gzip { MIN_GZIP } else { 0 };
        let (mut begun, mut bytes) = (Vec::new(), 0);
        while let Some(frame) = body.frame().await {
            let data = frame?.into_data().unwrap_or_default();
            bytes += data.len();
            begun.push(data);
            if body.is_end_stream() {
                break;
            }
            if bytes > enough {
                return Ok((begun, Some(body)));
            }
        }
        Ok((begun, None))
    }

    fn respond(&self, body: Body, gzip: bool) -> Response {
        let body = if gzip { Body::stream(Gzip::new(body)) } else { body };
        let mut response = Response::new(body);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.encoding.media_type()));
        if gzip {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            headers.append(header::VARY, HeaderValue::from_static("Accept-Encoding"));
        }
        response
    }
}

fn joined(mut pieces: Vec<Bytes>) -> Bytes {
    if pieces.len() == 1 { pieces.remove(0) } else { pieces.concat().into() }
}

/// A body whose first frames were taken already.
struct Begun {
    begun: VecDeque<Bytes>,
    rest: Body,
}

impl HttpBody for Begun {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.begun.pop_front() {
            Some(data) => Poll::Ready(Some(Ok(Frame::data(data)))),
            None => Pin::new(&mut self.rest).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.begun.is_empty() && self.rest.is_end_stream()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use detectviz_api::negotiate::Presentation;
    use detectviz_api::query::Query;

    #[tokio::test]
    async fn a_body_is_compressed_if_it_is_long_whichever_piece_makes_it_so() {
        let view = View::new(Presentation::Object, &Query::default()).unwrap();
        for (gzip, bytes, compressed) in
            [(true, MIN_GZIP, false), (true, MIN_GZIP + 1, true), (false, MIN_GZIP + 1, false)]
        {
            let output = Output { view, encoding: Encoding::Json, pretty: false, gzip };
            let response = output.stream(Body::full(vec![b' '; bytes])).await.unwrap();
            assert_eq!(
                response.headers().contains_key(header::CONTENT_ENCODING),
                compressed,
                "{gzip} {bytes}"
            );
        }
    }
}
