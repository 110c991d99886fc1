//! One step of the way to a field, in the form in which `managedFields` writes it and in the one in which people read it.

use serde_json::{Map, Value};
use std::borrow::Cow;
use std::fmt::{self, Write as _};

use super::canonical;
use super::types::List;

/// A step into an object or a list. What tells an item of a list apart is kept as canonical JSON text: to compare two is
/// to compare texts, and to write one down is to copy it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Element<'a> {
    /// A field of an object: `f:name`.
    Field(Cow<'a, str>),
    /// An item by its place: `i:0`. Nothing writes these, but they are read.
    Index(i64),
    /// An item by its keys: `k:{"name":"a"}`.
    Key(Cow<'a, str>),
    /// An item by itself: `v:"a"`.
    Value(Cow<'a, str>),
}

impl<'a> Element<'a> {
    /// The field `name`.
    pub(super) fn field(name: &'a str) -> Self {
        Self::Field(Cow::Borrowed(name))
    }

    /// What tells `item` apart in `list`.
    ///
    /// # Errors
    /// In upstream's words, why nothing does.
    pub(super) fn of_item(list: List<'_>, item: &Value) -> Result<Self, String> {
        match list.keys {
            Some(keys) => Self::of_keyed(list, keys, item),
            None => Self::of_scalar(item),
        }
    }

    fn of_scalar(item: &Value) -> Result<Self, String> {
        let prefix = "associative list without keys has an element that's";
        match item {
            Value::Object(_) => Err(format!("{prefix} a map type")),
            Value::Array(_) => Err("not supported: associative list with lists as elements".to_owned()),
            Value::Null => Err(format!("{prefix} an explicit null")),
            scalar => Ok(Self::Value(Cow::Owned(canonical::text(scalar)))),
        }
    }

    fn of_keyed(list: List<'_>, keys: &[String], item: &Value) -> Result<Self, String> {
        let fields = match item {
            Value::Object(fields) => fields,
            Value::Null => return Err("associative list with keys may not have a null element".to_owned()),
            _ => return Err("associative list with keys may not have non-map elements".to_owned()),
        };
        let mut names: Vec<&str> = keys.iter().map(String::as_str).collect();
        names.sort_unstable();
        let mut text = String::with_capacity(24 * names.len());
        for name in names {
            let Some(value) = fields.get(name).or_else(|| list.default_of(name)) else {
                return Err(format!(
                    "associative list with keys has an element that omits key field {name:?} \
                     (and doesn't have default value)"
                ));
            };
            text.push(if text.is_empty() { '{' } else { ',' });
            canonical::write_string(name, &mut text);
            text.push(':');
            canonical::write(value, &mut text);
        }
        text.push('}');
        Ok(Self::Key(Cow::Owned(text)))
    }

    /// Reads a step as `managedFields` writes it. `Ok(None)` is a kind of step that only a later version knows.
    ///
    /// # Errors
    /// When it is no step at all.
    pub(super) fn parse(text: &'a str) -> Result<Option<Self>, String> {
        let malformed = |why: &dyn fmt::Display| format!("parsing key as path element: {why}");
        let (Some(kind), Some(rest)) = (text.get(..2), text.get(2..)) else {
            return Err(malformed(&"key must be 2 characters long:"));
        };
        if !kind.ends_with(':') {
            return Err(malformed(&format!("missing colon: {text}")));
        }
        Ok(Some(match kind {
            "f:" => Self::Field(Cow::Borrowed(rest)),
            "i:" => Self::Index(rest.parse().map_err(|why| malformed(&why))?),
            "k:" => Self::Key(canonical::of_keys(rest).map_err(|why| malformed(&why))?),
            "v:" => Self::Value(canonical::of_value(rest).map_err(|why| malformed(&why))?),
            _ => return Ok(None),
        }))
    }

    /// Whether `text`, of which the step was read, is as [`Element::text`] writes it.
    pub(super) fn is_written(&self, text: &str) -> bool {
        match self {
            Self::Field(_) | Self::Key(Cow::Borrowed(_)) | Self::Value(Cow::Borrowed(_)) => true,
            Self::Key(Cow::Owned(_)) | Self::Value(Cow::Owned(_)) => false,
            Self::Index(_) => self.text() == text,
        }
    }

    /// The step with a text of its own.
    pub(super) fn into_owned(self) -> Element<'static> {
        let owned = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        match self {
            Self::Field(name) => Element::Field(owned(name)),
            Self::Index(index) => Element::Index(index),
            Self::Key(keys) => Element::Key(owned(keys)),
            Self::Value(value) => Element::Value(owned(value)),
        }
    }

    /// The step as `managedFields` writes it.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Field(name) => format!("f:{name}"),
            Self::Index(index) => format!("i:{index}"),
            Self::Key(keys) => format!("k:{keys}"),
            Self::Value(value) => format!("v:{value}"),
        }
    }
}

impl fmt::Display for Element<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) => write!(f, ".{name}"),
            Self::Index(index) => write!(f, "[{index}]"),
            Self::Value(value) => write!(f, "[={value}]"),
            Self::Key(keys) => {
                let keys: Map<String, Value> = serde_json::from_str(keys).map_err(|_| fmt::Error)?;
                for (index, (name, value)) in keys.iter().enumerate() {
                    write!(f, "{}{name}={value}", if index == 0 { '[' } else { ',' })?;
                }
                f.write_char(']')
            }
        }
    }
}
