//! JSON laid out for people: two spaces a level, as upstream's.

use super::tokens::{Token, tokens};

/// Lays out a document that comes in pieces.
#[derive(Default)]
pub(super) struct Indent {
    /// Of each open list or object: whether it is an object.
    open: Vec<bool>,
    /// What was opened last and may yet turn out to be empty.
    opened: Option<u8>,
    /// Whether the next token is the value of a key.
    after_key: bool,
    /// Whether something stands before in the innermost list or object.
    follows: bool,
}

impl Indent {
    pub(super) fn push(&mut self, json: &str, out: &mut Vec<u8>) {
        tokens(json).for_each(|token| self.token(token, out));
    }

    fn token(&mut self, token: Token<'_>, out: &mut Vec<u8>) {
        match token {
            Token::Close(bracket) => self.close(bracket, out),
            Token::Open(bracket) => {
                self.begin(out);
                self.opened = Some(bracket);
                self.after_key = false;
            }
            Token::Scalar(text) => {
                let is_key = self.begin(out);
                out.extend_from_slice(text.as_bytes());
                if is_key {
                    out.extend_from_slice(b": ");
                }
                self.after_key = is_key;
                self.follows = true;
            }
        }
    }

    /// What stands before an element; whether the element is a key.
    fn begin(&mut self, out: &mut Vec<u8>) -> bool {
        if let Some(bracket) = self.opened.take() {
            out.push(bracket);
            self.open.push(bracket == b'{');
            self.follows = false;
        }
        let Some(&in_object) = self.open.last().filter(|_| !self.after_key) else { return false };
        if self.follows {
            out.push(b',');
        }
        self.line(out);
        in_object
    }

    fn close(&mut self, bracket: u8, out: &mut Vec<u8>) {
        match self.opened.take() {
            Some(opened) => out.push(opened),
            None => {
                self.open.pop();
                self.line(out);
            }
        }
        out.push(bracket);
        (self.follows, self.after_key) = (true, false);
    }

    fn line(&self, out: &mut Vec<u8>) {
        out.push(b'\n');
        out.resize(out.len() + 2 * self.open.len(), b' ');
    }
}
