//! What the TLS layer says, for people: what to do about a certificate is seen from its dates and names.

use std::io;

use rustls::CertificateError::{
    BadSignature, Expired, ExpiredContext, InvalidPurpose, InvalidPurposeContext, NotValidForName,
    NotValidForNameContext, NotValidYet, NotValidYetContext, UnknownIssuer,
};
use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, Error};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The most names of a certificate that are told, and the most characters of one.
const MAX_NAMES: usize = 8;
const MAX_NAME: usize = 128;

/// The same error, said in such a way that a condition can carry it.
pub(crate) fn explain(error: io::Error) -> io::Error {
    let said = error.get_ref().and_then(|cause| cause.downcast_ref::<Error>()).and_then(text);
    said.map_or(error, |said| io::Error::new(io::ErrorKind::InvalidData, said))
}

fn text(error: &Error) -> Option<String> {
    match error {
        Error::InvalidCertificate(error) => certificate(error),
        Error::AlertReceived(AlertDescription::CertificateRequired) => {
            Some("the backend wants a client certificate and was shown none".to_owned())
        }
        Error::AlertReceived(alert @ (AlertDescription::UnknownCA | AlertDescription::BadCertificate)) => {
            Some(format!("the backend refuses our client certificate ({alert:?})"))
        }
        Error::AlertReceived(AlertDescription::NoApplicationProtocol) => {
            Some("the backend speaks neither of the protocols that it was offered".to_owned())
        }
        _ => None,
    }
}

fn certificate(error: &CertificateError) -> Option<String> {
    let said = match error {
        ExpiredContext { time, not_after } => {
            format!("has expired: it was valid until {}, and now is {}", date(not_after), date(time))
        }
        Expired => "has expired".to_owned(),
        NotValidYetContext { time, not_before } => {
            format!("is not valid yet: it is from {} on, and now is {}", date(not_before), date(time))
        }
        NotValidYet => "is not valid yet".to_owned(),
        NotValidForNameContext { expected, presented } => {
            format!("is not for {:?} but for {}", expected.to_str(), names(presented))
        }
        NotValidForName => "is for another name".to_owned(),
        UnknownIssuer => "is signed by none of the CAs that may sign it (UnknownIssuer)".to_owned(),
        // A CA that was made anew keeps its name and has another key.
        BadSignature => "is signed by a CA that is called as one that may sign it, but has another key: the CA bundle may \
                         be older than the certificate (BadSignature)"
            .to_owned(),
        InvalidPurpose | InvalidPurposeContext { .. } => "is not one for servers".to_owned(),
        _ => return None,
    };
    Some(format!("the backend's certificate {said}"))
}

/// The names in a certificate, which its owner chose: so many, so much of each, and nothing that acts on a log or a terminal.
/// They come as `DnsName("a.example.com")`, and are told without what kind of name each is.
fn names(presented: &[String]) -> String {
    let plain = |c: char| if c == ' ' || c.is_ascii_graphic() { c } else { '?' };
    let bare = |name: &str| {
        let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).unwrap_or(name);
        inner.trim_matches('"').chars().take(MAX_NAME).map(plain).collect::<String>()
    };
    let name = |name: &String| format!("\"{}\"", bare(name));
    let told: Vec<_> = presented.iter().take(MAX_NAMES).map(name).collect();
    match presented.len().saturating_sub(MAX_NAMES) {
        0 if told.is_empty() => "no name".to_owned(),
        0 => told.join(", "),
        more => format!("{} and {more} more", told.join(", ")),
    }
}

fn date(time: &UnixTime) -> String {
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    let date = OffsetDateTime::from_unix_timestamp(seconds).ok().and_then(|date| date.format(&Rfc3339).ok());
    date.unwrap_or_else(|| format!("{seconds} s after 1970"))
}
