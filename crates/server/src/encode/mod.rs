//! Everything is JSON until it is sent: what a client wants otherwise (YAML, a layout for people, gzip) is made of the JSON
//! on the way out, piece by piece, so that nothing is held but the piece.

mod gzip;
mod indent;
mod tokens;
mod yaml;

use bytes::Bytes;
use detectviz_api::negotiate::Encoding;

pub(crate) use self::gzip::{Gzip, MIN_GZIP};
use self::{indent::Indent, yaml::Yaml};

/// Turns JSON that comes in pieces into what the client wants. No piece may end inside a string or a number.
pub(crate) enum Encoder {
    /// It is sent as it is.
    Plain,
    /// JSON laid out for people.
    Pretty(Box<Pretty>),
    /// YAML.
    Yaml(Box<AsYaml>),
}

#[derive(Default)]
pub(crate) struct Pretty(Indent);

#[derive(Default)]
pub(crate) struct AsYaml(Yaml);

impl Encoder {
    /// The encoder for `encoding`; YAML is for people in any case.
    pub(crate) fn new(encoding: Encoding, pretty: bool) -> Self {
        match encoding {
            Encoding::Json if pretty => Self::Pretty(Box::default()),
            Encoding::Json => Self::Plain,
            Encoding::Yaml => Self::Yaml(Box::default()),
        }
    }

    /// The next piece as it is sent.
    pub(crate) fn encode(&mut self, json: Bytes) -> Bytes {
        let text = match self {
            Self::Plain => return json,
            // Our own JSON is UTF-8.
            Self::Pretty(_) | Self::Yaml(_) => String::from_utf8_lossy(&json),
        };
        let mut out = Vec::with_capacity(text.len() + text.len() / 2);
        match self {
            Self::Plain => {}
            Self::Pretty(pretty) => pretty.0.push(&text, &mut out),
            Self::Yaml(yaml) => yaml.0.push(&text, &mut out),
        }
        out.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    /// The document as the encoder writes it, when it comes in pieces that end behind `,`, `[` or `{`.
    fn encoded(encoding: Encoding, json: &str, pieces: bool) -> String {
        let mut encoder = Encoder::new(encoding, true);
        let mut out = Vec::new();
        let mut rest = json;
        while pieces && let Some(at) = rest.find([',', '[', '{']).filter(|at| !rest[..*at].contains('"')) {
            let (piece, after) = rest.split_at(at + 1);
            out.extend_from_slice(&encoder.encode(Bytes::copy_from_slice(piece.as_bytes())));
            rest = after;
        }
        out.extend_from_slice(&encoder.encode(Bytes::copy_from_slice(rest.as_bytes())));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn yaml_reads_as_people_write_it() {
        let object = json!({
            "apiVersion": "v1", "items": [{"kind": "A", "list": [1, [2, []], {}], "text": "a: b\n"}, "no", 1e21],
            "metadata": {"empty": {}, "date": "2020-01-01", "0x1": null, "name": "kube-system", "on": true},
        });
        let expected = "apiVersion: v1\nitems:\n- kind: A\n  list:\n  - 1\n  - - 2\n    - []\n  - {}\n  text: \"a: b\\n\"\n\
             - \"no\"\n- 1.0e+21\nmetadata:\n  empty: {}\n  date: \"2020-01-01\"\n  \"0x1\": null\n  name: kube-system\n  \
             \"on\": true\n";
        let mut value = object.to_string();
        // Order is the writer's; this workspace keeps maps sorted or not.
        if value.find("date") < value.find("empty") {
            value = value.replace(
                r#""0x1":null,"date":"2020-01-01","empty":{}"#,
                r#""empty":{},"date":"2020-01-01","0x1":null"#,
            );
        }
        assert_eq!(yaml_serde::from_str::<Value>(&encoded(Encoding::Yaml, &value, false)).unwrap(), object);
        assert_eq!(encoded(Encoding::Yaml, &value, false), expected);
        for (json, expected) in
            [("{}", "{}\n"), ("[]", "[]\n"), ("\"a b\"", "\"a b\"\n"), ("{\"a\":[]}", "a: []\n")]
        {
            assert_eq!(encoded(Encoding::Yaml, json, false), expected);
        }
    }

    #[test]
    fn a_long_key_is_said_to_be_one() {
        let (short, long) = ("k".repeat(1000), "k".repeat(1001));
        assert_eq!(encoded(Encoding::Yaml, &format!("{{\"{short}\":1}}"), false), format!("{short}: 1\n"));
        for (value, written) in [("1", " 1"), ("[]", " []"), ("[1]", "\n  - 1"), (r#"{"a":1}"#, "\n    a: 1")]
        {
            let json = format!(r#"[{{"{long}":{value},"b":2}}]"#);
            let yaml = encoded(Encoding::Yaml, &json, false);
            assert_eq!(yaml, format!("- ? {long}\n  :{written}\n  b: 2\n"));
            let read: Value = yaml_serde::from_str(&yaml).unwrap();
            assert_eq!(read, serde_json::from_str::<Value>(&json).unwrap());
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let text = prop_oneof![
            any::<String>(),
            "[ -~]{0,12}",
            proptest::sample::select(vec![
                "yes",
                "No",
                "~",
                "null",
                "1e3",
                "0x1F",
                "1:20",
                "<<",
                "=",
                "- a",
                "a: b",
                "#c",
                "\u{85}\u{2028}\u{feff}",
                " lead",
                "trail ",
                "",
                "---",
                "...",
                "2020-01-01T00:00:00Z",
                "\u{1F600}\\\"",
                ".inf",
                "%a",
                "@b",
                "`",
            ])
            .prop_map(str::to_owned),
        ];
        let number = prop_oneof![
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_filter("finite", |number| number.is_finite()).prop_map(Value::from),
        ];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            number,
            text.clone().prop_map(Value::from)
        ];
        let key = prop_oneof![9 => text.clone(), 1 => "[a-z]{990,1100}", 1 => "[ -~\u{e9}]{900,1100}"];
        leaf.prop_recursive(4, 40, 5, move |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                proptest::collection::btree_map(key.clone(), inner, 0..5)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn yaml_says_what_the_json_says(value in any_json(), pieces: bool) {
            let yaml = encoded(Encoding::Yaml, &value.to_string(), pieces);
            prop_assert_eq!(yaml_serde::from_str::<Value>(&yaml).map_err(|fault| fault.to_string()), Ok(value), "{}", yaml);
        }

        #[test]
        fn the_layout_is_serdes(value in any_json(), pieces: bool) {
            let pretty = encoded(Encoding::Json, &value.to_string(), pieces);
            prop_assert_eq!(pretty, serde_json::to_string_pretty(&value).unwrap());
        }
    }
}
