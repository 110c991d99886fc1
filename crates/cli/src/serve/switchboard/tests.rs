//! Rows of a table that is made for the test: a runner and a module that can be told to fail.

use super::*;
use anyhow::bail;
use async_trait::async_trait;
use detectviz_api::{Identity, RequestInfo, Status};
use detectviz_core::edition::{AGGREGATOR, Provider, Registration};
use detectviz_core::health::Kind as Check;
use detectviz_core::http::{Body, Request, Response};
use detectviz_core::toggles::KUBERNETES_AGGREGATOR;
use detectviz_core::{
    AggregatorRunner, Context, Edition, Handler, Module, Options, RunContext, Runner, Stopped,
};
use http::Method;
use std::future::pending;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

const TOGGLE: &str = "testModule";
const WITHIN: Duration = Duration::from_secs(60);

/// What a row did, and whether it fails. Tests run side by side, so each has one of its own.
#[derive(Default)]
struct Record {
    fails: AtomicBool,
    starts: AtomicUsize,
    stops: AtomicUsize,
    running: AtomicBool,
    stopped: Mutex<Option<Stopped>>,
}

impl Record {
    const fn new() -> Self {
        Self {
            fails: AtomicBool::new(false),
            starts: AtomicUsize::new(0),
            stops: AtomicUsize::new(0),
            running: AtomicBool::new(false),
            stopped: Mutex::new(None),
        }
    }

    fn start(&self, context: &RunContext) -> anyhow::Result<()> {
        if self.fails.load(Ordering::SeqCst) {
            bail!("it was told to fail");
        }
        assert!(!self.running.swap(true, Ordering::SeqCst), "the run before has to have ended");
        self.starts.fetch_add(1, Ordering::SeqCst);
        context.post_start_hook("test", pending());
        Ok(())
    }
}

struct Test(&'static Record);

#[async_trait]
impl Module for Test {
    async fn start(&self, context: RunContext, _: Arc<dyn Loopback>) -> anyhow::Result<()> {
        self.0.start(&context)
    }

    async fn stop(&self) -> anyhow::Result<()> {
        self.0.stops.fetch_add(1, Ordering::SeqCst);
        self.0.running.store(false, Ordering::SeqCst);
        Ok(())
    }
}

/// Answers everything, with a body that has no end of its own.
#[derive(Clone)]
struct Answers(Arc<Mutex<Option<RunContext>>>);

#[async_trait]
impl Handler for Answers {
    async fn handle(&self, _: Arc<Context>, _: Request) -> Result<Response, Status> {
        let context = self.0.lock().unwrap().clone().unwrap();
        Ok(Response::new(Body::full("x").until(async move { context.draining().await })))
    }
}

impl Delegate for Answers {
    fn route(&self, _: &RequestInfo) -> Option<Arc<dyn Handler>> {
        Some(Arc::new(self.clone()))
    }
}

struct InFront(&'static Record, Answers);

#[async_trait]
impl Runner for InFront {
    async fn configure(&self, _: Setup, _: Arc<dyn Delegate>) -> anyhow::Result<Arc<dyn Delegate>> {
        Ok(Arc::new(self.1.clone()))
    }

    async fn run(&self, context: RunContext, _: Arc<dyn Loopback>, stopped: Stopped) -> anyhow::Result<()> {
        self.0.start(&context)?;
        *self.0.stopped.lock().unwrap() = Some(stopped);
        *self.1.0.lock().unwrap() = Some(context.clone());
        let record = self.0;
        let end = context.clone();
        context.spawn_graceful(async move {
            end.cancelled().await;
            record.running.store(false, Ordering::SeqCst);
            record.stops.fetch_add(1, Ordering::SeqCst);
        });
        Ok(())
    }
}

impl AggregatorRunner for InFront {}

fn runner_of(record: &'static Record) -> Arc<dyn AggregatorRunner> {
    Arc::new(InFront(record, Answers(Arc::default())))
}

/// A server's parts, with the rows `registered`, of which those whose toggles are `on` are on.
async fn board(registered: &[Registration], on: &[&str]) -> (Parts, Arc<Panel>, Lives, Arc<dyn Delegate>) {
    let table = EditionTable::build(Edition { name: "test" }, registered).unwrap();
    let options = Options { toggles: toggles(&table, on), ..Options::default() };
    let parts = Parts::new(table, options, Instant::now());
    let group = detectviz_core::ApiGroupBuilder { group: "g".into(), priority: 1, definitions: Vec::new() };
    let setup = Setup::new(
        Arc::clone(&parts.options),
        [group].into(),
        Arc::clone(&parts.catalog),
        Arc::clone(&parts.metrics),
        SocketAddr::from((Ipv4Addr::LOCALHOST, 1)),
    );
    let board = Switchboard::new(&parts, setup, Arc::new(detectviz_core::delegate::End));
    let (panel, front) = (board.panel(), board.front());
    let lives = board.start().await.unwrap();
    (parts, panel, lives, front)
}

fn toggles(table: &EditionTable, on: &[&str]) -> Toggles {
    let mut toggles = Toggles::off(table.toggles());
    on.iter().for_each(|name| toggles.set(name, true).unwrap());
    toggles
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let end = Instant::now() + WITHIN;
    while !holds() {
        assert!(Instant::now() < end, "waited until {what}");
        tokio::task::yield_now().await;
    }
}

fn reason(panel: &Panel, name: &str) -> (bool, String) {
    let report = panel.report();
    let entry = report.entries.iter().find(|entry| entry.name == name).unwrap();
    (entry.would_start, entry.reason.clone())
}

#[tokio::test]
async fn a_module_is_started_and_stopped_as_often_as_its_toggle_says() {
    static RECORD: Record = Record::new();
    let module = Provider::Module(|| Arc::new(Test(&RECORD)));
    let row = Registration { name: "m", toggle: TOGGLE, implementation: "test", provider: module };
    let (parts, panel, lives, _) = board(&[row], &[]).await;
    assert_eq!(reason(&panel, "m"), (false, "feature toggle testModule is off".to_owned()));
    let counts = || [&RECORD.starts, &RECORD.stops].map(|count| count.load(Ordering::SeqCst));
    for round in 1..=20 {
        panel.set(toggles(&parts.table, &[TOGGLE]));
        until("it was started", || counts() == [round, round - 1]).await;
        assert!(parts.checks.run(Check::Ready).is_empty(), "readiness does not wait for what is switched on");
        panel.set(toggles(&parts.table, &[]));
        until("it was stopped", || counts() == [round, round]).await;
    }
    panel.set(toggles(&parts.table, &[TOGGLE]));
    until("it was started", || counts() == [21, 20]).await;
    lives.stop_modules(WITHIN).await;
    assert_eq!(counts(), [21, 21]);
    parts.context.cancel();
    lives.ended().await;
    parts.context.drained().await;
}

#[tokio::test]
async fn what_cannot_be_started_is_told_and_tried_again() {
    static RECORD: Record = Record::new();
    let provider = Provider::Aggregator(|| runner_of(&RECORD));
    let row =
        Registration { name: AGGREGATOR, toggle: KUBERNETES_AGGREGATOR, implementation: "test", provider };
    let (parts, panel, lives, _) = board(&[row], &[]).await;
    let obstacles = panel.obstacles();
    let off = Obstacle::ToggleOff { toggle: KUBERNETES_AGGREGATOR };
    assert_eq!(obstacles.borrow().aggregator, Some(off));
    RECORD.fails.store(true, Ordering::SeqCst);
    let on = toggles(&parts.table, &[KUBERNETES_AGGREGATOR]);
    panel.set(on.clone());
    let told = || obstacles.borrow().aggregator == Some(Obstacle::NotStarted { name: AGGREGATOR });
    until("it was told", told).await;
    let (starts, why) = reason(&panel, AGGREGATOR);
    assert!(!starts && why.ends_with("run: it was told to fail"), "{why}");
    // The same again, when the cause is gone.
    RECORD.fails.store(false, Ordering::SeqCst);
    panel.set(on);
    until("it runs", || obstacles.borrow().aggregator.is_none() && reason(&panel, AGGREGATOR).0).await;
    panel.set(toggles(&parts.table, &[]));
    until("it is off", || obstacles.borrow().aggregator == Some(off)).await;
    assert_eq!(RECORD.stops.load(Ordering::SeqCst), 1);
    parts.context.cancel();
    lives.ended().await;
}

#[tokio::test]
async fn an_answer_under_way_is_finished_on_the_old_link() {
    static RECORD: Record = Record::new();
    let provider = Provider::Aggregator(|| runner_of(&RECORD));
    let row =
        Registration { name: AGGREGATOR, toggle: KUBERNETES_AGGREGATOR, implementation: "test", provider };
    let (parts, panel, lives, front) = board(&[row], &[KUBERNETES_AGGREGATOR]).await;
    let info = || RequestInfo::parse(&Method::GET, "/apis/g/v1/x", None).unwrap();
    let context = Arc::new(Context { info: info(), identity: Identity::anonymous().into() });
    let handler = front.route(&info()).unwrap();
    let answer = handler.handle(context, Request::default()).await.unwrap();
    drop(handler);
    panel.set(toggles(&parts.table, &[]));
    until("nothing leads to it", || front.route(&info()).is_none()).await;
    // Whatever could run has run: the answer alone holds it.
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    assert!(RECORD.running.load(Ordering::SeqCst), "a request is under way");
    assert_eq!(answer.into_body().collect(9).await.unwrap(), "", "the stream ends with the switch");
    until("it has ended", || RECORD.stops.load(Ordering::SeqCst) == 1).await;
    parts.context.cancel();
    lives.ended().await;
}

#[tokio::test]
async fn a_runner_that_ended_by_itself_is_told_and_started_again_on_a_change() {
    static RECORD: Record = Record::new();
    let provider = Provider::Aggregator(|| runner_of(&RECORD));
    let row =
        Registration { name: AGGREGATOR, toggle: KUBERNETES_AGGREGATOR, implementation: "test", provider };
    let (parts, panel, lives, _) = board(&[row], &[KUBERNETES_AGGREGATOR]).await;
    let stopped = RECORD.stopped.lock().unwrap().take().unwrap();
    stopped.report(Err("it broke".to_owned()));
    until("it was told", || !reason(&panel, AGGREGATOR).0).await;
    assert_eq!(reason(&panel, AGGREGATOR).1, "it was started and has ended: it broke");
    let failing = || parts.checks.run(Check::Ready).iter().any(|one| one.name == "runner/aggregator");
    until("readiness knows", failing).await;
    panel.set(toggles(&parts.table, &[KUBERNETES_AGGREGATOR]));
    until("it was started again", || RECORD.starts.load(Ordering::SeqCst) == 2).await;
    until("it is told", || reason(&panel, AGGREGATOR).0).await;
    assert!(parts.checks.run(Check::Ready).is_empty());
    parts.context.cancel();
    lives.ended().await;
}
