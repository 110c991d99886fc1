//! What names, label keys and label values must be like (RFC 1123, and upstream's texts).

const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', \
     and must start and end with an alphanumeric character (e.g. 'example.com')";
const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must \
     start and end with an alphanumeric character (e.g. 'my-name')";

const LABEL_1035: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an \
     alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for \
     validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";

/// Whether `name` is a DNS subdomain (RFC 1123): labels of `[a-z0-9-]` joined by dots, at most 253 characters.
///
/// # Errors
/// Says what a name must be like.
pub fn check_dns_subdomain(name: &str) -> Result<(), String> {
    match () {
        () if name.len() > 253 => Err("must be no more than 253 characters".to_owned()),
        () if name.split('.').all(is_dns_label) => Ok(()),
        () => Err(SUBDOMAIN.to_owned()),
    }
}

/// Whether `name` is a DNS label (RFC 1123): `[a-z0-9-]`, at most 63 characters.
///
/// # Errors
/// Says what a name must be like.
pub fn check_dns_label(name: &str) -> Result<(), String> {
    match () {
        () if name.len() > 63 => Err("must be no more than 63 characters".to_owned()),
        () if is_dns_label(name) => Ok(()),
        () => Err(LABEL.to_owned()),
    }
}

/// Whether `name` is a DNS label of RFC 1035: like one of RFC 1123, but its first character is a letter.
///
/// # Errors
/// Says what a name must be like.
pub fn check_dns1035_label(name: &str) -> Result<(), String> {
    match () {
        () if name.len() > 63 => Err("must be no more than 63 characters".to_owned()),
        () if is_dns_label(name) && name.starts_with(|first: char| first.is_ascii_lowercase()) => Ok(()),
        () => Err(LABEL_1035.to_owned()),
    }
}

fn is_dns_label(text: &str) -> bool {
    let edge = |byte: Option<&u8>| byte.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    edge(text.as_bytes().first())
        && edge(text.as_bytes().last())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// Whether `name` may be a segment of a path: what APIServices and other free names must keep to.
///
/// # Errors
/// Says what a name must be like.
pub fn check_path_segment(name: &str) -> Result<(), String> {
    match name {
        "." | ".." => Err(format!("may not be '{name}'")),
        name if name.contains(['/', '%']) => Err("may not contain '/' or '%'".to_owned()),
        _ => Ok(()),
    }
}

/// Whether `key` may be a label key: an optional DNS prefix and `/`, then at most 63 of `[A-Za-z0-9-_.]`.
///
/// # Errors
/// Says what a key must be like.
pub fn check_label_key(key: &str) -> Result<(), String> {
    let (prefix, name) = key.split_once('/').map_or((None, key), |(prefix, name)| (Some(prefix), name));
    if let Some(prefix) = prefix {
        check_dns_subdomain(prefix).map_err(|why| format!("prefix part {why}"))?;
    }
    if name.is_empty() || !is_label_text(name) {
        return Err(
            "name part must consist of alphanumeric characters, '-', '_' or '.', must start and end with an \
                    alphanumeric character, and must be no more than 63 characters"
                .to_owned(),
        );
    }
    Ok(())
}

/// Whether `value` may be a label's value: empty, or at most 63 of `[A-Za-z0-9-_.]`.
///
/// # Errors
/// Says what a value must be like.
pub fn check_label_value(value: &str) -> Result<(), String> {
    if value.is_empty() || is_label_text(value) {
        return Ok(());
    }
    Err("a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', must start \
         and end with an alphanumeric character, and must be no more than 63 characters"
        .to_owned())
}

fn is_label_text(text: &str) -> bool {
    let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    text.len() <= 63
        && edge(text.as_bytes().first())
        && edge(text.as_bytes().last())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_their_rule() {
        for name in ["a", "a-b.c0", "1.2"] {
            assert!(check_dns_subdomain(name).is_ok(), "{name}");
        }
        for name in ["", "A", "-a", "a-", "a..b", "a_b", "é", &"a".repeat(254)] {
            assert!(check_dns_subdomain(name).is_err(), "{name}");
        }
        assert!(
            check_dns_label("a.b").is_err()
                && check_dns_label("0a").is_ok()
                && check_dns1035_label("a0-b").is_ok()
                && check_dns1035_label("0a").is_err()
                && check_path_segment("v1.").is_ok()
                && check_path_segment("a/b").is_err()
        );
    }
}
