//! What the client wants back: the first representation in `Accept` that we can make.

use http::{HeaderMap, header};

use crate::status::Status;

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Representation {
    /// The object itself.
    Object,
    /// Only its metadata: `as=PartialObjectMetadata` or `as=PartialObjectMetadataList`.
    Metadata,
    /// Rows for people: `as=Table`.
    Table,
    /// Aggregated discovery: `as=APIGroupDiscoveryList`.
    Discovery,
}

/// One media range with the parameters that Kubernetes gives a meaning.
#[derive(Debug)]
struct Range<'a> {
    media: &'a str,
    /// Kind, group and version of `as`, `g` and `v`.
    converted: Option<(&'a str, &'a str, &'a str)>,
}

impl<'a> Range<'a> {
    fn parse(text: &'a str) -> Self {
        let (media, rest) = text.split_once(';').unwrap_or((text, ""));
        let pairs = || rest.split(';').filter_map(|pair| pair.trim().split_once('='));
        let parameter = |name: &str| pairs().find_map(|(key, value)| (key == name).then_some(value));
        let converted = parameter("as")
            .map(|kind| (kind, parameter("g").unwrap_or_default(), parameter("v").unwrap_or_default()));
        Self { media: media.trim(), converted }
    }

    fn representation(&self) -> Option<Representation> {
        if !matches!(self.media, "application/json" | "application/*" | "*/*") {
            return None;
        }
        match self.converted {
            None => Some(Representation::Object),
            Some(("Table", "meta.k8s.io", "v1")) => Some(Representation::Table),
            Some(("PartialObjectMetadata" | "PartialObjectMetadataList", "meta.k8s.io", "v1")) => {
                Some(Representation::Metadata)
            }
            Some(("APIGroupDiscoveryList", "apidiscovery.k8s.io", "v2")) => Some(Representation::Discovery),
            Some(_) => None,
        }
    }
}

/// Chooses among `offered`; without an `Accept` header the object itself.
///
/// # Errors
/// 406 where the client accepts none of them.
pub(crate) fn accept(headers: &HeaderMap, offered: &[Representation]) -> Result<Representation, Status> {
    let mut ranges = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter(|text| !text.trim().is_empty())
        .peekable();
    if ranges.peek().is_none() {
        return Ok(Representation::Object);
    }
    ranges
        .filter_map(|text| Range::parse(text).representation())
        .find(|found| offered.contains(found))
        .ok_or_else(Status::not_acceptable)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFERED: &[Representation] =
        &[Representation::Object, Representation::Table, Representation::Metadata];

    fn check(value: &'static str) -> Option<Representation> {
        let headers = HeaderMap::from_iter([(header::ACCEPT, http::HeaderValue::from_static(value))]);
        accept(&headers, OFFERED).ok()
    }

    #[test]
    fn kubectl_gets_a_table() {
        let value = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
        assert_eq!(check(value), Some(Representation::Table));
    }

    #[test]
    fn what_we_cannot_make_is_skipped() {
        assert_eq!(
            check("application/vnd.kubernetes.protobuf, application/json"),
            Some(Representation::Object)
        );
        assert_eq!(
            check("application/json;as=Table;g=meta.k8s.io;v=v9, */*;q=0.1"),
            Some(Representation::Object)
        );
        assert_eq!(
            check("application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"),
            Some(Representation::Metadata)
        );
    }

    #[test]
    fn nothing_that_we_can_make_is_refused() {
        assert_eq!(check("application/vnd.kubernetes.protobuf"), None);
    }
}
