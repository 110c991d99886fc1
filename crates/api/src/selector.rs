//! Label and field selectors: text in, a decision about an object out.

use std::str::FromStr;

use crate::names::{check_label_key, check_label_value};

/// What one label must be like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Requirement {
    /// The label is one of these values (`=`, `==`, `in`).
    In(String, Vec<String>),
    /// The label is absent or none of these values (`!=`, `notin`).
    NotIn(String, Vec<String>),
    /// The label is there (`key`).
    Exists(String),
    /// The label is absent (`!key`).
    Absent(String),
    /// The label is an integer greater than this (`>`).
    Greater(String, i64),
    /// The label is an integer less than this (`<`).
    Less(String, i64),
}

/// A label selector: all requirements hold. The empty selector selects everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelSelector(Vec<Requirement>);

impl LabelSelector {
    /// Whether everything is selected.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether labels, looked up by `label`, are selected.
    pub fn matches<'a>(&self, label: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.0.iter().all(|requirement| match requirement {
            Requirement::In(key, values) => {
                label(key).is_some_and(|have| values.iter().any(|value| value == have))
            }
            Requirement::NotIn(key, values) => {
                !label(key).is_some_and(|have| values.iter().any(|value| value == have))
            }
            Requirement::Exists(key) => label(key).is_some(),
            Requirement::Absent(key) => label(key).is_none(),
            Requirement::Greater(key, bound) => integer(label(key)).is_some_and(|have| have > *bound),
            Requirement::Less(key, bound) => integer(label(key)).is_some_and(|have| have < *bound),
        })
    }
}

fn integer(text: Option<&str>) -> Option<i64> {
    text?.parse().ok()
}

impl FromStr for LabelSelector {
    type Err = String;

    /// Reads `a=b,c in (d,e),!f`. The error says what was expected where.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut parser = Parser { rest: text.trim_start(), text };
        let mut requirements = Vec::new();
        while !parser.rest.is_empty() {
            requirements.push(parser.requirement()?);
            if !parser.rest.is_empty() {
                parser.expect(",")?;
                if parser.rest.is_empty() {
                    return Err(parser.fault("a requirement after ','"));
                }
            }
        }
        Ok(Self(requirements))
    }
}

struct Parser<'a> {
    rest: &'a str,
    text: &'a str,
}

impl<'a> Parser<'a> {
    fn requirement(&mut self) -> Result<Requirement, String> {
        if self.take("!") {
            return Ok(Requirement::Absent(self.key()?));
        }
        let key = self.key()?;
        if self.take("!=") {
            return Ok(Requirement::NotIn(key, vec![self.value()?]));
        }
        if self.take("==") || self.take("=") {
            return Ok(Requirement::In(key, vec![self.value()?]));
        }
        if self.take(">") {
            return Ok(Requirement::Greater(key, self.number()?));
        }
        if self.take("<") {
            return Ok(Requirement::Less(key, self.number()?));
        }
        match self.word() {
            "" => Ok(Requirement::Exists(key)),
            "in" => Ok(Requirement::In(key, self.values()?)),
            "notin" => Ok(Requirement::NotIn(key, self.values()?)),
            other => Err(format!(
                "unable to parse selector {:?}: found {other:?}, expected one of: =, ==, !=, in, notin, >, <, ','",
                self.text
            )),
        }
    }

    fn key(&mut self) -> Result<String, String> {
        let word = self.word();
        if word.is_empty() {
            return Err(self.fault("a label key"));
        }
        check_label_key(word)
            .map_err(|why| format!("unable to parse selector {:?}: key {word:?}: {why}", self.text))?;
        Ok(word.to_owned())
    }

    fn value(&mut self) -> Result<String, String> {
        let word = self.word();
        check_label_value(word)
            .map_err(|why| format!("unable to parse selector {:?}: value {word:?}: {why}", self.text))?;
        Ok(word.to_owned())
    }

    fn number(&mut self) -> Result<i64, String> {
        self.word().parse().map_err(|_| self.fault("an integer"))
    }

    fn values(&mut self) -> Result<Vec<String>, String> {
        self.expect("(")?;
        let mut values = vec![self.value()?];
        while !self.take(")") {
            self.expect(",")?;
            values.push(self.value()?);
        }
        Ok(values)
    }

    fn word(&mut self) -> &'a str {
        let end =
            self.rest.find(|c: char| c.is_whitespace() || "=!<>(),".contains(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest.trim_start();
        word
    }

    fn take(&mut self, token: &str) -> bool {
        let taken = self.rest.strip_prefix(token);
        self.rest = taken.map_or(self.rest, str::trim_start);
        taken.is_some()
    }

    fn expect(&mut self, token: &str) -> Result<(), String> {
        if self.take(token) { Ok(()) } else { Err(self.fault(&format!("{token:?}"))) }
    }

    fn fault(&self, expected: &str) -> String {
        format!("unable to parse selector {:?}: found {:?}, expected {expected}", self.text, self.rest)
    }
}

/// A field selector: `metadata.name=a,spec.x!=b`; all terms hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSelector(Vec<FieldTerm>);

/// One term of a [`FieldSelector`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldTerm {
    /// The field's path, such as `metadata.name`.
    pub field: String,
    /// The value that is compared with.
    pub value: String,
    /// Whether the field must be equal (`=`, `==`) or must differ (`!=`).
    pub equal: bool,
}

impl FieldSelector {
    /// The terms, all of which must hold.
    pub fn terms(&self) -> &[FieldTerm] {
        &self.0
    }

    /// Whether everything is selected.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value that `field` must be equal to, if the selector says so.
    pub fn exact(&self, field: &str) -> Option<&str> {
        self.0.iter().find(|term| term.equal && term.field == field).map(|term| term.value.as_str())
    }

    /// Whether an object, whose fields `lookup` reads (absent is empty), is selected.
    pub fn matches<'a>(&self, lookup: impl Fn(&str) -> std::borrow::Cow<'a, str>) -> bool {
        self.0.iter().all(|term| (lookup(&term.field) == term.value) == term.equal)
    }
}

impl FromStr for FieldSelector {
    type Err = String;

    /// Reads a field selector; `\\`, `\,` and `\=` in values stand for the character itself. The errors are upstream's.
    fn from_str(text: &str) -> Result<Self, String> {
        let terms = split_unescaped(text).into_iter().filter(|term| !term.is_empty());
        terms.map(|term| field_term(text, term)).collect::<Result<_, _>>().map(Self)
    }
}

/// The parts between commas that no backslash stands before.
fn split_unescaped(text: &str) -> Vec<&str> {
    let mut escaped = false;
    text.split(|c| {
        let ends = c == ',' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    })
    .collect()
}

fn field_term(text: &str, term: &str) -> Result<FieldTerm, String> {
    let starts = |at: &usize| term[*at..].starts_with("!=") || term[*at..].starts_with('=');
    let Some(at) = term.char_indices().map(|(at, _)| at).find(starts) else {
        return Err(format!("invalid selector: '{text}'; can't understand '{term}'"));
    };
    let (field, rest) = term.split_at(at);
    let equal = rest.starts_with('=');
    let value = rest.strip_prefix("!=").or(rest.strip_prefix("==")).unwrap_or(&rest[1..]);
    Ok(FieldTerm { field: field.to_owned(), value: unescape(value)?, equal })
}

fn unescape(value: &str) -> Result<String, String> {
    let mut out = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                let next = chars.next();
                let sequence = || format!("\\{}", next.map(String::from).unwrap_or_default());
                let allowed = next.filter(|next| "\\,=".contains(*next));
                out.push(allowed.ok_or_else(|| {
                    format!("invalid field selector: invalid escape sequence: {}", sequence())
                })?);
            }
            '=' | ',' => {
                return Err(format!(
                    "invalid field selector: unescaped character in value: {}",
                    u32::from(c)
                ));
            }
            c => out.push(c),
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::borrow::Cow;

    fn check(selector: &str, labels: &[(&str, &str)], expected: bool) {
        let parsed: LabelSelector = selector.parse().unwrap();
        let matched =
            parsed.matches(|key| labels.iter().find(|(have, _)| *have == key).map(|(_, value)| *value));
        assert_eq!(matched, expected, "{selector} over {labels:?}");
    }

    #[test]
    fn label_selectors_select() {
        let labels = [("app", "web"), ("tier", "3"), ("example.io/x", "")];
        for (selector, expected) in [
            ("", true),
            ("app=web", true),
            ("app==web,tier", true),
            ("app!=web", false),
            ("app in (api, web)", true),
            ("app notin (web)", false),
            ("missing notin (a)", true),
            ("!missing", true),
            ("!app", false),
            ("tier>2", true),
            ("tier<3", false),
            ("example.io/x=", true),
            (" app = web , tier in (3) ", true),
        ] {
            check(selector, &labels, expected);
        }
    }

    #[test]
    fn malformed_label_selectors_are_refused_with_a_reason() {
        for selector in
            ["=a", "a in", "a in (b", "a,", ",a", "a b", "a=b=c", "-a=b", "a=-", "a>x", "a in ()x", "!"]
        {
            let fault = selector.parse::<LabelSelector>().unwrap_err();
            assert!(fault.starts_with("unable to parse selector"), "{selector}: {fault}");
        }
    }

    #[test]
    fn field_selectors_select() {
        let lookup = |field: &str| Cow::Borrowed(if field == "metadata.name" { "a,b" } else { "" });
        for (selector, expected) in [
            ("metadata.name=a\\,b", true),
            ("metadata.name!=x", true),
            ("spec.x=", true),
            ("spec.x==y", false),
            ("", true),
            (",,", true),
        ] {
            assert_eq!(selector.parse::<FieldSelector>().unwrap().matches(lookup), expected, "{selector}");
        }
        for (selector, fault) in [
            ("a", "invalid selector: 'a'; can't understand 'a'"),
            ("a=b=c", "invalid field selector: unescaped character in value: 61"),
            ("a=b,c!d", "invalid selector: 'a=b,c!d'; can't understand 'c!d'"),
            ("a=\\x", "invalid field selector: invalid escape sequence: \\x"),
            ("a=x\\", "invalid field selector: invalid escape sequence: \\"),
        ] {
            assert_eq!(selector.parse::<FieldSelector>().unwrap_err(), fault, "{selector}");
        }
        let term = "metadata.name!=a\\=b".parse::<FieldSelector>().unwrap().terms()[0].clone();
        assert_eq!((&*term.field, &*term.value, term.equal), ("metadata.name", "a=b", false));
    }
}
