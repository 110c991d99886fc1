//! What services and their endpoints have in common: addresses, ports, names of ports.

use detectviz_api::Cause;
use detectviz_api::names::{check_dns_label, check_dns_subdomain, check_label_key};
use serde_json::Value;
use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::causes::{duplicate, invalid, required, unsupported};
use super::text;

/// The protocols of ports, in the order in which faults name them.
pub(super) const PROTOCOLS: [&str; 3] = ["SCTP", "TCP", "UDP"];

/// The items of the list at `pointer`.
pub(super) fn items<'v>(object: &'v Value, pointer: &str) -> &'v [Value] {
    object.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The texts of the list at `pointer`; what is no text is the schema's to refuse.
pub(super) fn texts<'v>(object: &'v Value, pointer: &str) -> Vec<&'v str> {
    items(object, pointer).iter().filter_map(Value::as_str).collect()
}

/// The number at `pointer`; none is 0.
pub(super) fn number(object: &Value, pointer: &str) -> i64 {
    object.pointer(pointer).and_then(Value::as_i64).unwrap_or_default()
}

/// What is wrong with `text` as an IP address.
pub(super) fn ip_fault(field: &str, text: &str) -> Option<Cause> {
    let why = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
    text.parse::<IpAddr>().is_err().then(|| invalid(field, text, why))
}

/// What is wrong with `text` as an address that others are to be sent to.
pub(super) fn non_special_ip_fault(field: &str, text: &str) -> Option<Cause> {
    let Ok(ip) = text.parse::<IpAddr>() else {
        return Some(invalid(field, text, "must be a valid IP address"));
    };
    let why = match ip.to_canonical() {
        ip if ip.is_unspecified() => format!("may not be unspecified ({text})"),
        ip if ip.is_loopback() => "may not be in the loopback range (127.0.0.0/8, ::1/128)".to_owned(),
        IpAddr::V4(v4) if v4.is_link_local() => LINK_LOCAL.to_owned(),
        IpAddr::V6(v6) if v6.is_unicast_link_local() => LINK_LOCAL.to_owned(),
        ip if is_link_local_multicast(ip) => {
            "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)".to_owned()
        }
        _ => return None,
    };
    Some(invalid(field, text, &why))
}

const LINK_LOCAL: &str = "may not be in the link-local range (169.254.0.0/16, fe80::/10)";

fn is_link_local_multicast(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => v4.octets().starts_with(&[224, 0, 0]),
        IpAddr::V6(v6) => v6.segments()[0] & 0xff0f == 0xff02,
    }
}

/// What is wrong with `text` as an address and the length of a prefix.
pub(super) fn cidr_fault(field: &str, text: &str) -> Option<Cause> {
    let is_cidr = text.split_once('/').is_some_and(|(ip, length)| {
        let most = match ip {
            ip if ip.parse::<Ipv4Addr>().is_ok() => 32,
            ip if ip.parse::<Ipv6Addr>().is_ok() => 128,
            _ => return false,
        };
        let is_plain =
            length.bytes().all(|b| b.is_ascii_digit()) && (length == "0" || !length.starts_with('0'));
        is_plain && length.parse::<u8>().is_ok_and(|length| length <= most)
    });
    (!is_cidr)
        .then(|| invalid(field, text, "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"))
}

/// What is wrong with `number` as a port.
pub(super) fn port_fault(field: &str, number: i64) -> Option<Cause> {
    let is_port = (1..=65535).contains(&number);
    (!is_port).then(|| invalid(field, number, "must be between 1 and 65535, inclusive"))
}

/// What is wrong with a port given by number or by name.
pub(super) fn port_or_name_faults(field: &str, port: &Value) -> Vec<Cause> {
    let Some(name) = port.as_str() else {
        return port.as_i64().and_then(|number| port_fault(field, number)).into_iter().collect();
    };
    let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let faults = [
        (name.len() > 15, "must be no more than 15 characters"),
        (
            name.is_empty() || !name.bytes().all(is_allowed),
            "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)",
        ),
        (!name.bytes().any(|b| b.is_ascii_lowercase()), "must contain at least one letter (a-z)"),
        (name.contains("--"), "must not contain consecutive hyphens"),
        (name.starts_with('-') || name.ends_with('-'), "must not begin or end with a hyphen"),
    ];
    faults.iter().filter(|(is_fault, _)| *is_fault).map(|(_, why)| invalid(field, name, why)).collect()
}

/// What is wrong with `text` as a DNS label.
pub(super) fn label_fault(field: &str, text: &str) -> Option<Cause> {
    check_dns_label(text).err().map(|why| invalid(field, text, &why))
}

/// What is wrong with `text` as a DNS subdomain.
pub(super) fn subdomain_fault(field: &str, text: &str) -> Option<Cause> {
    check_dns_subdomain(text).err().map(|why| invalid(field, text, &why))
}

/// What is wrong with `text` as a name with an optional domain before it.
pub(super) fn qualified_fault(field: &str, text: &str) -> Option<Cause> {
    check_label_key(text).err().map(|why| invalid(field, text, &why))
}

/// What is wrong with the protocol of the port at `field`.
pub(super) fn protocol_fault(field: &str, port: &Value) -> Option<Cause> {
    let field = format!("{field}.protocol");
    match text(port, "/protocol") {
        "" => Some(required(&field, "")),
        protocol => (!PROTOCOLS.contains(&protocol)).then(|| unsupported(&field, protocol, &PROTOCOLS)),
    }
}

/// What is wrong with the application protocol of the port at `field`.
pub(super) fn app_protocol_fault(field: &str, port: &Value) -> Option<Cause> {
    let protocol = port.get("appProtocol").and_then(Value::as_str)?;
    qualified_fault(&format!("{field}.appProtocol"), protocol)
}

/// The values seen so far, and the fault of one that comes again.
#[derive(Default)]
pub(super) struct Once<'v>(HashSet<&'v str>);

impl<'v> Once<'v> {
    pub(super) fn fault(&mut self, field: &str, value: &'v str) -> Option<Cause> {
        (!self.0.insert(value)).then(|| duplicate(field, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::strategies::read;
    use serde_json::json;

    #[test]
    fn addresses_are_addresses_of_others() {
        for (text, part) in [
            ("10.0.0.1", None),
            ("2001:db8::1", None),
            ("10.0.0.01", Some("must be a valid IP")),
            ("0.0.0.0", Some("may not be unspecified (0.0.0.0)")),
            ("127.1.2.3", Some("loopback")),
            ("::1", Some("loopback")),
            ("169.254.1.1", Some("link-local range")),
            ("fe80::1", Some("link-local range")),
            ("224.0.0.5", Some("link-local multicast")),
            ("ff02::1", Some("link-local multicast")),
            ("224.0.1.5", None),
        ] {
            let fault = non_special_ip_fault("ip", text).map(|cause| cause.message);
            assert_eq!(fault.is_some(), part.is_some(), "{text}");
            assert!(fault.is_none_or(|fault| fault.contains(part.unwrap())), "{text}");
        }
        assert!(ip_fault("ip", "::").is_none() && ip_fault("ip", "None").is_some());
    }

    #[test]
    fn ranges_have_a_length_that_fits() {
        for (text, is_range) in [
            ("10.0.0.0/8", true),
            ("10.1.2.3/32", true),
            ("::/0", true),
            ("10.0.0.0/33", false),
            ("10.0.0.0", false),
            ("10.0.0.0/08", false),
            ("10.0.0.0/+8", false),
            ("x/8", false),
        ] {
            assert_eq!(cidr_fault("r", text).is_none(), is_range, "{text}");
        }
    }

    #[test]
    fn ports_are_numbers_or_short_names() {
        for good in [json!(1), json!(65535), json!("http"), json!("a-1"), json!(null)] {
            assert!(port_or_name_faults("p", &good).is_empty(), "{good}");
        }
        assert_eq!(
            read(&port_or_name_faults("p", &json!(0))),
            ["p: Invalid value: 0: must be between 1 and 65535, inclusive"]
        );
        assert_eq!(
            read(&port_or_name_faults("p", &json!("-8--8-"))),
            [
                "p: Invalid value: \"-8--8-\": must contain at least one letter (a-z)",
                "p: Invalid value: \"-8--8-\": must not contain consecutive hyphens",
                "p: Invalid value: \"-8--8-\": must not begin or end with a hyphen",
            ]
        );
        for bad in ["Http", "a234567890123456", ""] {
            assert!(!port_or_name_faults("p", &json!(bad)).is_empty(), "{bad}");
        }
    }
}
