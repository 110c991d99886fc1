//! Which controllers run, of those that a server can do without; upstream's flag of the controller manager, and its names.

use std::collections::BTreeSet;

/// Keeps the ConfigMap `kube-system/extension-apiserver-authentication`; in upstream a part of the API server.
pub const TRUST: &str = "cluster-authentication-trust-controller";
/// Keeps the ConfigMap `kube-root-ca.crt` in each namespace.
pub const ROOT_CA: &str = "root-ca-certificate-publisher-controller";
/// Keeps the ServiceAccount `default` in each namespace.
pub const SERVICE_ACCOUNT: &str = "serviceaccount-controller";

const NAMES: [&str; 3] = [TRUST, ROOT_CA, SERVICE_ACCOUNT];

/// The controllers that are on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Controllers(BTreeSet<&'static str>);

impl Controllers {
    /// Whether the controller `name` runs.
    pub fn is_on(&self, name: &str) -> bool {
        self.0.contains(name)
    }
}

/// Reads `*`, `NAME` and `-NAME`, joined by commas; a name counts more than the star, wherever they stand.
pub(super) fn read(text: &str, slot: &mut Controllers) -> Result<(), String> {
    let words: BTreeSet<&str> = text.split(',').map(str::trim).filter(|word| !word.is_empty()).collect();
    let is_known = |word: &&&str| **word == "*" || NAMES.contains(&word.strip_prefix('-').unwrap_or(word));
    if let Some(unknown) = words.iter().find(|word| !is_known(word)) {
        return Err(format!("{unknown:?} is none of *, {}", NAMES.join(", ")));
    }
    let is_on = |name: &&str| {
        words.contains(*name) || (words.contains("*") && !words.contains(format!("-{name}").as_str()))
    };
    *slot = Controllers(NAMES.into_iter().filter(is_on).collect());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_counts_more_than_the_star() {
        for (text, on) in [
            ("*", [true, true, true]),
            ("", [false, false, false]),
            ("serviceaccount-controller", [false, false, true]),
            ("*, -root-ca-certificate-publisher-controller", [true, false, true]),
            ("-serviceaccount-controller,*", [true, true, false]),
        ] {
            let mut controllers = Controllers::default();
            read(text, &mut controllers).unwrap();
            assert_eq!(NAMES.map(|name| controllers.is_on(name)), on, "{text}");
        }
        let fault = read("*,-garbage", &mut Controllers::default()).unwrap_err();
        assert!(fault.starts_with("\"-garbage\" is none of *, cluster-auth"), "{fault}");
    }
}
