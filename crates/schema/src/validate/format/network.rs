//! Formats of addresses and names in a network.

use std::net::{Ipv4Addr, Ipv6Addr};

pub(super) fn is_ipv4(text: &str) -> bool {
    // Go takes an IPv4 address in its IPv6 form for one of both.
    text.parse::<Ipv4Addr>().is_ok() || text.contains('.') && is_ipv6(text)
}

pub(super) fn is_ipv6(text: &str) -> bool {
    text.parse::<Ipv6Addr>().is_ok()
}

pub(super) fn is_cidr(text: &str) -> bool {
    let Some((address, bits)) = text.split_once('/') else { return false };
    let most = match (address.parse::<Ipv4Addr>(), address.parse::<Ipv6Addr>()) {
        (Ok(_), _) => 32,
        (_, Ok(_)) => 128,
        _ => return false,
    };
    let digits = bits.len() <= 3 && bits.bytes().all(|byte| byte.is_ascii_digit());
    digits && bits.parse::<u32>().is_ok_and(|bits| bits <= most)
}

/// A MAC address of 6, 8 or 20 bytes: pairs of digits joined by `:` or `-`, or fours joined by `.`.
pub(super) fn is_mac(text: &str) -> bool {
    let (mark, digits) = match text.find([':', '-', '.']) {
        Some(2) => (text.as_bytes()[2], 2),
        Some(4) => (text.as_bytes()[4], 4),
        _ => return false,
    };
    if (mark == b'.') != (digits == 4) {
        return false;
    }
    let groups: Vec<&str> = text.split(char::from(mark)).collect();
    let is_group = |group: &&str| group.len() == digits && group.bytes().all(|byte| byte.is_ascii_hexdigit());
    groups.iter().all(is_group) && matches!(groups.len() * digits / 2, 6 | 8 | 20)
}

/// A host's name: labels of letters, digits, symbols and inner dashes; the last of several is two letters at least.
pub(super) fn is_hostname(text: &str) -> bool {
    let labels: Vec<&str> = text.split('.').collect();
    let last = labels.len() - 1;
    let is_label = |(index, label): (usize, &&str)| match index {
        index if index == last && last > 0 => {
            label.chars().count() >= 2 && label.chars().all(|letter| letter.is_alphabetic())
        }
        _ => {
            !label.is_empty()
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.chars().all(is_host_character)
        }
    };
    text.len() <= 255
        && labels.iter().all(|label| label.len() <= 63)
        && labels.iter().enumerate().all(is_label)
}

fn is_host_character(character: char) -> bool {
    match character {
        '-' => true,
        character if character.is_ascii() => {
            character.is_ascii_alphanumeric() || "$+<=>^`|~".contains(character)
        }
        // Beyond ASCII, letters and symbols; what is neither is space, punctuation or control.
        character => !character.is_control() && !character.is_whitespace() && !character.is_numeric(),
    }
}

/// A URL with a scheme, or an absolute path, as Go's `url.ParseRequestURI` reads it.
pub(super) fn is_uri(text: &str) -> bool {
    if text.is_empty() || text.bytes().any(|byte| byte < 0x20 || byte == 0x7f) {
        return false;
    }
    let rest = match text.split_once(':') {
        Some((scheme, rest)) if is_scheme(scheme) => {
            if !rest.starts_with('/') {
                // Something like `mailto:a@b`, which is not looked into.
                return true;
            }
            rest
        }
        _ => text,
    };
    let (rest, _query) = rest.split_once('?').unwrap_or((rest, ""));
    match rest.strip_prefix("//") {
        Some(rest) if rest.len() < text.len() - 2 => {
            let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            is_authority(authority) && has_whole_escapes(path)
        }
        _ => (rest.starts_with('/') || text == "*") && has_whole_escapes(rest),
    }
}

fn is_scheme(scheme: &str) -> bool {
    scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

fn is_authority(authority: &str) -> bool {
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    match host.strip_prefix('[') {
        Some(literal) => literal
            .split_once(']')
            .is_some_and(|(_, end)| end.is_empty() || end.strip_prefix(':').is_some_and(is_port)),
        None => {
            let (name, port) = host.split_once(':').unwrap_or((host, ""));
            is_port(port)
                && !name.contains([' ', '"', '\\', '^', '`', '{', '|', '}'])
                && has_whole_escapes(name)
        }
    }
}

fn has_whole_escapes(text: &str) -> bool {
    text.split('%')
        .skip(1)
        .all(|after| after.len() >= 2 && after.as_bytes()[..2].iter().all(u8::is_ascii_hexdigit))
}

/// An address, maybe with a name before it, as Go's `mail.ParseAddress` reads it; without comments and groups.
pub(super) fn is_email(text: &str) -> bool {
    let text = text.trim_matches([' ', '\t']);
    match text.strip_suffix('>').and_then(|text| text.rsplit_once('<')) {
        Some((name, address)) => is_phrase(name.trim_matches([' ', '\t'])) && is_address(address),
        None => is_address(text),
    }
}

fn is_phrase(name: &str) -> bool {
    name.is_empty()
        || is_quoted(name)
        || name.split([' ', '\t']).all(|word| word.is_empty() || is_dot_atom(word))
}

fn is_address(address: &str) -> bool {
    let Some((local, domain)) = address.rsplit_once('@') else { return false };
    (is_dot_atom(local) || is_quoted(local)) && (is_dot_atom(domain) || is_literal(domain))
}

fn is_dot_atom(text: &str) -> bool {
    let is_atom =
        |byte: u8| byte.is_ascii_alphanumeric() || byte >= 0x80 || b"!#$%&'*+-/=?^_`{|}~".contains(&byte);
    text.split('.').all(|word| !word.is_empty() && word.bytes().all(is_atom))
}

fn is_quoted(text: &str) -> bool {
    let Some(inner) = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) else { return false };
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        let is_wrong = match character {
            '\\' => characters.next().is_none(),
            character => character == '"' || character.is_control() && character != '\t',
        };
        if is_wrong {
            return false;
        }
    }
    !inner.is_empty()
}

fn is_literal(domain: &str) -> bool {
    let inner = domain.strip_prefix('[').and_then(|domain| domain.strip_suffix(']'));
    inner.is_some_and(|address| is_ipv4(address) || is_ipv6(address.strip_prefix("IPv6:").unwrap_or(address)))
}
