//! YAML text to the value that Kubernetes' readers see in it: what is plain means what it means to upstream's YAML 1.1 (`yes` is
//! true, `0x10` is 16), aliases are written out, and every key is a string. Built from events, so that nothing is made that is not
//! counted first.

mod flow;

use detectviz_api::go::cut;
use saphyr_parser::{Event, Parser, ScalarStyle, StrInput, Tag};
use serde_json::{Map, Number, Value};
use std::borrow::Cow;
use std::collections::HashMap;

use crate::decode::{DecodeError, Decoded, Limits, MAX_REPORTED, OBJECT};
use crate::path::Path;

/// The deepest nesting, as in JSON.
const MAX_DEPTH: usize = 127;
/// The most bytes of all keys and strings together. Aliases make more of a text than was sent.
const MAX_TEXT: usize = 16 << 20;

/// Reads one YAML document, the whole of `bytes`.
///
/// # Errors
/// When it is no YAML of what JSON can say, has a second document, a merge key or a tag of its own, is deeper than 127 levels, or
/// larger than `limits`.
pub fn decode_yaml(bytes: &[u8], limits: Limits) -> Result<Decoded, DecodeError> {
    let text = std::str::from_utf8(bytes).map_err(|fault| DecodeError::Yaml(fault.to_string()))?;
    if flow::is_too_long(text, limits.max_values) {
        return Err(DecodeError::Yaml("too many values in brackets".to_owned()));
    }
    let mut reader = Reader {
        parser: Parser::new_from_str(text),
        values_left: limits.max_values,
        text_left: MAX_TEXT,
        depth: 0,
        anchors: HashMap::new(),
        duplicates: Vec::new(),
    };
    // A fault may repeat a scalar, which is as long as who sent it likes.
    let value = reader.document().map_err(|fault| DecodeError::Yaml(cut(&fault).to_owned()))?;
    Ok(Decoded { value, duplicates: reader.duplicates })
}

type Fault = String;

struct Reader<'t> {
    parser: Parser<'t, StrInput<'t>>,
    values_left: usize,
    text_left: usize,
    depth: usize,
    /// What aliases stand for, and how many levels of nesting that has.
    anchors: HashMap<usize, (Value, usize)>,
    duplicates: Vec<String>,
}

impl<'t> Reader<'t> {
    fn next(&mut self) -> Result<Event<'t>, Fault> {
        match self.parser.next() {
            Some(Ok((event, _))) => Ok(event),
            Some(Err(fault)) => Err(fault.to_string()),
            None => Ok(Event::StreamEnd),
        }
    }

    fn document(&mut self) -> Result<Value, Fault> {
        let mut value = Value::Null;
        let mut documents = 0;
        loop {
            match self.next()? {
                Event::StreamEnd => return Ok(value),
                Event::Nothing | Event::StreamStart | Event::DocumentEnd => {}
                Event::DocumentStart(_) if documents > 0 => {
                    return Err("there is a second document".to_owned());
                }
                Event::DocumentStart(_) => documents += 1,
                event => value = self.value(event, &Path::Root)?,
            }
        }
    }

    fn value(&mut self, event: Event<'t>, path: &Path<'_>) -> Result<Value, Fault> {
        self.count(1, 0)?;
        let (value, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => (self.scalar(text, style, tag.as_deref())?, anchor),
            Event::SequenceStart(anchor, tag) => {
                check_tag(tag.as_deref(), "seq")?;
                (self.nested(|reader| reader.list(path))?, anchor)
            }
            Event::MappingStart(anchor, tag) => {
                check_tag(tag.as_deref(), "map")?;
                (self.nested(|reader| reader.map(path))?, anchor)
            }
            Event::Alias(anchor) => return self.repeated(anchor),
            other => return Err(format!("unexpected {other:?}")),
        };
        if anchor > 0 {
            self.count_all(&value)?;
            let levels = levels(&value);
            self.anchors.insert(anchor, (value.clone(), levels));
        }
        Ok(value)
    }

    /// What an alias stands for. It is as deep as where it stands and what it repeats together: chained aliases would
    /// otherwise nest without end, and whoever goes through the value would run out of stack.
    fn repeated(&mut self, anchor: usize) -> Result<Value, Fault> {
        let (value, levels) =
            self.anchors.remove(&anchor).ok_or("an alias stands inside of what it repeats")?;
        self.check_depth(levels)?;
        self.count_all(&value)?;
        self.anchors.insert(anchor, (value.clone(), levels));
        Ok(value)
    }

    /// Whether there may be so many more levels here.
    fn check_depth(&self, levels: usize) -> Result<(), Fault> {
        if self.depth + levels > MAX_DEPTH {
            return Err(format!("recursion limit exceeded: at most {MAX_DEPTH} levels are allowed"));
        }
        Ok(())
    }

    fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, Fault>) -> Result<T, Fault> {
        self.check_depth(1)?;
        self.depth += 1;
        let read = read(self);
        self.depth -= 1;
        read
    }

    fn list(&mut self, path: &Path<'_>) -> Result<Value, Fault> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                Event::SequenceEnd => return Ok(Value::Array(items)),
                event => items.push(self.value(event, &path.index(items.len()))?),
            }
        }
    }

    fn map(&mut self, path: &Path<'_>) -> Result<Value, Fault> {
        self.count(OBJECT - 1, 0)?;
        let mut map = Map::new();
        loop {
            let key = match self.next()? {
                Event::MappingEnd => return Ok(Value::Object(map)),
                event => self.key(event, path)?,
            };
            let path = path.field(&key);
            let event = self.next()?;
            let value = self.value(event, &path)?;
            if map.contains_key(&key) && self.duplicates.len() < MAX_REPORTED {
                self.duplicates.push(path.spelled());
            }
            map.insert(key, value);
        }
    }

    fn key(&mut self, event: Event<'t>, path: &Path<'_>) -> Result<String, Fault> {
        if matches!(&event, Event::Scalar(text, ScalarStyle::Plain, ..) if text == "<<") {
            return Err("merge keys (<<) are not supported".to_owned());
        }
        match self.value(event, path)? {
            Value::String(key) => Ok(key),
            key @ (Value::Bool(_) | Value::Number(_)) => Ok(key.to_string()),
            _ => Err("a key must be a string, a number or a boolean".to_owned()),
        }
    }

    fn scalar(&mut self, text: Cow<'_, str>, style: ScalarStyle, tag: Option<&Tag>) -> Result<Value, Fault> {
        let forced = check_tag(tag, "str")?;
        let value = if forced || style != ScalarStyle::Plain { None } else { resolved(&text)? };
        match value {
            Some(value) => Ok(value),
            None => {
                self.count(0, text.len())?;
                Ok(Value::String(text.into_owned()))
            }
        }
    }

    fn count(&mut self, values: usize, text: usize) -> Result<(), Fault> {
        let left = (self.values_left.checked_sub(values), self.text_left.checked_sub(text));
        let (Some(values_left), Some(text_left)) = left else {
            return Err("too many values or too much text, with what aliases repeat".to_owned());
        };
        (self.values_left, self.text_left) = (values_left, text_left);
        Ok(())
    }

    /// Counts a value that is about to be copied.
    fn count_all(&mut self, value: &Value) -> Result<(), Fault> {
        match value {
            Value::Array(items) => items.iter().try_for_each(|item| self.count_all(item))?,
            Value::Object(map) => {
                self.count(OBJECT - 1, 0)?;
                map.iter().try_for_each(|(key, value)| {
                    self.count(1, key.len())?;
                    self.count_all(value)
                })?;
            }
            Value::String(text) => self.count(0, text.len())?,
            _ => {}
        }
        self.count(1, 0)
    }
}

/// How many levels of lists and maps a value has; at most [`MAX_DEPTH`], which is what was read.
fn levels(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(levels).max().unwrap_or_default(),
        Value::Object(map) => 1 + map.values().map(levels).max().unwrap_or_default(),
        _ => 0,
    }
}

/// Whether there is a tag, which has to be YAML's own of this name.
fn check_tag(tag: Option<&Tag>, expected: &str) -> Result<bool, Fault> {
    match tag {
        None => Ok(false),
        Some(tag) if tag.is_yaml_core_schema() && tag.suffix == expected => Ok(true),
        Some(tag) => Err(format!("tag {:?} is not supported here, !!{expected} is", format!("{tag}"))),
    }
}

/// What a plain scalar means if it is no string; upstream's rules.
fn resolved(text: &str) -> Result<Option<Value>, Fault> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Ok(Some(Value::Null)),
        "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" | "true" | "True" | "TRUE" => {
            return Ok(Some(true.into()));
        }
        "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" | "false" | "False" | "FALSE" => {
            return Ok(Some(false.into()));
        }
        _ => {}
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    match unsigned {
        ".inf" | ".Inf" | ".INF" | ".nan" | ".NaN" | ".NAN" => Err(format!("{text} is no number of JSON")),
        _ if unsigned.starts_with(|first: char| first == '.' || first.is_ascii_digit()) => number(text),
        _ => Ok(None),
    }
}

fn number(text: &str) -> Result<Option<Value>, Fault> {
    let plain = text.replace('_', "");
    if let Some(whole) = integer(&plain) {
        return Ok(Some(whole.into()));
    }
    if !is_float(&plain) {
        return Ok(None);
    }
    let float: f64 = plain.parse().map_err(|_| format!("{text} is no number"))?;
    // A whole float is the integer that JSON's readers take it for.
    if float.fract() == 0.0 && float.abs() < 9e15 {
        return Ok(Some((float as i64).into()));
    }
    Number::from_f64(float)
        .map(|number| Some(number.into()))
        .ok_or_else(|| format!("{text} is no number of JSON"))
}

/// An integer in the bases that Go reads: `0x`, `0o`, `0b`, and octal behind a plain zero.
fn integer(text: &str) -> Option<Number> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = match lower.as_bytes() {
        [b'0', b'x', ..] => (16, &lower[2..]),
        [b'0', b'o', ..] => (8, &lower[2..]),
        [b'0', b'b', ..] => (2, &lower[2..]),
        [b'0', _, ..] => (8, &lower[1..]),
        _ => (10, &*lower),
    };
    if !digits.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    let value = u64::from_str_radix(digits, radix).ok()?;
    if !negative {
        return Some(value.into());
    }
    let value = 0i64.checked_sub_unsigned(value)?;
    Some(value.into())
}

/// Whether a text is digits with a point or an exponent, or both.
fn is_float(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mantissa = match (whole, fraction) {
        ("", fraction) => digits(fraction),
        (whole, "") => digits(whole),
        (whole, fraction) => digits(whole) && digits(fraction),
    };
    mantissa && exponent.is_none_or(|text| digits(text.strip_prefix(['-', '+']).unwrap_or(text)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn read(text: &str) -> Result<Decoded, String> {
        decode_yaml(text.as_bytes(), Limits::default()).map_err(|fault| fault.to_string())
    }

    #[test]
    fn yaml_is_read_as_the_json_it_stands_for() {
        let text = "a: &x {b: [1, 2.5, true, null, ~, \"3\"]}\nc: *x\n4: |\n  line\n  line\nyes: no\n";
        let inner = json!({"b": [1, 2.5, true, null, null, "3"]});
        let value = json!({"a": inner, "c": inner, "4": "line\nline\n", "true": false});
        assert_eq!(read(text).unwrap(), Decoded { value, duplicates: Vec::new() });
        let twice = read("metadata:\n  name: a\n  labels: {x: y, x: z}\nmetadata: {}\n").unwrap();
        assert_eq!(twice.duplicates, ["metadata.labels.x", "metadata"]);
        assert_eq!(read("---\na: !!str 1\n...\n").unwrap().value, json!({"a": "1"}));
        assert_eq!(read("").unwrap().value, json!(null));
    }

    #[test]
    fn plain_scalars_mean_what_upstream_reads_in_them() {
        for (text, value) in [
            ("017", json!(15)),
            ("0o17", json!(15)),
            ("0x1F", json!(31)),
            ("0b11", json!(3)),
            ("08", json!(8)),
            ("1_000", json!(1000)),
            ("-5", json!(-5)),
            ("+5", json!(5)),
            ("18446744073709551615", json!(u64::MAX)),
            ("1e3", json!(1000)),
            (".5", json!(0.5)),
            ("1.", json!(1)),
            ("1.2.3", json!("1.2.3")),
            ("1:20", json!("1:20")),
            ("2020-01-01", json!("2020-01-01")),
            ("0x", json!("0x")),
            ("On", json!(true)),
            ("'on'", json!("on")),
            ("oN", json!("oN")),
        ] {
            assert_eq!(
                read(&format!("a: {text}")).unwrap_or_else(|fault| panic!("{text}: {fault}")).value,
                json!({"a": value}),
                "{text}"
            );
        }
    }

    #[test]
    fn what_json_cannot_say_is_refused() {
        for text in [
            "a: [",
            "a: *none",
            "--- 1\n--- 2\n",
            "a: !!binary aGk=",
            "a: !x y",
            "a: .nan",
            "a: -.inf",
            "? [a]\n: b",
            "~: a",
            "\u{0}",
            "a: &a [*a]",
            "<<: {a: b}",
            "a: 1e999",
        ] {
            let fault = read(text).expect_err(text);
            assert!(fault.starts_with("read YAML: "), "{text}: {fault}");
        }
        assert!(decode_yaml(b"a: \xff", Limits::default()).is_err());
    }

    #[test]
    fn a_small_text_cannot_become_large() {
        let level =
            |n: usize| format!("l{}: &l{} [{}]\n", n + 1, n + 1, vec![format!("*l{n}"); 10].join(","));
        let bomb = format!("l0: &l0 x\n{}", (0..9).map(level).collect::<String>());
        let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(100_000), vec!["*a"; 1000].join(","));
        for text in [bomb, long] {
            assert!(read(&text).unwrap_err().contains("with what aliases repeat"));
        }
        for (open, close) in [("[", "]"), ("{a: ", "}"), ("- ", "x")] {
            let nested = |depth: usize| open.repeat(depth) + &close.repeat(depth);
            let fault = read(&nested(128)).unwrap_err();
            assert!(fault.contains("recursion limit"), "{open}: {fault}");
            // Neither costs time nor stack.
            read(&nested(500_000)).unwrap_err();
        }
        assert!(read(&("[".repeat(127) + &"]".repeat(127))).is_ok());
    }

    /// Forty anchors, each of which nests the one before it `depth` levels deeper.
    fn chained(open: &str, close: &str, depth: usize) -> String {
        let nested = |inner: &str| open.repeat(depth) + inner + &close.repeat(depth);
        let links = (1..40).map(|n| format!("- &l{n} {}\n", nested(&format!("*l{}", n - 1))));
        format!("x:\n- &l0 {}\n", nested("x")) + &links.collect::<String>()
    }

    #[test]
    fn aliases_do_not_nest_deeper_than_what_is_written_out() {
        for (open, close) in [("[", "]"), ("{a: ", " }")] {
            for depth in [4, 60, 120] {
                let fault = read(&chained(open, close, depth)).unwrap_err();
                assert!(fault.contains("recursion limit"), "{open} {depth}: {fault}");
            }
            assert!(read(&chained(open, close, 3)).is_ok());
        }
        let repeated = |levels: usize| format!("x: &a {}\ny: *a", "[".repeat(levels) + &"]".repeat(levels));
        assert!(read(&repeated(126)).is_ok());
        let below = |levels: usize| format!("x: &a [[]]\ny: {}*a{}", "[".repeat(levels), "]".repeat(levels));
        assert!(read(&below(124)).is_ok());
        assert!(read(&below(125)).unwrap_err().contains("recursion limit"));
    }

    /// What YAML is made of.
    fn piece() -> impl Strategy<Value = String> {
        let pieces = [
            "a",
            "b: ",
            "- ",
            "\n",
            "\n  ",
            "&a ",
            "*a",
            "? ",
            ": ",
            "[",
            "]",
            "{",
            "}",
            ", ",
            "'",
            "\"",
            "|\n",
            ">-\n",
            "!!str ",
            "!x ",
            "---",
            "...",
            "#",
            "%YAML 1.1\n",
            "<<: ",
            "~",
            "1",
            "\t",
            "\\u",
            "\u{feff}",
            "\u{85}",
            "-0",
            "e3",
            ".",
        ];
        prop_oneof![20 => proptest::sample::select(pieces.map(str::to_owned).to_vec()), 1 => any::<String>()]
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(pieces in proptest::collection::vec(piece(), 0..30)) {
            if let Ok(decoded) = read(&pieces.concat()) {
                let again = read(&decoded.value.to_string()).unwrap();
                prop_assert_eq!(again.value, decoded.value);
            }
        }
    }
}
