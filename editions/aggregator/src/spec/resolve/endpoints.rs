//! Addresses out of `EndpointSlices` and `Endpoints`, as kube-proxy picks them: those that are ready, else those that
//! end but still answer (KEP-1669), so that the last ones of a rolling restart are used until there are new ones.

use detectviz_client::Address;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The most addresses of one Service: the first ones in their order.
const MAX_ADDRESSES: usize = 256;

/// The addresses in `slices` at the port named `port`, each once, in a fixed order.
pub(super) fn of_slices(slices: &[Arc<Value>], port: &str) -> Vec<Address> {
    let (mut ready, mut ending) = (BTreeSet::new(), BTreeSet::new());
    for slice in slices {
        for port in ports(items(slice, "ports"), port) {
            for endpoint in items(slice, "endpoints") {
                let condition = |name: &str| endpoint["conditions"][name].as_bool();
                // All addresses of an endpoint are the same one's: consumers take the first.
                let Some(host) = endpoint["addresses"][0].as_str() else { continue };
                let is_ready = condition("ready").unwrap_or(true);
                if is_ready {
                    ready.insert(address(host, port));
                } else if condition("serving").unwrap_or(false) && condition("terminating").unwrap_or(false) {
                    ending.insert(address(host, port));
                }
            }
        }
    }
    let best = if ready.is_empty() { ending } else { ready };
    best.into_iter().take(MAX_ADDRESSES).collect()
}

/// The addresses in `endpoints` at the port named `port`, each once, in a fixed order.
pub(super) fn of_endpoints(endpoints: &Value, port: &str) -> Vec<Address> {
    let mut found = BTreeSet::new();
    for subset in items(endpoints, "subsets") {
        for port in ports(items(subset, "ports"), port) {
            let hosts = items(subset, "addresses").iter().filter_map(|address| address["ip"].as_str());
            found.extend(hosts.map(|host| address(host, port)));
        }
    }
    found.into_iter().take(MAX_ADDRESSES).collect()
}

/// The numbers of the TCP ports named `name`.
fn ports<'v>(ports: &'v [Value], name: &str) -> impl Iterator<Item = u16> + use<'v> {
    let name = name.to_owned();
    let is_it = move |port: &&Value| {
        port["name"].as_str().unwrap_or_default() == name
            && port["protocol"].as_str().is_none_or(|protocol| protocol == "TCP")
    };
    let number = |port: &Value| u16::try_from(port["port"].as_u64()?).ok().filter(|port| *port > 0);
    ports.iter().filter(is_it).filter_map(number)
}

fn address(host: &str, port: u16) -> Address {
    Address::tcp(host.strip_suffix('.').unwrap_or(host), port)
}

fn items<'v>(object: &'v Value, field: &str) -> &'v [Value] {
    object[field].as_array().map_or(&[], Vec::as_slice)
}
