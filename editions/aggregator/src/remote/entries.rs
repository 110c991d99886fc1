//! The remote services file, read: Grafana's list of `group`, `version`, `host` and `port`. Instead of host and port
//! an entry may have `endpoints`, of which a Service could have several too.

use detectviz_api::go::cut;
use detectviz_api::{GroupVersion, names};
use detectviz_client::Address;
use std::path::PathBuf;

use super::document::{self, Fault, Node, Value};
use crate::spec::{targets, url};

/// The most entries: a version's priority is its place, and 1000 is the highest that there is.
const MAX_ENTRIES: usize = 1000;
/// What an entry may have.
const FIELDS: [&str; 5] = ["endpoints", "group", "host", "port", "version"];

/// One remote service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) group_version: GroupVersion,
    pub(super) place: Place,
    /// Whether it is reached over TLS, and hence must be vouched for.
    pub(super) is_tls: bool,
}

/// Where a remote service is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// At a host and a port.
    Host(String, u16),
    /// At each of these targets, as the annotation says them.
    Endpoints(String),
}

/// Reads the file's `text`; unix sockets may be in `socket_dirs`.
///
/// # Errors
/// All mistakes, each with its line.
pub(super) fn read(text: &str, socket_dirs: &[PathBuf]) -> Result<Vec<Entry>, Vec<Fault>> {
    let Some(node) = document::read(text).map_err(|fault| vec![fault])? else { return Ok(Vec::new()) };
    let Value::List(items) = node.value else {
        return Err(vec![(node.line, "must be a list of remote services".to_owned())]);
    };
    if items.len() > MAX_ENTRIES {
        return Err(vec![(items[MAX_ENTRIES].line, format!("at most {MAX_ENTRIES} are allowed"))]);
    }
    let (mut entries, mut faults) = (Vec::<Entry>::new(), Vec::new());
    for item in &items {
        match entry(item, socket_dirs) {
            Ok(entry) if entries.iter().any(|other| other.group_version == entry.group_version) => {
                faults.push((item.line, format!("{} stands twice", entry.group_version)));
            }
            Ok(entry) => entries.push(entry),
            Err(mistakes) => faults.extend(mistakes),
        }
    }
    if faults.is_empty() { Ok(entries) } else { Err(faults) }
}

fn entry(node: &Node, socket_dirs: &[PathBuf]) -> Result<Entry, Vec<Fault>> {
    let mut fields = Fields::of(node).map_err(|fault| vec![fault])?;
    let group = fields.checked("group", |text| names::check_dns_subdomain(text).map(|()| text.to_owned()));
    let version = fields.checked("version", |text| names::check_dns_label(text).map(|()| text.to_owned()));
    let place = if fields.get("endpoints").is_some() {
        fields.endpoints(socket_dirs)
    } else {
        let host = fields.checked("host", targets::host_name);
        let port = fields.checked("port", |text| {
            let port = text.parse().ok().filter(|port: &u16| *port > 0);
            port.ok_or_else(|| "must be a port from 1 to 65535".to_owned())
        });
        host.zip(port).map(|(host, port)| (Place::Host(host, port), true))
    };
    match (group, version, place, fields.faults) {
        (Some(group), Some(version), Some((place, is_tls)), faults) if faults.is_empty() => {
            Ok(Entry { group_version: GroupVersion::new(group, version), place, is_tls })
        }
        (_, _, _, faults) => Err(faults),
    }
}

/// The fields of one entry, and what is wrong with them.
struct Fields<'n> {
    line: usize,
    fields: &'n [(Node, Node)],
    faults: Vec<Fault>,
}

impl<'n> Fields<'n> {
    fn of(node: &'n Node) -> Result<Self, Fault> {
        let Value::Map(fields) = &node.value else {
            return Err((node.line, format!("must have {}", FIELDS.join(", "))));
        };
        let mut faults = Vec::new();
        for (index, (key, _)) in fields.iter().enumerate() {
            let name = key.text().unwrap_or_default();
            if !FIELDS.contains(&name) {
                let why = format!("unknown field {:?}: allowed are {}", cut(name), FIELDS.join(", "));
                faults.push((key.line, why));
            } else if fields[..index].iter().any(|(other, _)| other.text() == Some(name)) {
                faults.push((key.line, format!("{name} stands twice")));
            }
        }
        Ok(Self { line: node.line, fields, faults })
    }

    fn get(&self, name: &str) -> Option<&'n Node> {
        self.fields.iter().find(|(key, _)| key.text() == Some(name)).map(|(_, value)| value)
    }

    /// The field `name`, as `check` reads its text.
    fn checked<T>(&mut self, name: &str, check: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let Some(node) = self.get(name) else {
            self.faults.push((self.line, format!("{name} is missing")));
            return None;
        };
        let text = node.text().unwrap_or_default();
        let fault = |why| (node.line, format!("{name} {:?}: {why}", cut(text)));
        check(text).map_err(|why| self.faults.push(fault(why))).ok()
    }

    /// The field `endpoints`, a list or a text joined by commas.
    fn endpoints(&mut self, socket_dirs: &[PathBuf]) -> Option<(Place, bool)> {
        for name in ["host", "port"] {
            if let Some(node) = self.get(name) {
                self.faults.push((node.line, format!("{name} must not be combined with endpoints")));
            }
        }
        let node = self.get("endpoints")?;
        let texts: Vec<_> = match &node.value {
            Value::List(items) => {
                items.iter().map(|item| (item.line, item.text().unwrap_or_default())).collect()
            }
            _ => vec![(node.line, node.text().unwrap_or_default())],
        };
        let mut found = Vec::new();
        for (line, text) in &texts {
            match targets::read(text, socket_dirs) {
                Ok(addresses) => found.extend(addresses),
                Err(why) => self.faults.push((*line, format!("endpoints: {why}"))),
            }
        }
        if texts.is_empty() {
            self.faults.push((node.line, "endpoints must not be empty".to_owned()));
        }
        let is_tls = found.iter().any(|address| matches!(address, Address::Tcp { .. }));
        let joined = found.iter().map(url).collect::<Vec<_>>().join(",");
        Some((Place::Endpoints(joined), is_tls))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Vec<String> {
        let found = read(text, &["/run".into()]).unwrap_err();
        found.into_iter().map(|(line, why)| format!("{line}: {why}")).collect()
    }

    #[test]
    fn grafanas_form_is_read_and_ours_beside_it() {
        let text = "
- group: example.grafana.app
  version: v0alpha1
  host: example.grafana.svc
  port: 7443
- {group: other.grafana.app, version: v1, endpoints: 'https://b:1, https://a'}
- group: local.grafana.app
  version: v1
  endpoints: [unix:///run/x.sock]
";
        let gv = GroupVersion::new;
        let expected = [
            Entry {
                group_version: gv("example.grafana.app", "v0alpha1"),
                place: Place::Host("example.grafana.svc".into(), 7443),
                is_tls: true,
            },
            Entry {
                group_version: gv("other.grafana.app", "v1"),
                place: Place::Endpoints("https://a:443,https://b:1".into()),
                is_tls: true,
            },
            Entry {
                group_version: gv("local.grafana.app", "v1"),
                place: Place::Endpoints("unix:///run/x.sock".into()),
                is_tls: false,
            },
        ];
        assert_eq!(read(text, &["/run".into()]).unwrap(), expected);
        assert_eq!(read("# none\n", &[]), Ok(Vec::new()));
        assert_eq!(read("[]", &[]), Ok(Vec::new()));
    }

    #[test]
    fn all_mistakes_are_named_with_their_lines() {
        let text = "
- group: example.grafana.app
  version: V1
  host: a b
  port: 0
- group: a.grafana.app
  version: v1
  host: a
  ports: 1
- text
- {group: b.grafana.app, version: v1, endpoints: ['http://x',
   'https://y'], host: y}
- {group: c.grafana.app, version: v1, host: a, port: 1}
- {group: c.grafana.app, version: v1, host: b, port: 2}
- {group: d.grafana.app, version: v1, endpoints: []}
";
        let found = faults(text);
        let expected = [
            "3: version \"V1\": ",
            "4: host \"a b\": must have a DNS name",
            "5: port \"0\": must be a port from 1 to 65535",
            "9: unknown field \"ports\": allowed are endpoints, group, host, port, version",
            "6: port is missing",
            "10: must have endpoints, group",
            "12: host must not be combined with endpoints",
            "11: endpoints: \"http://x\" would show to everybody",
            "14: c.grafana.app/v1 stands twice",
            "15: endpoints must not be empty",
        ];
        assert_eq!(found.len(), expected.len(), "{found:#?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.starts_with(expected), "{found} should start with {expected}");
        }
        assert_eq!(faults("group: x"), ["1: must be a list of remote services"]);
        assert!(faults("- [")[0].contains("no YAML"));
        assert!(faults(&"- x\n".repeat(1001))[0].starts_with("1001: at most 1000"));
    }
}
