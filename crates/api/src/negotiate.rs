//! Content negotiation: which of the media types on offer the client likes best.

use crate::status::{Reason, Status};

/// A media type with the parameters that Kubernetes gives a meaning: `as`, `g` and `v`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MediaType<'a> {
    /// `type/subtype`, in lower case as clients send it.
    pub essence: &'a str,
    /// The kind that the answer should be transformed into, such as `Table`.
    pub convert: Option<&'a str>,
    /// The group of that kind.
    pub group: Option<&'a str>,
    /// The version of that kind.
    pub version: Option<&'a str>,
    quality: u16,
}

impl<'a> MediaType<'a> {
    /// Reads one media range with its parameters.
    pub fn parse(text: &'a str) -> Self {
        let mut parts = text.split(';').map(str::trim);
        let mut media = Self { essence: parts.next().unwrap_or_default(), quality: 1000, ..Self::default() };
        for (key, value) in parts.filter_map(|part| part.split_once('=')) {
            match key {
                "as" => media.convert = Some(value),
                "g" => media.group = Some(value),
                "v" => media.version = Some(value),
                "q" => media.quality = quality(value),
                _ => {}
            }
        }
        media
    }

    /// Whether the range covers `essence`, wildcards included.
    pub fn covers(&self, essence: &str) -> bool {
        let kind = |text: &str| text.split_once('/').map(|(kind, _)| kind.to_owned());
        self.essence == essence
            || self.essence == "*/*"
            || (self.essence.ends_with("/*") && kind(self.essence) == kind(essence))
    }
}

fn quality(text: &str) -> u16 {
    let value = text.parse::<f32>().unwrap_or(1.0).clamp(0.0, 1.0);
    // A clamped value times a thousand fits; three digits are all that the header's grammar allows.
    (value * 1000.0).round() as u16
}

/// The media ranges of an `Accept` header, best first; no header accepts everything.
pub fn accepted(accept: Option<&str>) -> Vec<MediaType<'_>> {
    let text = accept.map(str::trim).filter(|text| !text.is_empty()).unwrap_or("*/*");
    let mut ranges: Vec<_> =
        text.split(',').map(MediaType::parse).filter(|media| media.quality > 0).collect();
    ranges.sort_by_key(|media| std::cmp::Reverse(media.quality));
    ranges
}

/// The first accepted range for which `offer` has an answer.
///
/// # Errors
/// 406 naming what is offered.
pub fn choose<T>(
    accept: Option<&str>,
    offered: &str,
    offer: impl Fn(&MediaType<'_>) -> Option<T>,
) -> Result<T, Status> {
    accepted(accept).iter().find_map(offer).ok_or_else(|| {
        let message = format!("only the following media types are accepted: {offered}");
        Status::failure(Reason::NotAcceptable, message)
    })
}

/// How an object, list or event is presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presentation {
    /// As it is, in JSON.
    Object,
    /// As rows for people (`meta.k8s.io` Table).
    Table,
    /// Only its metadata (`meta.k8s.io` PartialObjectMetadata).
    Metadata,
}

/// The presentation that the client asks for.
///
/// # Errors
/// 406 naming what is offered.
pub fn presentation(accept: Option<&str>) -> Result<Presentation, Status> {
    choose(accept, "application/json", |media| {
        let meta = media.group == Some("meta.k8s.io") && matches!(media.version, Some("v1" | "v1beta1"));
        match media.convert {
            _ if !media.covers("application/json") => None,
            None => Some(Presentation::Object),
            Some("Table") if meta => Some(Presentation::Table),
            Some("PartialObjectMetadata" | "PartialObjectMetadataList") if meta => {
                Some(Presentation::Metadata)
            }
            Some(_) => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clients_order_decides() {
        let table = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
        for (accept, expected) in [
            (None, Presentation::Object),
            (Some("*/*"), Presentation::Object),
            (Some(table), Presentation::Table),
            (Some("application/vnd.kubernetes.protobuf,application/json"), Presentation::Object),
            (
                Some("application/json;q=0.1, application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"),
                Presentation::Metadata,
            ),
            (Some("application/json;as=Nothing;g=x;v=y, application/*"), Presentation::Object),
        ] {
            assert_eq!(presentation(accept).unwrap(), expected, "{accept:?}");
        }
        for accept in [
            "text/html",
            "application/vnd.kubernetes.protobuf",
            "application/json;as=Table;v=v2;g=meta.k8s.io",
            "application/json;q=0",
        ] {
            assert_eq!(presentation(Some(accept)).unwrap_err().code, 406, "{accept}");
        }
    }
}
