//! The query string, decoded once: the first value of a parameter counts, as it does upstream.

/// The decoded parameters of a request.
#[derive(Debug, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Decodes a query string; a pair that is not valid percent-encoded UTF-8 is dropped.
    pub(crate) fn parse(query: &str) -> Self {
        let pair = |text: &str| {
            let (name, value) = text.split_once('=').unwrap_or((text, ""));
            Some((percent_decode(name, true)?, percent_decode(value, true)?))
        };
        Self(query.split('&').filter(|text| !text.is_empty()).filter_map(pair).collect())
    }

    /// The first value of `name`, if it is present and not empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(each, _)| each == name)?;
        (!value.is_empty()).then_some(value)
    }

    /// A boolean parameter: present and neither `false` nor `0`.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.0
            .iter()
            .find(|(each, _)| each == name)
            .is_some_and(|(_, value)| value != "false" && value != "0")
    }
}

/// Decodes `%XX`, and `+` as a space in a form. `None` where an escape is broken or the result is not UTF-8.
pub(crate) fn percent_decode(text: &str, form: bool) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let mut digit = || bytes.next().and_then(|byte| char::from(byte).to_digit(16));
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            b'+' if form => b' ',
            other => other,
        });
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_and_takes_the_first() {
        let query = Query::parse("labelSelector=a%20in+(b%2Cc)&watch=true&watch=false&x=%zz&limit=");
        assert_eq!(query.get("labelSelector"), Some("a in (b,c)"));
        assert!(query.flag("watch"));
        assert_eq!(query.get("x"), None);
        assert_eq!(query.get("limit"), None);
    }

    #[test]
    fn flags() {
        for (text, expected) in
            [("watch", true), ("watch=1", true), ("watch=0", false), ("watch=false", false), ("", false)]
        {
            assert_eq!(Query::parse(text).flag("watch"), expected, "{text}");
        }
    }
}
