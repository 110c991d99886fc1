//! The chain of API servers behind one address: each link looks whether a request is its own, else asks the next.
//!
//! A delegate is a lookup, not a middleware: it never sees a body and never waits.

use arc_swap::ArcSwap;
use async_trait::async_trait;
use detectviz_api::{RequestInfo, Status};
use std::cell::Cell;
use std::sync::Arc;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::handler::{Context, Handler};
use crate::http::{Body, Held, Request, Response};

/// One link of the chain.
pub trait Delegate: Send + Sync {
    /// The handler of a request, from an immutable snapshot; `None` when no link knows it.
    fn route(&self, info: &RequestInfo) -> Option<Arc<dyn Handler>>;
}

/// The end of the chain: knows nothing.
#[derive(Debug, Default)]
pub struct End;

impl Delegate for End {
    fn route(&self, _: &RequestInfo) -> Option<Arc<dyn Handler>> {
        None
    }
}

/// A stable place in the chain whose link can be exchanged while requests go through.
pub struct Slot(ArcSwap<Arc<dyn Delegate>>);

impl Slot {
    /// A slot that holds `link`.
    pub fn new(link: Arc<dyn Delegate>) -> Arc<Self> {
        Arc::new(Self(ArcSwap::from_pointee(link)))
    }

    /// Points the slot to `link`; requests under way finish on the old one.
    pub fn point_to(&self, link: Arc<dyn Delegate>) {
        self.0.store(Arc::new(link));
    }
}

impl Delegate for Slot {
    fn route(&self, info: &RequestInfo) -> Option<Arc<dyn Handler>> {
        self.0.load().route(info)
    }
}

thread_local! {
    /// Whether the lookup that goes on in this thread has left the link that it is in for the next one.
    static PASSED_ON: Cell<bool> = const { Cell::new(false) };
}

/// A link that can be taken out of the chain: it knows when the last request that it answered itself has ended.
///
/// A request that the link passes on is the next link's, and not waited for: a watch of a local resource has nothing to
/// do with whether a runner in front of it goes.
pub struct Removable {
    link: Arc<dyn Delegate>,
    requests: TaskTracker,
}

impl Removable {
    /// What a removable link has to have as its next one.
    pub fn next(delegate: Arc<dyn Delegate>) -> Arc<dyn Delegate> {
        Arc::new(Next(delegate))
    }

    /// Counts the requests of `link`, which passes on to [`Self::next`].
    pub fn new(link: Arc<dyn Delegate>) -> Arc<Self> {
        Arc::new(Self { link, requests: TaskTracker::new() })
    }

    /// Waits until no request of the link is under way; call it when nothing leads to the link any more.
    pub async fn unused(&self) {
        self.requests.close();
        self.requests.wait().await;
    }
}

impl Delegate for Removable {
    fn route(&self, info: &RequestInfo) -> Option<Arc<dyn Handler>> {
        // Before the lookup, so that who waits after it was begun sees it.
        let token = self.requests.token();
        // What is in front of this link keeps its own answer: links may be removable one behind the other.
        let before = PASSED_ON.replace(false);
        let handler = self.link.route(info);
        if PASSED_ON.replace(before) { handler } else { Some(Arc::new(Counted { handler: handler?, token })) }
    }
}

/// The rest of the chain, as a removable link sees it.
struct Next(Arc<dyn Delegate>);

impl Delegate for Next {
    fn route(&self, info: &RequestInfo) -> Option<Arc<dyn Handler>> {
        let handler = self.0.route(info);
        PASSED_ON.set(true);
        handler
    }
}

/// A handler whose request is under way until the last byte of its answer.
struct Counted {
    handler: Arc<dyn Handler>,
    token: TaskTrackerToken,
}

#[async_trait]
impl Handler for Counted {
    async fn handle(&self, context: Arc<Context>, request: Request) -> Result<Response, Status> {
        let token = self.token.clone();
        let answer = self.handler.handle(context, request).await?;
        // What is there already has no more to do with the link.
        let held =
            |body: Body| if body.ready().is_some() { body } else { Body::stream(Held::new(body, token)) };
        Ok(answer.map(held))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use detectviz_api::Identity;
    use http::Method;

    struct Answers(&'static str);

    #[async_trait]
    impl Handler for Answers {
        async fn handle(&self, _: Arc<Context>, _: Request) -> Result<Response, Status> {
            Ok(Response::new(Body::stream(Body::full(self.0))))
        }
    }

    /// Answers for one group, and passes on all else.
    struct Group(&'static str, Arc<dyn Delegate>);

    impl Delegate for Group {
        fn route(&self, info: &RequestInfo) -> Option<Arc<dyn Handler>> {
            let own = info.group_version().is_some_and(|gv| *gv.group == *self.0);
            if own { Some(Arc::new(Answers(self.0))) } else { self.1.route(info) }
        }
    }

    fn info(path: &str) -> RequestInfo {
        RequestInfo::parse(&Method::GET, path, None).unwrap()
    }

    async fn ask(link: &dyn Delegate, path: &str) -> Response {
        let context = Context { info: info(path), identity: Identity::anonymous().into() };
        link.route(&context.info).unwrap().handle(Arc::new(context), Request::default()).await.unwrap()
    }

    #[tokio::test]
    async fn a_link_is_unused_when_its_own_answers_are_read() {
        let last: Arc<dyn Delegate> = Arc::new(Group("last", Arc::new(End)));
        let inner = Removable::new(Arc::new(Group("inner", Removable::next(last))));
        let outer = Removable::new(Arc::new(Group("outer", Removable::next(inner.clone()))));
        let passed = ask(&*outer, "/apis/last/v1/x").await;
        let own = ask(&*outer, "/apis/outer/v1/x").await;
        let others = ask(&*outer, "/apis/inner/v1/x").await;
        assert!(outer.route(&info("/apis/none/v1/x")).is_none());
        let is_unused = |link: &Arc<Removable>| link.requests.is_empty();
        assert!(!is_unused(&outer) && !is_unused(&inner));
        drop(others);
        assert!(is_unused(&inner), "what is passed on is not its own");
        assert!(!is_unused(&outer), "an answer is not read yet");
        assert_eq!(own.into_body().collect(9).await.unwrap(), "outer");
        outer.unused().await;
        assert_eq!(passed.into_body().collect(9).await.unwrap(), "last");
    }
}
