//! The namespaces that are always there are made at start, with what every namespace has; the server is ready once
//! they are.

use detectviz_api::{Reason, Status};
use detectviz_core::{Loopback, RunContext};
use serde_json::json;
use std::sync::Arc;

use super::namespaced::Kept;
use super::retry::Pace;
use crate::strategies::namespaces::SYSTEM;

/// Makes the namespaces in the post-start hook `bootstrap-namespaces`.
pub(super) fn start(context: &RunContext, loopback: &Arc<dyn Loopback>, kept: &[Arc<Kept>]) {
    let (loopback, kept) = (Arc::clone(loopback), kept.to_vec());
    context.post_start_hook("bootstrap-namespaces", async move {
        let mut pace = Pace::new();
        while let Err(refusal) = create(&*loopback, &kept).await {
            // A server that is still starting is nothing to warn of.
            if refusal.is(Reason::ServiceUnavailable) {
                tracing::debug!(error = %refusal, "create system namespaces again");
            } else {
                tracing::warn!(error = %refusal, "create system namespaces again");
            }
            pace.pause().await;
        }
        Ok(())
    });
}

async fn create(loopback: &dyn Loopback, kept: &[Arc<Kept>]) -> Result<(), Status> {
    for name in SYSTEM {
        let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        match loopback.create("/api/v1/namespaces", &object).await {
            Err(refusal) if !refusal.is(Reason::AlreadyExists) => return Err(refusal),
            _ => {}
        }
        for kept in kept {
            kept.create(loopback, name).await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::Fake;
    use detectviz_core::health::{Checks, Kind};

    #[tokio::test]
    async fn they_are_made_and_what_is_there_stays() {
        let fake = Fake::new();
        let labelled = json!({"metadata": {"name": "default", "labels": {"mine": "1"}}});
        fake.loopback().create("/api/v1/namespaces", &labelled).await.unwrap();
        fake.fail_next(2);
        let checks = Arc::new(Checks::default());
        let context = RunContext::new(Arc::clone(&checks));
        start(&context, &fake.loopback(), &[]);
        fake.until(|fake| {
            SYSTEM.iter().all(|name| fake.object(&format!("/api/v1/namespaces/{name}")).is_some())
        })
        .await;
        assert_eq!(fake.object("/api/v1/namespaces/default").unwrap()["metadata"]["labels"]["mine"], "1");
        while checks.run(Kind::Ready).iter().any(|outcome| outcome.result.is_err()) {
            tokio::task::yield_now().await;
        }
        context.cancel();
        context.drained().await;
    }
}
