//! A small YAML document with the line of everything in it, so that each mistake can be found.

use saphyr_parser::{Event, Parser, Span, StrInput};

/// The deepest nesting that anything here has a meaning for.
const MAX_DEPTH: usize = 8;

/// A value and the line, counted from 1, on which it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) line: usize,
    pub(super) value: Value,
}

/// What a node is; a scalar is its text, whatever it looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
}

/// A mistake and its line.
pub(super) type Fault = (usize, String);

/// Reads the one document in `text`; `None` when there is nothing in it.
///
/// # Errors
/// When it is no YAML, or uses what nobody needs here: a second document, anchors, deep nesting.
pub(super) fn read(text: &str) -> Result<Option<Node>, Fault> {
    let mut reader = Reader { parser: Parser::new_from_str(text), depth: 0 };
    let mut found = None;
    loop {
        match reader.next()? {
            (Event::StreamEnd, _) => return Ok(found),
            (Event::Nothing | Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd, _) => {}
            (_, span) if found.is_some() => {
                return Err((span.start.line(), "there must be one document".to_owned()));
            }
            (event, span) => found = Some(reader.node(event, span)?).filter(|node| !node.is_empty()),
        }
    }
}

impl Node {
    fn is_empty(&self) -> bool {
        matches!(&self.value, Value::Text(text) if text.is_empty() || text == "~" || text == "null")
    }

    /// The text of a scalar.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }
}

struct Reader<'t> {
    parser: Parser<'t, StrInput<'t>>,
    depth: usize,
}

impl<'t> Reader<'t> {
    fn next(&mut self) -> Result<(Event<'t>, Span), Fault> {
        match self.parser.next() {
            Some(Ok(found)) => Ok(found),
            Some(Err(fault)) => Err((fault.marker().line(), format!("no YAML: {}", fault.info()))),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn node(&mut self, event: Event<'t>, span: Span) -> Result<Node, Fault> {
        let line = span.start.line();
        self.depth += 1;
        let value = match event {
            _ if self.depth > MAX_DEPTH => return Err((line, "nested too deeply".to_owned())),
            Event::Scalar(text, ..) => Value::Text(text.into_owned()),
            Event::SequenceStart(..) => self.list()?,
            Event::MappingStart(..) => self.map()?,
            Event::Alias(_) => return Err((line, "aliases are not allowed".to_owned())),
            _ => return Err((line, "no value".to_owned())),
        };
        self.depth -= 1;
        Ok(Node { line, value })
    }

    fn list(&mut self) -> Result<Value, Fault> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Value::List(items)),
                (event, span) => items.push(self.node(event, span)?),
            }
        }
    }

    fn map(&mut self) -> Result<Value, Fault> {
        let mut fields = Vec::new();
        loop {
            let key = match self.next()? {
                (Event::MappingEnd, _) => return Ok(Value::Map(fields)),
                (event, span) => self.node(event, span)?,
            };
            let (event, span) = self.next()?;
            fields.push((key, self.node(event, span)?));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_has_its_line() {
        let node = read("# a comment\n- a: 1\n  b:\n    - \"x\"\n- c\n").unwrap().unwrap();
        let Value::List(items) = &node.value else { panic!("{node:?}") };
        assert_eq!((node.line, items[0].line, items[1].line), (2, 2, 5));
        let Value::Map(fields) = &items[0].value else { panic!("{node:?}") };
        assert_eq!((fields[0].0.text(), fields[0].1.text()), (Some("a"), Some("1")));
        assert_eq!((fields[1].0.line, fields[1].1.line), (3, 4));
    }

    #[test]
    fn nothing_is_no_document() {
        for text in ["", "# nothing\n", "---\n", "~", "null\n"] {
            assert_eq!(read(text), Ok(None), "{text:?}");
        }
    }

    #[test]
    fn what_nobody_needs_is_refused_with_its_line() {
        for (text, line) in [
            ("- a\n- [b\n", 3),
            ("- &x a\n- *x\n", 2),
            ("- a\n---\n- b\n", 3),
            ("[[[[[[[[[[1]]]]]]]]]]", 1),
            ("a: b: c\n", 1),
        ] {
            assert_eq!(read(text).unwrap_err().0, line, "{text}");
        }
    }
}
