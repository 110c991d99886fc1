//! What names, label keys and label values must be like, in upstream's texts, since clients and people match on them.
//!
//! Each rule names everything that is wrong at once; `check_*` is the same as one text.

/// The most bytes of a DNS subdomain.
const MAX_SUBDOMAIN: usize = 253;
/// The most bytes of a DNS label, and of the name part of a label's key or its value.
const MAX_LABEL: usize = 63;

const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', \
     and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
     '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must \
     start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
     '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const LABEL_1035: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an \
     alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for \
     validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
const KEY: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric \
     character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
     '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and \
     must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for \
     validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

/// What is wrong with `name` as a DNS subdomain (RFC 1123): labels of `[a-z0-9-]` joined by dots.
pub fn dns_subdomain_faults(name: &str) -> Vec<String> {
    let right = name.split('.').all(is_dns_label);
    too_long(name, MAX_SUBDOMAIN).into_iter().chain((!right).then(|| SUBDOMAIN.to_owned())).collect()
}

/// What is wrong with `name` as a DNS label (RFC 1123): `[a-z0-9-]`.
pub fn dns_label_faults(name: &str) -> Vec<String> {
    let wrong = match () {
        () if is_dns_label(name) => None,
        () if name.split('.').all(is_dns_label) => Some("must not contain dots".to_owned()),
        () => Some(LABEL.to_owned()),
    };
    too_long(name, MAX_LABEL).into_iter().chain(wrong).collect()
}

/// What is wrong with `name` as a DNS label of RFC 1035, which begins with a letter.
pub fn dns_1035_label_faults(name: &str) -> Vec<String> {
    let right = is_dns_label(name) && name.starts_with(|first: char| first.is_ascii_lowercase());
    too_long(name, MAX_LABEL).into_iter().chain((!right).then(|| LABEL_1035.to_owned())).collect()
}

/// What is wrong with `name` as a segment of a path: what APIServices and other free names must keep to.
pub fn path_segment_faults(name: &str) -> Vec<String> {
    match name {
        "." | ".." => vec![format!("may not be '{name}'")],
        _ => path_segment_prefix_faults(name),
    }
}

/// What is wrong with `prefix` as the beginning of a segment of a path.
pub fn path_segment_prefix_faults(prefix: &str) -> Vec<String> {
    let unfit = ['/', '%'].into_iter().filter(|unfit| prefix.contains(*unfit));
    unfit.map(|unfit| format!("may not contain '{unfit}'")).collect()
}

/// What is wrong with `key` as a label's key, which is a qualified name: an optional DNS prefix and `/`, then at most 63
/// of `[A-Za-z0-9-_.]`.
pub fn label_key_faults(key: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let name = match key.split_once('/') {
        None => key,
        Some((_, name)) if name.contains('/') => {
            let end = "with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')";
            return vec![format!("a valid label key {KEY} {end}")];
        }
        Some(("", name)) => {
            faults.push("prefix part must be non-empty".to_owned());
            name
        }
        Some((prefix, name)) => {
            faults.extend(dns_subdomain_faults(prefix).iter().map(|why| format!("prefix part {why}")));
            name
        }
    };
    if name.is_empty() {
        faults.push("name part must be non-empty".to_owned());
    }
    faults.extend(too_long(name, MAX_LABEL).map(|why| format!("name part {why}")));
    if !is_label_text(name) {
        faults.push(format!("name part {KEY}"));
    }
    faults
}

/// What is wrong with `value` as a label's value: empty, or at most 63 of `[A-Za-z0-9-_.]`.
pub fn label_value_faults(value: &str) -> Vec<String> {
    let right = value.is_empty() || is_label_text(value);
    too_long(value, MAX_LABEL).into_iter().chain((!right).then(|| VALUE.to_owned())).collect()
}

/// Whether `name` is a DNS subdomain (RFC 1123).
///
/// # Errors
/// Says what a name must be like.
pub fn check_dns_subdomain(name: &str) -> Result<(), String> {
    joined(&dns_subdomain_faults(name))
}

/// Whether `name` is a DNS label (RFC 1123).
///
/// # Errors
/// Says what a name must be like.
pub fn check_dns_label(name: &str) -> Result<(), String> {
    joined(&dns_label_faults(name))
}

/// Whether `name` is a DNS label of RFC 1035.
///
/// # Errors
/// Says what a name must be like.
pub fn check_dns1035_label(name: &str) -> Result<(), String> {
    joined(&dns_1035_label_faults(name))
}

/// Whether `name` may be a segment of a path.
///
/// # Errors
/// Says what a name must be like.
pub fn check_path_segment(name: &str) -> Result<(), String> {
    joined(&path_segment_faults(name))
}

/// Whether `key` may be a label's key.
///
/// # Errors
/// Says what a key must be like.
pub fn check_label_key(key: &str) -> Result<(), String> {
    joined(&label_key_faults(key))
}

/// Whether `value` may be a label's value.
///
/// # Errors
/// Says what a value must be like.
pub fn check_label_value(value: &str) -> Result<(), String> {
    joined(&label_value_faults(value))
}

fn joined(faults: &[String]) -> Result<(), String> {
    if faults.is_empty() { Ok(()) } else { Err(faults.join("; ")) }
}

fn too_long(text: &str, most: usize) -> Option<String> {
    (text.len() > most).then(|| format!("must be no more than {most} bytes"))
}

/// Whether `text` is made as a label is, of any length.
fn is_dns_label(text: &str) -> bool {
    let edge = |byte: Option<&u8>| byte.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    edge(text.as_bytes().first())
        && edge(text.as_bytes().last())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// Whether `text` is made as the name part of a label's key is, of any length.
fn is_label_text(text: &str) -> bool {
    let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    edge(text.as_bytes().first())
        && edge(text.as_bytes().last())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::NameRule;

    /// A rule, what keeps it, and what does not with the beginning of each text.
    type Case<'a> = (fn(&str) -> Vec<String>, &'a [&'a str], &'a [(&'a str, &'a [&'a str])]);

    #[test]
    fn each_rule_names_all_that_is_wrong() {
        let (long, longer) = (&*"a".repeat(63), &*"A".repeat(254));
        let longest = format!("{longer}/x");
        let rules: [Case<'_>; 6] = [
            (
                dns_subdomain_faults,
                &["a", "a-b.c0", "1.2", long],
                &[
                    ("", &[SUBDOMAIN]),
                    ("A", &[SUBDOMAIN]),
                    ("a..b", &[SUBDOMAIN]),
                    ("a.-b", &[SUBDOMAIN]),
                    ("a_b", &[SUBDOMAIN]),
                    ("é", &[SUBDOMAIN]),
                    (longer, &["must be no more than 253 bytes", SUBDOMAIN]),
                ],
            ),
            (
                dns_label_faults,
                &["a", "1-b", long],
                &[("a.b", &["must not contain dots"]), ("-a", &[LABEL]), ("a\n", &[LABEL])],
            ),
            (dns_1035_label_faults, &["a", "a-1"], &[("1a", &[LABEL_1035]), ("", &[LABEL_1035])]),
            (
                path_segment_faults,
                &["v1.", "a:b", "...", ""],
                &[
                    (".", &["may not be '.'"]),
                    ("..", &["may not be '..'"]),
                    ("a/b%", &["may not contain '/'", "may not contain '%'"]),
                ],
            ),
            (
                label_key_faults,
                &["a", "A.b_c-9", "example.com/x", long],
                &[
                    ("", &["name part must be non-empty", "name part must consist of"]),
                    ("-", &["name part must consist of"]),
                    ("/a", &["prefix part must be non-empty"]),
                    ("E/a", &["prefix part a lowercase RFC 1123 subdomain must"]),
                    ("a/b/c", &["a valid label key must consist of"]),
                    (longer, &["name part must be no more than 63 bytes"]),
                    (&longest, &["prefix part must be no more than 253 bytes", "prefix part a lowercase"]),
                ],
            ),
            (
                label_value_faults,
                &["", "a", "A.b_c-9"],
                &[("not ok", &[VALUE]), (longer, &["must be no more than 63 bytes"]), ("-", &[VALUE])],
            ),
        ];
        for (rule, good, bad) in rules {
            good.iter().for_each(|name| assert_eq!(rule(name), [""; 0], "{name}"));
            for (name, texts) in bad {
                let faults = rule(name);
                let fits = |(fault, text): (&String, &&str)| fault.starts_with(text);
                assert!(
                    faults.len() == texts.len() && faults.iter().zip(*texts).all(fits),
                    "{name}: {faults:?}"
                );
            }
        }
    }

    #[test]
    fn the_texts_are_upstreams() {
        for (text, whole) in [
            (
                check_dns_subdomain("A"),
                "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
            ),
            (
                check_dns_label("A"),
                "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
            ),
            (
                check_label_key("a/b/c"),
                "a valid label key must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')",
            ),
            (
                check_label_value("-"),
                "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
            ),
        ] {
            assert_eq!(text.unwrap_err(), whole);
        }
    }

    #[test]
    fn a_prefix_may_end_with_one_dash() {
        for (rule, prefix, right) in [
            (NameRule::DnsSubdomain, "a-", true),
            (NameRule::DnsSubdomain, "a--", false),
            (NameRule::DnsSubdomain, "-", false),
            (NameRule::DnsSubdomain, "a.", false),
            (NameRule::DnsLabel, "1-", true),
            (NameRule::Dns1035Label, "1-", false),
            (NameRule::PathSegment, "..", true),
            (NameRule::PathSegment, "a/", false),
        ] {
            assert_eq!(rule.prefix_faults(prefix).is_empty(), right, "{rule:?} {prefix}");
        }
    }
}
