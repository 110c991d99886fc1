//! What a connection becomes once its last answer said 101: a WebSocket of our own, or a tunnel to somebody else.

use detectviz_core::RunContext;
use detectviz_core::http::Body;
use detectviz_core::tunnel::Tunnel;
use http::{HeaderValue, StatusCode, header};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use std::sync::{Arc, Mutex, PoisonError};

use super::activity::Sent;
use super::websocket;
use crate::upgrade::Messages;

/// The place where a connection finds what it becomes.
#[derive(Clone, Default)]
pub(super) struct Switch(Arc<Mutex<Option<Accepted>>>);

/// A request for another protocol that was accepted.
pub(super) struct Accepted {
    upgrade: OnUpgrade,
    /// Kept to the end: it holds the place of the one who asked.
    body: Body,
    into: Into,
}

enum Into {
    WebSocket(Messages),
    Tunnel(Tunnel),
}

impl Switch {
    /// Keeps what an answer accepts until the connection is switched, and gives the head. An answer that accepts nothing
    /// is the connection's last: what a client has sent behind it was meant for another protocol (CVE-2018-1002105).
    pub(super) fn accept(
        &self,
        upgrade: OnUpgrade,
        mut response: http::Response<Sent>,
    ) -> http::Response<Sent> {
        let extensions = response.extensions_mut();
        let messages = extensions.remove::<Messages>().map(Into::WebSocket);
        let into = messages.or_else(|| extensions.remove::<Tunnel>().map(Into::Tunnel));
        let Some(into) = into.filter(|_| response.status() == StatusCode::SWITCHING_PROTOCOLS) else {
            return last(response);
        };
        let (head, body) = response.into_parts();
        let accepted = Accepted { upgrade, body: Body::stream(body), into };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).replace(accepted);
        http::Response::from_parts(head, Sent::new(Body::empty(), None))
    }

    /// What was accepted, if anything.
    pub(super) fn take(&self) -> Option<Accepted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Accepted {
    /// Goes on for as long as the connection is what it became; it ends by itself when the server stops.
    pub(super) async fn serve(self, context: &RunContext) {
        let Self { upgrade, body, into } = self;
        let Ok(upgraded) = upgrade.await else { return };
        match into {
            Into::WebSocket(messages) => websocket::serve(upgraded, body, messages, context).await,
            Into::Tunnel(tunnel) => {
                tunnel.join(Box::new(TokioIo::new(upgraded))).await;
                drop(body);
            }
        }
    }
}

/// The answer, after which an HTTP/1.1 connection is closed.
pub(super) fn last<B>(mut response: http::Response<B>) -> http::Response<B> {
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}
