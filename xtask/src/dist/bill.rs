//! The bill of materials: CycloneDX 1.5 in JSON, <https://cyclonedx.org/docs/1.5/json/>. Without a serial number and a
//! time, which the format leaves open and which would differ each time.

use std::fmt::Write as _;

use anyhow::Context as _;
use serde::Serialize;

use super::packages::{Id, Package, Packages};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Bill {
    bom_format: &'static str,
    spec_version: &'static str,
    version: u32,
    metadata: Metadata,
    components: Vec<Component>,
    dependencies: Vec<Dependency>,
}

#[derive(Serialize)]
struct Metadata {
    component: Component,
    properties: [Property; 1],
}

#[derive(Serialize)]
struct Property {
    name: &'static str,
    value: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Component {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(rename = "bom-ref")]
    reference: String,
    name: String,
    version: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hashes: Vec<Hash>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    licenses: Vec<Licence>,
    purl: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    external_references: Vec<Reference>,
}

#[derive(Serialize)]
struct Hash {
    alg: &'static str,
    content: String,
}

#[derive(Serialize)]
struct Licence {
    expression: String,
}

#[derive(Serialize)]
struct Reference {
    #[serde(rename = "type")]
    kind: &'static str,
    url: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Dependency {
    #[serde(rename = "ref")]
    reference: String,
    depends_on: Vec<String>,
}

/// The bill of an edition that was built for `target`.
///
/// # Errors
/// Never in practice: strings make JSON.
pub(super) fn bill(packages: &Packages, target: &str) -> anyhow::Result<String> {
    let depends = |(id, needs): (&Id, &std::collections::BTreeSet<Id>)| Dependency {
        reference: purl(id),
        depends_on: needs.iter().map(purl).collect(),
    };
    let bill = Bill {
        bom_format: "CycloneDX",
        spec_version: "1.5",
        version: 1,
        metadata: Metadata {
            component: component("application", &packages.root),
            properties: [Property { name: "detectviz:target", value: target.to_owned() }],
        },
        components: packages.others.values().map(|package| component("library", package)).collect(),
        dependencies: packages.needs.iter().map(depends).collect(),
    };
    let text = serde_json::to_string_pretty(&bill).context("write the bill of materials")?;
    Ok(text + "\n")
}

fn component(kind: &'static str, package: &Package) -> Component {
    let purl = purl(&(package.name.clone(), package.version.clone()));
    let hash = |content: &String| Hash { alg: "SHA-256", content: content.clone() };
    let reference = |url: &String| Reference { kind: "vcs", url: url.clone() };
    Component {
        kind,
        reference: purl.clone(),
        name: package.name.clone(),
        version: package.version.clone(),
        hashes: package.checksum.iter().map(hash).collect(),
        licenses: package.license.iter().map(|text| Licence { expression: expression(text) }).collect(),
        purl,
        external_references: package.repository.iter().map(reference).collect(),
    }
}

/// <https://github.com/package-url/purl-spec>: what is neither a letter, a digit nor one of `.-_~` is encoded.
fn purl((name, version): &Id) -> String {
    let mut text = format!("pkg:cargo/{name}@");
    for byte in version.bytes() {
        match byte {
            b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'.' | b'-' | b'_' | b'~' => {
                text.push(char::from(byte))
            }
            _ => {
                let _ = write!(text, "%{byte:02X}");
            }
        }
    }
    text
}

/// Older manifests write `/` where SPDX has `OR`.
fn expression(license: &str) -> String {
    license.split('/').map(str::trim).collect::<Vec<_>>().join(" OR ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dist::packages::tests::example;
    use serde_json::{Value, json};

    #[test]
    fn the_bill_names_every_part_once_with_licence_checksum_and_needs() {
        let text = bill(&example(), "x86_64-unknown-linux-gnu").unwrap();
        assert_eq!(text, bill(&example(), "x86_64-unknown-linux-gnu").unwrap());
        let bill: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&bill["bomFormat"], &bill["specVersion"]), (&json!("CycloneDX"), &json!("1.5")));
        assert_eq!(bill["metadata"]["component"]["bom-ref"], "pkg:cargo/edition@0.1.0");
        assert_eq!(bill["components"].as_array().unwrap().len(), 3);
        let first = &bill["components"][0];
        assert_eq!(first["purl"], "pkg:cargo/a@1.0.0");
        assert_eq!(first["hashes"], json!([{"alg": "SHA-256", "content": "12ab"}]));
        assert_eq!(first["licenses"], json!([{"expression": "MIT OR Apache-2.0"}]));
        assert_eq!(bill["components"][1]["purl"], "pkg:cargo/a@2.0.0%2Bx");
        assert_eq!(bill["components"][2].get("hashes"), None, "what is ours has no registry");
        let of_ours = json!({"ref": "pkg:cargo/ours@0.1.0", "dependsOn": ["pkg:cargo/a@1.0.0", "pkg:cargo/a@2.0.0%2Bx"]});
        assert!(bill["dependencies"].as_array().unwrap().contains(&of_ours), "{text}");
        assert!(!text.contains("/checkout"), "no path of a machine: {text}");
    }
}
