//! Columns that read one place of an object in a way that many kinds share, such as `=integer /status/replicas`.

use serde_json::Value;

/// A way to read, and the JSON pointer of what is read.
#[derive(Debug)]
pub(super) struct At {
    reader: Reader,
    pointer: String,
}

#[derive(Clone, Copy, Debug)]
enum Reader {
    /// A number; 0 without one.
    Integer,
    /// Whether it is true.
    Boolean,
    /// `True`, `False` or `<unset>`.
    Switch,
    /// A text or number; the text here without one.
    Text(&'static str),
    /// A map of labels.
    Labels,
    /// A label selector.
    Selector,
    /// The names of the containers of a pod's spec.
    Containers,
    /// The images of the containers of a pod's spec.
    Images,
}

const READERS: [(&str, Reader); 12] = [
    ("integer", Reader::Integer),
    ("boolean", Reader::Boolean),
    ("switch", Reader::Switch),
    ("text", Reader::Text("")),
    ("or-none", Reader::Text("<none>")),
    ("or-unset", Reader::Text("<unset>")),
    ("or-unknown", Reader::Text("<unknown>")),
    ("or-na", Reader::Text("N/A")),
    ("labels", Reader::Labels),
    ("selector", Reader::Selector),
    ("containers", Reader::Containers),
    ("images", Reader::Images),
];

impl At {
    /// The column of that name, which is a way to read and a pointer.
    ///
    /// # Errors
    /// Says which ways there are.
    pub(super) fn named(reader: &str, pointer: &str) -> Result<Self, String> {
        let found = READERS.iter().find(|(known, _)| *known == reader).map(|(_, reader)| *reader);
        let reader = found.ok_or_else(|| {
            format!("unknown way to read, allowed are {}", READERS.map(|(known, _)| known).join(", "))
        })?;
        Ok(Self { reader, pointer: pointer.to_owned() })
    }

    /// The object's cell.
    pub(super) fn value(&self, object: &Value) -> Value {
        let found = object.pointer(&self.pointer).unwrap_or(&Value::Null);
        match self.reader {
            Reader::Integer => found.as_i64().unwrap_or_default().into(),
            Reader::Boolean => found.as_bool().unwrap_or_default().into(),
            Reader::Switch => match found.as_bool() {
                Some(true) => "True".into(),
                Some(false) => "False".into(),
                None => "<unset>".into(),
            },
            Reader::Text(absent) => match found {
                Value::String(text) if !text.is_empty() => text.as_str().into(),
                Value::Number(number) => number.to_string().into(),
                _ => absent.into(),
            },
            Reader::Labels => or_none(labels(found)).into(),
            Reader::Selector => or_none(selector(found)).into(),
            Reader::Containers => listed(found, "name").into(),
            Reader::Images => listed(found, "image").into(),
        }
    }
}

fn or_none(text: String) -> String {
    if text.is_empty() { "<none>".to_owned() } else { text }
}

/// What the containers of a pod's spec have in `field`, joined.
fn listed(spec: &Value, field: &str) -> String {
    let containers = spec["containers"].as_array().into_iter().flatten();
    containers.map(|one| one[field].as_str().unwrap_or_default()).collect::<Vec<_>>().join(",")
}

/// A map of labels as `key=value`, joined.
fn labels(map: &Value) -> String {
    let pair = |(key, value): (&String, &Value)| format!("{key}={}", value.as_str().unwrap_or_default());
    let mut pairs: Vec<String> = map.as_object().into_iter().flatten().map(pair).collect();
    pairs.sort_unstable();
    pairs.join(",")
}

/// A label selector as people type it.
fn selector(selector: &Value) -> String {
    let pair = |(key, value): (&String, &Value)| {
        (key.clone(), format!("{key}={}", value.as_str().unwrap_or_default()))
    };
    let labels = selector["matchLabels"].as_object().into_iter().flatten().map(pair);
    let requirements = selector["matchExpressions"].as_array().into_iter().flatten().map(requirement);
    let mut all: Vec<(String, String)> = labels.chain(requirements).collect();
    all.sort_by(|one, two| one.0.cmp(&two.0));
    all.into_iter().map(|(_, text)| text).collect::<Vec<_>>().join(",")
}

fn requirement(requirement: &Value) -> (String, String) {
    let key = requirement["key"].as_str().unwrap_or_default();
    let mut values: Vec<&str> =
        requirement["values"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    values.sort_unstable();
    let values = values.join(",");
    let text = match requirement["operator"].as_str() {
        Some("In") => format!("{key} in ({values})"),
        Some("NotIn") => format!("{key} notin ({values})"),
        Some("DoesNotExist") => format!("!{key}"),
        _ => key.to_owned(),
    };
    (key.to_owned(), text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_way_to_read_has_its_word_for_nothing() {
        let object = json!({"n": 3, "b": true, "t": "x", "e": "", "l": {"b": "2", "a": "1"},
            "s": {"matchLabels": {"k": "v"}, "matchExpressions": [
                {"key": "z", "operator": "In", "values": ["b", "a"]}, {"key": "c", "operator": "NotIn", "values": ["x"]},
                {"key": "y", "operator": "Exists"}, {"key": "x", "operator": "DoesNotExist"}]},
            "p": {"containers": [{"name": "a", "image": "i:1"}, {"name": "b", "image": "j"}]}});
        for (reader, pointer, cell) in [
            ("integer", "/n", json!(3)),
            ("integer", "/gone", json!(0)),
            ("boolean", "/b", json!(true)),
            ("boolean", "/gone", json!(false)),
            ("switch", "/b", json!("True")),
            ("switch", "/gone", json!("<unset>")),
            ("text", "/gone", json!("")),
            ("or-none", "/t", json!("x")),
            ("or-none", "/e", json!("<none>")),
            ("or-na", "/n", json!("3")),
            ("or-na", "/gone", json!("N/A")),
            ("labels", "/l", json!("a=1,b=2")),
            ("labels", "/gone", json!("<none>")),
            ("selector", "/s", json!("c notin (x),k=v,!x,y,z in (a,b)")),
            ("selector", "/gone", json!("<none>")),
            ("containers", "/p", json!("a,b")),
            ("images", "/p", json!("i:1,j")),
            ("images", "/gone", json!("")),
        ] {
            assert_eq!(At::named(reader, pointer).unwrap().value(&object), cell, "{reader} {pointer}");
        }
        assert!(At::named("any", "/x").unwrap_err().contains("allowed are integer"));
    }
}
