//! The formats of texts that a CRD may ask for, judged as go-openapi's registry does; all other formats are ignored.

mod codes;
mod network;
#[cfg(test)]
mod tests;
mod times;

use detectviz_api::names;

/// A format of a text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TextFormat(&'static Entry);

impl PartialEq for TextFormat {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for TextFormat {}

#[derive(Debug)]
struct Entry {
    name: &'static str,
    fits: fn(&str) -> bool,
}

macro_rules! formats {
    ($($name:literal: $fits:expr,)*) => { [$(Entry { name: $name, fits: $fits }),*] };
}

/// Names are compared without dashes: `date-time` and `datetime` are one. The first of two is the one to show.
static FORMATS: [Entry; 28] = formats! {
    "bsonobjectid": |text| text.len() == 24 && text.bytes().all(|byte| byte.is_ascii_hexdigit()),
    "uri": network::is_uri,
    "email": network::is_email,
    "hostname": network::is_hostname,
    "ipv4": network::is_ipv4,
    "ipv6": network::is_ipv6,
    "cidr": network::is_cidr,
    "mac": network::is_mac,
    "uuid": |text| codes::is_uuid(text, None),
    "uuid3": |text| codes::is_uuid(text, Some('3')),
    "uuid4": |text| codes::is_uuid(text, Some('4')),
    "uuid5": |text| codes::is_uuid(text, Some('5')),
    "isbn": |text| codes::is_isbn10(text) || codes::is_isbn13(text),
    "isbn10": codes::is_isbn10,
    "isbn13": codes::is_isbn13,
    "creditcard": codes::is_credit_card,
    "ssn": codes::is_ssn,
    "hexcolor": codes::is_hex_color,
    "rgbcolor": codes::is_rgb_color,
    "byte": codes::is_base64,
    "password": |_| true,
    "date": times::is_date,
    "duration": times::is_duration,
    "date-time": times::is_date_time,
    "datetime": times::is_date_time,
    "quantity": codes::is_quantity,
    "k8s-short-name": |text| names::check_dns_label(text).is_ok(),
    "k8s-long-name": |text| names::check_dns_subdomain(text).is_ok(),
};

impl TextFormat {
    /// The format called `name`, if it is checked.
    pub(crate) fn of(name: &str) -> Option<Self> {
        let exact = FORMATS.iter().find(|entry| entry.name == name);
        let plain = |text: &str| text.replace('-', "");
        exact.or_else(|| FORMATS.iter().find(|entry| plain(entry.name) == plain(name))).map(Self)
    }

    /// The format as messages name it.
    pub(crate) const fn name(self) -> &'static str {
        self.0.name
    }

    /// Whether `text` is of this format.
    pub(crate) fn fits(self, text: &str) -> bool {
        (self.0.fits)(text)
    }
}
