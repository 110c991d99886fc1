//! One registry for the whole process; each part registers its metrics once, under its own prefix.

use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use std::sync::{Mutex, PoisonError};

/// The registry behind `/metrics`.
#[derive(Default)]
pub struct Metrics(Mutex<Registry>);

impl Metrics {
    /// Lets a part register what it measures. Names carry the part's prefix, such as `apiserver_`.
    pub fn register(&self, register: impl FnOnce(&mut Registry)) {
        register(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// All metrics in the OpenMetrics text format.
    pub fn render(&self) -> String {
        let mut text = String::new();
        let registry = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        encode(&mut text, &registry).expect("writing to a String does not fail");
        text
    }
}
