//! Candidates over one server in memory. What must never happen is tested without a clock, in `view`; here is what must
//! happen.

use super::*;
use crate::fake::Fake;
use detectviz_core::health::Checks;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::watch;

/// Short, since tests wait for it; the lease is what its whole seconds say.
const QUICK: Timing = Timing {
    lease: Duration::from_secs(1),
    deadline: Duration::from_millis(600),
    retry: Duration::from_millis(50),
};
const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/detectviz-controllers";

/// A candidate, and how many terms of its controllers run.
struct Candidate {
    context: RunContext,
    running: watch::Receiver<usize>,
    metrics: Metrics,
    terms: Arc<AtomicUsize>,
}

/// Counts a task for as long as it lives.
struct Running(watch::Sender<usize>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

impl Candidate {
    fn start(loopback: &Arc<dyn Loopback>) -> Self {
        let context = RunContext::new(Arc::new(Checks::default())).with_leadership(Leadership::elected());
        let (sender, running) = watch::channel(0);
        let (metrics, terms) = (Metrics::default(), Arc::new(AtomicUsize::new(0)));
        let elector = Elector::new(loopback, context.leadership(), &metrics, QUICK);
        let counted = Arc::clone(&terms);
        elector.start(&context, move |term, _| {
            counted.fetch_add(1, Ordering::Relaxed);
            sender.send_modify(|count| *count += 1);
            let running = Running(sender.clone());
            term.spawn(async move {
                let _running = running;
                std::future::pending::<()>().await;
            });
        });
        Self { context, running, metrics, terms }
    }

    async fn leads(&mut self) {
        self.running.wait_for(|count| *count == 1).await.unwrap();
    }

    async fn follows(&mut self) {
        self.running.wait_for(|count| *count == 0).await.unwrap();
    }

    async fn stop(self) {
        self.context.cancel();
        self.context.drained().await;
    }
}

fn holder(fake: &Fake) -> Option<String> {
    fake.object(LEASE)?["spec"]["holderIdentity"].as_str().map(str::to_owned)
}

/// Waits for a change of the lease; returns a time before it.
async fn renewal(fake: &Fake) -> Instant {
    let version = |fake: &Fake| fake.object(LEASE).unwrap()["metadata"]["resourceVersion"].clone();
    let (before, known) = (Instant::now(), version(fake));
    fake.until(|fake| version(fake) != known).await;
    before
}

/// A way to the server that can be cut.
struct Cut {
    fake: Arc<dyn Loopback>,
    cut: watch::Receiver<bool>,
}

#[async_trait::async_trait]
impl Loopback for Cut {
    async fn send(&self, request: detectviz_core::http::Request) -> detectviz_core::http::Response {
        let mut cut = self.cut.clone();
        let _ = cut.wait_for(|cut| !*cut).await;
        self.fake.send(request).await
    }
}

#[tokio::test]
async fn one_leads_and_the_next_takes_over_at_once_when_it_ends() {
    let fake = Fake::new();
    let mut one = Candidate::start(&fake.loopback());
    one.leads().await;
    assert!(one.context.leadership().is_leading());
    assert!(one.metrics.render().contains("leader_election_master_status{name=\"detectviz-controllers\"} 1"));
    let mut two = Candidate::start(&fake.loopback());
    let first = holder(&fake).unwrap();
    // A renewal shows that time has passed, and that nothing came of it for the other.
    renewal(&fake).await;
    assert_eq!((holder(&fake).unwrap(), *two.running.borrow()), (first.clone(), 0));
    assert!(!two.context.leadership().is_leading());
    one.stop().await;
    two.leads().await;
    assert_ne!(holder(&fake).unwrap(), first);
    assert_eq!(fake.object(LEASE).unwrap()["spec"]["leaseTransitions"], 1);
    two.stop().await;
    assert_eq!(holder(&fake).as_deref(), Some(""), "who ends gives the lease up");
}

#[tokio::test]
async fn who_falls_silent_has_stopped_before_another_begins_and_may_lead_again() {
    let fake = Fake::new();
    let (cut, cuts) = watch::channel(false);
    let way: Arc<dyn Loopback> = Arc::new(Cut { fake: fake.loopback(), cut: cuts });
    let mut one = Candidate::start(&way);
    one.leads().await;
    let mut two = Candidate::start(&fake.loopback());
    let renewed = renewal(&fake).await;
    cut.send_replace(true);
    one.follows().await;
    assert!(!one.context.leadership().is_leading());
    assert!(one.metrics.render().contains("leader_election_master_status{name=\"detectviz-controllers\"} 0"));
    two.leads().await;
    assert_eq!(*one.running.borrow(), 0);
    assert!(renewed.elapsed() >= QUICK.lease, "after {:?}", renewed.elapsed());
    cut.send_replace(false);
    two.stop().await;
    one.leads().await;
    assert!(one.terms.load(Ordering::Relaxed) >= 2, "its controllers were started again");
    one.stop().await;
}

#[tokio::test]
async fn who_sees_another_holder_ends_at_once() {
    let fake = Fake::new();
    let mut one = Candidate::start(&fake.loopback());
    one.leads().await;
    loop {
        let mut taken = fake.object(LEASE).unwrap();
        taken["spec"]["holderIdentity"] = "an operator".into();
        match fake.loopback().update(LEASE, &taken).await {
            Err(refusal) if refusal.is(Reason::Conflict) => {}
            answer => break drop(answer.unwrap()),
        }
    }
    one.follows().await;
    // Nobody renews it in that name.
    one.leads().await;
    assert_eq!(fake.object(LEASE).unwrap()["spec"]["leaseTransitions"], 1);
    one.stop().await;
}

#[tokio::test]
async fn outside_a_term_nothing_is_written() {
    let (fake, leadership) = (Fake::new(), Leadership::elected());
    let fence = Fence::over(&fake.loopback(), &leadership);
    let maps = "/api/v1/namespaces/a/configmaps";
    let map = json!({"metadata": {"name": "m"}});
    assert!(fence.create(maps, &map).await.unwrap_err().is(Reason::ServiceUnavailable));
    assert!(fence.get(maps).await.is_ok());
    leadership.lead_until(Instant::now() + Duration::from_secs(3600));
    fence.create(maps, &map).await.unwrap();
    leadership.lead_until(Instant::now());
    assert!(fence.delete(&format!("{maps}/m")).await.unwrap_err().is(Reason::ServiceUnavailable));
}
