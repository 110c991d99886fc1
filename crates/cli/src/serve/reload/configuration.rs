//! The configuration file while the server runs. Feature toggles follow it; what cannot change without a restart is told.
//! A file with a mistake is refused as a whole: half of what somebody meant is what nobody meant.

use detectviz_core::RunContext;
use detectviz_core::health::Remarks;
use detectviz_core::options::{Loaded, Sources, Value};
use detectviz_core::toggles::Toggles;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use super::Outcomes;
use super::watched::Watched;
use crate::serve::switchboard::Panel;

/// How often the file is looked at.
const INTERVAL: Duration = Duration::from_secs(1);
const SUBJECT: &str = "configuration";
/// Toggles can be switched; nothing else can.
const SWITCHED: &str = "feature_toggles.";

/// The configuration that the server runs with.
pub(in crate::serve) struct Configuration {
    sources: Sources,
    names: Vec<&'static str>,
    file: Watched<Loaded>,
    /// What the server was started with, by key.
    started: BTreeMap<String, String>,
    remarks: Arc<Remarks>,
}

impl Configuration {
    /// What was read at the start, as `loaded` from `sources`; `names` are those of the toggles that this edition knows.
    pub(in crate::serve) fn new(
        sources: Sources,
        names: Vec<&'static str>,
        loaded: Loaded,
        outcomes: &Outcomes,
        remarks: &Arc<Remarks>,
    ) -> anyhow::Result<Self> {
        let started = loaded.values.iter().map(|value| (value.key.clone(), value.value.clone())).collect();
        let files = sources.config.iter().cloned().collect();
        let file = Watched::load(SUBJECT, files, outcomes, || Ok(loaded))?;
        Ok(Self { sources, names, file, started, remarks: Arc::clone(remarks) })
    }

    /// Lets `panel` follow the file until `context` ends.
    pub(in crate::serve) async fn follow(
        mut self,
        context: RunContext,
        panel: Arc<Panel>,
        mut hangups: watch::Receiver<u64>,
    ) {
        let mut ticks = tokio::time::interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // What changed between the start and now has not been seen: the first look reads.
        let mut at_once = true;
        loop {
            let looked = tokio::task::spawn_blocking(move || {
                let changed = self.look(at_once);
                (self, changed)
            });
            // It ends with the runtime alone.
            let Ok((looked, changed)) = looked.await else { return };
            self = looked;
            if changed || at_once {
                self.apply(&panel);
            }
            tokio::select! {
                () = context.cancelled() => return,
                _ = ticks.tick() => at_once = false,
                changed = hangups.changed() => match changed {
                    Ok(()) => at_once = true,
                    Err(_) => return,
                },
            }
        }
    }

    fn look(&mut self, at_once: bool) -> bool {
        let (sources, names) = (&self.sources, &self.names);
        self.file.look(at_once, || Ok(Loaded::load(sources, names)?))
    }

    /// Switches what can be switched, and tells what cannot.
    fn apply(&self, panel: &Panel) {
        let loaded = &self.file.thing;
        for value in &loaded.values {
            self.compare(value);
        }
        let (before, now) = (panel.toggles(), loaded.options.toggles.clone());
        if before != now {
            tracing::info!(toggles = changes(&before, &now), "feature toggles changed");
        }
        // Also when nothing changed: what could not be started is tried again.
        panel.set(now);
    }

    /// Remarks on an option that differs from what the server was started with.
    fn compare(&self, value: &Value) {
        let key = &value.key;
        if key.starts_with(SWITCHED) {
            return;
        }
        let same = self.started.get(key).is_none_or(|started| *started == value.value);
        let remark = format!("it was changed ({}), which takes effect with the next start", value.origin);
        // With what it is now, so that another change is told again.
        let is_news = self.remarks.set(&format!("option {key}"), (!same).then_some(remark));
        if is_news && !same {
            tracing::warn!(key, origin = value.origin, "this option was changed, which needs a restart");
        }
    }
}

fn changes(before: &Toggles, now: &Toggles) -> String {
    let changed = now.iter().filter(|(name, on)| before.is_on(name) != *on);
    let named: Vec<_> = changed.map(|(name, on)| format!("{name}={on}")).collect();
    named.join(",")
}
