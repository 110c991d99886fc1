//! Content negotiation: which of the media types on offer the client likes best.

use crate::query::Query;
use crate::status::{Reason, Status};

/// The media type of JSON.
pub const JSON: &str = "application/json";
/// The media type of YAML.
pub const YAML: &str = "application/yaml";

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
    /// Whether the answer should be laid out for people.
    pub pretty: bool,
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
                "pretty" => media.pretty = value == "1",
                "q" => media.quality = quality(value),
                _ => {}
            }
        }
        media
    }

    /// Whether the range covers `essence`, wildcards included.
    pub fn covers(&self, essence: &str) -> bool {
        let kind = |text: &'_ str| text.split('/').next().map(str::to_ascii_lowercase);
        self.essence.eq_ignore_ascii_case(essence)
            || self.essence == "*/*"
            || (self.essence.ends_with("/*") && kind(self.essence) == kind(essence))
    }

    /// How much the range leaves open: among equally liked ones the narrower goes first.
    fn openness(&self) -> u8 {
        if self.essence == "*/*" { 2 } else { u8::from(self.essence.ends_with("/*")) }
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
    ranges.sort_by_key(|media| (std::cmp::Reverse(media.quality), media.openness()));
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

/// A version of `meta.k8s.io`, in which tables and metadata are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetaVersion {
    /// `meta.k8s.io/v1`.
    V1,
    /// `meta.k8s.io/v1beta1`, which is the same but for its name.
    V1beta1,
}

impl MetaVersion {
    /// The `apiVersion`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V1 => "meta.k8s.io/v1",
            Self::V1beta1 => "meta.k8s.io/v1beta1",
        }
    }
}

/// What is made of an object, list or event before it is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presentation {
    /// It stays as it is.
    Object,
    /// Rows for people (Table).
    Table(MetaVersion),
    /// Only the metadata (PartialObjectMetadata).
    Metadata(MetaVersion),
    /// Only the metadata of a list's items (PartialObjectMetadataList).
    MetadataList(MetaVersion),
}

/// How an answer is written down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// JSON.
    #[default]
    Json,
    /// YAML.
    Yaml,
}

impl Encoding {
    /// The encoding that a range covers; JSON where it covers both.
    fn of(media: &MediaType<'_>) -> Option<Self> {
        match () {
            () if media.covers(JSON) => Some(Self::Json),
            () if media.covers(YAML) => Some(Self::Yaml),
            () => None,
        }
    }

    /// The media type.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Json => JSON,
            Self::Yaml => YAML,
        }
    }
}

/// All that an `Accept` header decides about an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    /// What is shown.
    pub presentation: Presentation,
    /// How it is written.
    pub encoding: Encoding,
    /// Whether it is laid out for people.
    pub pretty: bool,
}

/// The form that the client asks for of an object or list.
///
/// # Errors
/// 406 naming what is offered.
pub fn form(accept: Option<&str>) -> Result<Form, Status> {
    choose(accept, "application/json, application/yaml", |media| {
        let (encoding, presentation) = (Encoding::of(media)?, presented(media)?);
        Some(Form { presentation, encoding, pretty: media.pretty })
    })
}

/// The form of a `Status`, which is shown as it is. A client that accepts none of its encodings is told in JSON.
pub fn status_form(accept: Option<&str>) -> Form {
    let presentation = Presentation::Object;
    let offer = |media: &MediaType<'_>| {
        let plain = presented(media) == Some(presentation);
        let encoding = Encoding::of(media).filter(|_| plain)?;
        Some(Form { presentation, encoding, pretty: media.pretty })
    };
    let json = Form { presentation, encoding: Encoding::Json, pretty: false };
    choose(accept, JSON, offer).unwrap_or(json)
}

/// The presentation that the client asks for in a watch, whose events are JSON.
///
/// # Errors
/// 406 naming what is offered.
pub fn presentation(accept: Option<&str>) -> Result<Presentation, Status> {
    choose(
        accept,
        "application/json;stream=watch",
        |media| {
            if media.covers(JSON) { presented(media) } else { None }
        },
    )
}

fn presented(media: &MediaType<'_>) -> Option<Presentation> {
    let version = match (media.group, media.version) {
        (Some("meta.k8s.io"), Some("v1")) => Some(MetaVersion::V1),
        (Some("meta.k8s.io"), Some("v1beta1")) => Some(MetaVersion::V1beta1),
        _ => None,
    };
    match media.convert {
        None => Some(Presentation::Object),
        Some("Table") => version.map(Presentation::Table),
        Some("PartialObjectMetadata") => version.map(Presentation::Metadata),
        Some("PartialObjectMetadataList") => version.map(Presentation::MetadataList),
        Some(_) => None,
    }
}

/// Whether the answer is laid out for people: as the query's `pretty` says, else for the clients that people type at,
/// which are upstream's.
pub fn pretty(query: &Query, user_agent: Option<&str>) -> bool {
    match query.get("pretty").filter(|text| !text.is_empty()) {
        Some(text) => matches!(text, "1" | "t" | "T" | "true" | "TRUE" | "True"),
        None => user_agent
            .is_some_and(|agent| ["curl", "Wget", "Mozilla/5.0"].iter().any(|one| agent.starts_with(one))),
    }
}

/// Whether an `Accept-Encoding` header takes gzip.
pub fn accepts_gzip(accept_encoding: Option<&str>) -> bool {
    let mut codings = accept_encoding.into_iter().flat_map(|text| text.split(',')).map(MediaType::parse);
    codings.any(|coding| coding.essence.eq_ignore_ascii_case("gzip") && coding.quality > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";

    #[test]
    fn the_clients_order_decides() {
        use {Encoding::*, MetaVersion::*, Presentation::*};
        let kubectl = format!("{TABLE},application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json");
        for (accept, presentation, encoding) in [
            (None, Object, Json),
            (Some("*/*"), Object, Json),
            (Some(&*kubectl), Table(V1), Json),
            (Some("application/json;as=Table;v=v1beta1;g=meta.k8s.io"), Table(V1beta1), Json),
            (Some("application/vnd.kubernetes.protobuf,application/json"), Object, Json),
            (
                Some("application/json;q=0.1, application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"),
                Metadata(V1),
                Json,
            ),
            (Some("application/json;as=Nothing;g=x;v=y, application/*"), Object, Json),
            (Some("application/yaml"), Object, Yaml),
            (Some("Application/YAML ; charset=utf-8"), Object, Yaml),
            (Some("*/*, application/yaml"), Object, Yaml),
            (Some("application/*, application/yaml;q=0.9"), Object, Json),
            (Some("application/yaml;as=Table;v=v1;g=meta.k8s.io"), Table(V1), Yaml),
            (Some("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"), Object, Json),
        ] {
            let chosen = form(accept).unwrap();
            assert_eq!((chosen.presentation, chosen.encoding), (presentation, encoding), "{accept:?}");
        }
        assert!(form(Some("application/json;pretty=1")).unwrap().pretty);
        for accept in [
            "text/html",
            "application/vnd.kubernetes.protobuf",
            "application/json;as=Table;v=v2;g=meta.k8s.io",
            "application/json;q=0",
        ] {
            assert_eq!(form(Some(accept)).unwrap_err().code, 406, "{accept}");
        }
        assert_eq!(presentation(Some("application/yaml")).unwrap_err().code, 406);
    }

    #[test]
    fn a_status_is_always_answered() {
        for (accept, encoding) in [
            ("text/html", Encoding::Json),
            (TABLE, Encoding::Json),
            ("application/yaml", Encoding::Yaml),
            ("application/yaml;as=Table;v=v1;g=meta.k8s.io, application/yaml;q=0.1", Encoding::Yaml),
        ] {
            assert_eq!(status_form(Some(accept)).encoding, encoding, "{accept}");
        }
    }

    #[test]
    fn people_are_told_from_programs() {
        for (query, agent, expected) in [
            ("", None, false),
            ("", Some("curl/8.0"), true),
            ("", Some("kubectl/v1.36.0"), false),
            ("pretty=false", Some("curl/8.0"), false),
            ("pretty=0", Some("Mozilla/5.0 (X11)"), false),
            ("pretty=", Some("Wget/1.21"), true),
            ("pretty=1", None, true),
            ("pretty=true", None, true),
            ("pretty=yes", None, false),
        ] {
            assert_eq!(pretty(&Query::parse(Some(query)).unwrap(), agent), expected, "{query} {agent:?}");
        }
        for (header, expected) in
            [("gzip", true), ("deflate, GZIP;q=0.5", true), ("gzip;q=0", false), ("br", false), ("", false)]
        {
            assert_eq!(accepts_gzip(Some(header)), expected, "{header}");
        }
    }
}
