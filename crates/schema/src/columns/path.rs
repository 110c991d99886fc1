//! The part of JSONPath that printer columns use: fields, indexes, wildcards and comparing filters.

use std::iter::Peekable;
use std::str::Chars;

use serde_json::Value;

/// A compiled path, such as `.status.conditions[?(@.type=="Ready")].status`.
#[derive(Debug, PartialEq)]
pub(super) struct JsonPath(Vec<Step>);

#[derive(Debug, PartialEq)]
enum Step {
    Field(String),
    /// From the end when negative.
    Index(i64),
    All,
    Filter {
        path: JsonPath,
        equal: bool,
        value: Value,
    },
}

impl JsonPath {
    /// Reads a path with a leading dot or bracket.
    ///
    /// # Errors
    /// Says what stands at the wrong place, and what is allowed.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut steps = Vec::new();
        let mut rest = text.chars().peekable();
        while let Some(start) = rest.next() {
            match start {
                '.' if rest.peek() == Some(&'[') => {}
                '.' => steps.push(field(&mut rest)?),
                '[' => steps.push(bracket(&mut rest)?),
                other => return Err(format!("unexpected {other:?}, a step starts with '.' or '['")),
            }
        }
        if steps.is_empty() { Err("no field is named".to_owned()) } else { Ok(Self(steps)) }
    }

    /// The values at the path, in order; nulls are left out.
    pub(super) fn find<'v>(&self, root: &'v Value) -> Vec<&'v Value> {
        let mut found = vec![root];
        for step in &self.0 {
            found = found.into_iter().flat_map(|value| step.find(value)).collect();
        }
        found.retain(|value| !value.is_null());
        found
    }
}

fn field(rest: &mut Peekable<Chars<'_>>) -> Result<Step, String> {
    let mut name = String::new();
    while let Some(next) = rest.next_if(|next| !matches!(next, '.' | '[')) {
        match next {
            '\\' => name.push(rest.next().ok_or("nothing follows the last '\\'")?),
            next => name.push(next),
        }
    }
    match name.as_str() {
        "" => Err("a field's name is empty".to_owned()),
        "*" => Ok(Step::All),
        _ => Ok(Step::Field(name)),
    }
}

fn bracket(rest: &mut Peekable<Chars<'_>>) -> Result<Step, String> {
    let inner = enclosed(rest)?;
    let inner = inner.trim();
    if inner == "*" {
        return Ok(Step::All);
    }
    if let Some(name) = quoted(inner) {
        return Ok(Step::Field(unescaped(name)));
    }
    if let Some(test) = inner.strip_prefix("?(").and_then(|test| test.strip_suffix(')')) {
        return filter(test);
    }
    inner.parse().map(Step::Index).map_err(|_| {
        format!(
            "unexpected [{inner}], allowed are an index, '*', a quoted name and a filter ?(@.field==value)"
        )
    })
}

/// What stands before the closing bracket, which does not count inside quotes or other brackets.
fn enclosed(rest: &mut Peekable<Chars<'_>>) -> Result<String, String> {
    let (mut inner, mut depth, mut quote) = (String::new(), 0_usize, None);
    while let Some(next) = rest.next() {
        match (quote, next) {
            (None, ']') if depth == 0 => return Ok(inner),
            (None, ']') => depth -= 1,
            (None, '[') => depth += 1,
            (None, '\'' | '"') => quote = Some(next),
            (Some(open), _) if open == next => quote = None,
            (_, '\\') => {
                inner.push(next);
                inner.extend(rest.next());
                continue;
            }
            _ => {}
        }
        inner.push(next);
    }
    Err("a '[' is not closed".to_owned())
}

fn filter(test: &str) -> Result<Step, String> {
    let (equal, (path, value)) = match (test.split_once("=="), test.split_once("!=")) {
        (Some(sides), None) => (true, sides),
        (None, Some(sides)) => (false, sides),
        _ => return Err(format!("unexpected filter {test:?}, allowed is one comparison with == or !=")),
    };
    let path = path.trim().strip_prefix('@').ok_or("a filter's left side starts with '@'")?;
    Ok(Step::Filter { path: JsonPath::parse(path)?, equal, value: literal(value.trim())? })
}

fn literal(text: &str) -> Result<Value, String> {
    if let Some(inner) = quoted(text) {
        return Ok(unescaped(inner).into());
    }
    let value = serde_json::from_str(text).ok();
    value.filter(|value: &Value| !value.is_object() && !value.is_array()).ok_or_else(|| {
        format!("unexpected value {text:?}, allowed are a quoted text, a number, true, false and null")
    })
}

fn quoted(text: &str) -> Option<&str> {
    let inner = |quote| text.strip_prefix(quote)?.strip_suffix(quote);
    inner('\'').or_else(|| inner('"'))
}

fn unescaped(text: &str) -> String {
    let mut rest = text.chars();
    let mut plain = String::with_capacity(text.len());
    while let Some(next) = rest.next() {
        plain.extend(if next == '\\' { rest.next() } else { Some(next) });
    }
    plain
}

impl Step {
    fn find<'v>(&self, value: &'v Value) -> Vec<&'v Value> {
        match self {
            Self::Field(name) => value.get(name).into_iter().collect(),
            Self::Index(index) => at(value, *index).into_iter().collect(),
            Self::All => children(value).collect(),
            Self::Filter { path, equal, value: wanted } => {
                children(value).filter(|child| holds(child, path, wanted, *equal)).collect()
            }
        }
    }
}

fn holds(child: &Value, path: &JsonPath, wanted: &Value, equal: bool) -> bool {
    path.find(child).first().copied().unwrap_or(&Value::Null).eq(wanted) == equal
}

fn at(value: &Value, index: i64) -> Option<&Value> {
    let list = value.as_array()?;
    let distance = usize::try_from(index.unsigned_abs()).ok()?;
    let place = if index < 0 { list.len().checked_sub(distance)? } else { distance };
    list.get(place)
}

fn children(value: &Value) -> Box<dyn Iterator<Item = &Value> + '_> {
    match value {
        Value::Array(list) => Box::new(list.iter()),
        Value::Object(map) => Box::new(map.values()),
        _ => Box::new(std::iter::empty()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn paths_find_what_they_name() {
        let object = json!({
            "metadata": {"labels": {"app.io/name": "web", "a": null}},
            "list": [{"type": "Ready", "n": 1, "s": "True"}, {"type": "Old]", "n": 2, "s": "False"}],
        });
        for (path, found) in [
            (".list[0].type", json!(["Ready"])),
            (".list[-1].n", json!([2])),
            (".list[-3].n", json!([])),
            (".list[9].n", json!([])),
            (".list[*].n", json!([1, 2])),
            (".list.*.n", json!([1, 2])),
            (r#".list[?(@.type=="Ready")].s"#, json!(["True"])),
            (".list[?(@.type == 'Old]')].s", json!(["False"])),
            (".list[?(@.type!='Ready')].n", json!([2])),
            (".list[?(@.n==2)].s", json!(["False"])),
            (".list[?(@.gone=='x')].s", json!([])),
            (r".metadata.labels.app\.io/name", json!(["web"])),
            (r".metadata.labels['app\.io/name']", json!(["web"])),
            (".metadata.labels[\"app.io/name\"]", json!(["web"])),
            (".metadata.labels.a", json!([])),
            (".metadata.gone.deep", json!([])),
        ] {
            let values = JsonPath::parse(path).unwrap().find(&object);
            assert_eq!(json!(values), found, "{path}");
        }
    }

    #[test]
    fn paths_outside_the_subset_are_refused() {
        for (path, part) in [
            ("", "no field"),
            ("spec", "starts with '.'"),
            (".", "name is empty"),
            ("..a", "name is empty"),
            (".a[", "not closed"),
            (".a['b]", "not closed"),
            (".a[0:2]", "unexpected [0:2]"),
            (".a[?(@.b>1)]", "one comparison"),
            (".a[?(b==1)]", "starts with '@'"),
            (".a[?(@.b==x)]", "unexpected value"),
            (".a\\", "nothing follows"),
        ] {
            let error = JsonPath::parse(path).unwrap_err();
            assert!(error.contains(part), "{path}: {error}");
        }
    }
}
