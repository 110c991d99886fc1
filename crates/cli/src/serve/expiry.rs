//! When certificates end: a number for whoever watches numbers, and a warning in time for whoever reads logs.

use detectviz_api::timestamp::{from_unix, seconds};
use detectviz_core::health::Remarks;
use detectviz_core::metrics::Metrics;
use detectviz_server::pki::not_after;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use rustls::pki_types::CertificateDer;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long before its end somebody is warned of a certificate that the server does not renew itself.
const WARNING: Duration = Duration::from_hours(24 * 30);

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Name {
    certificate: &'static str,
}

/// The ends of all certificates by name.
pub(super) struct Expiries {
    remarks: Arc<Remarks>,
    ends: Family<Name, Gauge>,
}

impl Expiries {
    pub(super) fn new(remarks: &Arc<Remarks>, metrics: &Metrics) -> Self {
        let ends = Family::<Name, Gauge>::default();
        metrics.register(|registry| {
            registry.register(
                "apiserver_certificate_expiration_timestamp_seconds",
                "When the certificate ends, the first of several",
                ends.clone(),
            );
        });
        Self { remarks: Arc::clone(remarks), ends }
    }

    /// Tells when the first of `certificates` ends, which together are called `name`.
    pub(super) fn tell<'a>(
        &self,
        name: &'static str,
        certificates: impl IntoIterator<Item = &'a CertificateDer<'static>>,
    ) {
        let Some(end) = certificates.into_iter().filter_map(|one| not_after(one)).min() else { return };
        self.ends.get_or_create(&Name { certificate: name }).set(end);
        let warn_at = SystemTime::now() + WARNING;
        let warn_at = warn_at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let soon = u64::try_from(end).is_ok_and(|end| end < warn_at);
        let date = from_unix(end, 0).map_or_else(|| format!("{end} s after 1970"), seconds);
        let remark = soon.then(|| format!("it ends at {date}, in less than 30 days"));
        if self.remarks.set(&format!("certificate {name}"), remark) && soon {
            tracing::warn!(certificate = name, ends_at = date, "a certificate ends in less than 30 days");
        }
    }
}
