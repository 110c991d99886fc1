//! Where in a value a walk stands: a chain of borrowed steps that lives on the walk's own stack and is spelled out only for a fault.

use std::fmt::{self, Write as _};

/// The most bytes of a path that are spelled out: keys are as long as who sends them likes.
const MAX_SPELLED: usize = 512;

/// A place in a value, such as `spec.ports[0].name`.
#[derive(Clone, Copy)]
pub(crate) enum Path<'a> {
    /// The whole value.
    Root,
    /// A field of an object.
    Field(&'a Path<'a>, &'a str),
    /// A value of a map.
    Key(&'a Path<'a>, &'a str),
    /// An item of a list.
    Index(&'a Path<'a>, usize),
}

impl<'a> Path<'a> {
    /// The place of the field `name` of this one.
    pub(crate) fn field(&'a self, name: &'a str) -> Self {
        Self::Field(self, name)
    }

    /// The place of the value under `key` in this map.
    pub(crate) fn key(&'a self, key: &'a str) -> Self {
        Self::Key(self, key)
    }

    /// The place of item `index` of this one.
    pub(crate) fn index(&'a self, index: usize) -> Self {
        Self::Index(self, index)
    }

    /// The path in words, with dots before the keys of maps; of a long one the beginning.
    pub(crate) fn spelled(&self) -> String {
        let mut text = Beginning(String::new());
        // What does not fit is left out.
        let _ = write!(text, "{self}");
        text.0
    }

    /// The path in words, with brackets around the keys of maps; of a long one the beginning.
    pub(crate) fn bracketed(&self) -> String {
        let mut text = Beginning(String::new());
        let _ = self.write(&mut text, &|text, key| write!(text, "[{key}]"));
        text.0
    }

    /// The path in the words of Go's decoder: the names of fields alone.
    pub(crate) fn fields(&self) -> String {
        match self {
            Self::Root => String::new(),
            Self::Key(parent, _) | Self::Index(parent, _) => parent.fields(),
            Self::Field(parent, name) => match parent.fields() {
                fields if fields.is_empty() => (*name).to_owned(),
                fields => format!("{fields}.{name}"),
            },
        }
    }

    fn write<W: fmt::Write>(&self, f: &mut W, key: &dyn Fn(&mut W, &str) -> fmt::Result) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Field(Self::Root, name) | Self::Key(Self::Root, name) => f.write_str(name),
            Self::Field(parent, name) => {
                parent.write(f, key)?;
                write!(f, ".{name}")
            }
            Self::Key(parent, name) => {
                parent.write(f, key)?;
                key(f, name)
            }
            Self::Index(parent, index) => {
                parent.write(f, key)?;
                write!(f, "[{index}]")
            }
        }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, &|f, key| write!(f, ".{key}"))
    }
}

/// Takes as much as fits, and refuses the rest.
struct Beginning(String);

impl fmt::Write for Beginning {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = MAX_SPELLED - self.0.len().min(MAX_SPELLED);
        if text.len() <= room {
            self.0.push_str(text);
            return Ok(());
        }
        self.0.push_str(&text[..text.floor_char_boundary(room)]);
        self.0.push_str("...");
        Err(fmt::Error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_reads_as_upstream_writes_it() {
        let (spec, root) = (Path::Field(&Path::Root, "spec"), Path::Root);
        let ports = spec.field("ports");
        let first = ports.index(0);
        assert_eq!(first.field("name").spelled(), "spec.ports[0].name");
        let map = first.field("map");
        let value = map.key("a.b");
        assert_eq!(value.field("x").spelled(), "spec.ports[0].map.a.b.x");
        assert_eq!(value.field("x").bracketed(), "spec.ports[0].map[a.b].x");
        assert_eq!(value.field("x").fields(), "spec.ports.map.x");
        assert_eq!(root.index(1).to_string(), "[1]");
        assert_eq!(root.to_string(), "");
    }

    #[test]
    fn of_a_long_path_the_beginning_is_spelled_out() {
        let long = "é".repeat(1000);
        let (root, wanted) = (Path::Root, "é".repeat(MAX_SPELLED / 2) + "...");
        let key = root.key(&long);
        assert_eq!((key.field("x").spelled(), key.field("x").bracketed()), (wanted.clone(), wanted));
    }
}
