//! A static token file: each line of `token,user,uid,"group1,group2"` lets whoever knows the token be that user.
//!
//! The format is upstream's `--token-auth-file`. Only digests are kept, so neither a comparison's duration nor
//! a dump of the table gives a token away.

use std::collections::HashMap;

use detectviz_api::Identity;
use sha2::{Digest as _, Sha256};

type Digest = [u8; 32];

/// The users of a token file.
#[derive(Default)]
pub struct TokenTable {
    entries: Vec<(Digest, Identity)>,
}

/// What is wrong with one line of a token file. Never contains the token.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {why}")]
pub struct Fault {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong and what is allowed.
    pub why: String,
}

impl TokenTable {
    /// Reads a token file. Blank lines are skipped; the groups column may be absent.
    ///
    /// # Errors
    /// Every fault of the file at once. A file with one bad line gives no table: half the users would be
    /// harder to notice than none.
    pub fn parse(text: &str) -> Result<Self, Vec<Fault>> {
        let (mut table, mut faults, mut lines) = (Self::default(), Vec::new(), HashMap::new());
        for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
            if line.trim().is_empty() {
                continue;
            }
            let line_number = index + 1;
            let entry =
                read_line(line).and_then(|(digest, identity)| match lines.insert(digest, line_number) {
                    Some(earlier) => {
                        Err(format!("token is the same as in line {earlier}: each must be unique"))
                    }
                    None => Ok((digest, identity)),
                });
            match entry {
                Ok(entry) => table.entries.push(entry),
                Err(why) => faults.push(Fault { line: line_number, why }),
            }
        }
        if faults.is_empty() { Ok(table) } else { Err(faults) }
    }

    /// Whether nobody has a token.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The user whose token this is. Takes as long for a wrong token as for a right one: every entry is compared
    /// whole.
    pub fn lookup(&self, token: &str) -> Option<Identity> {
        let wanted = digest(token);
        let found = self.entries.iter().fold(None, |found, (have, identity)| {
            let equal = have.iter().zip(&wanted).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0;
            if equal { Some(identity) } else { found }
        });
        found.cloned()
    }
}

/// The token in an `Authorization` header value; `None` when the scheme is not `Bearer` (in any case).
/// A `Bearer` without a token gives an empty one, which no table knows.
pub fn bearer_token(authorization: &str) -> Option<&str> {
    let authorization = authorization.trim();
    let (scheme, token) = authorization.split_once(' ').unwrap_or((authorization, ""));
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_start())
}

fn digest(token: &str) -> Digest {
    Sha256::digest(token.as_bytes()).into()
}

fn read_line(line: &str) -> Result<(Digest, Identity), String> {
    let fields = split_fields(line)?;
    let (token, user, uid, groups) = match fields.as_slice() {
        [token, user, uid] => (token, user, uid, ""),
        [token, user, uid, groups] => (token, user, uid, groups.as_str()),
        other => {
            let hint = "several groups go into one pair of quotes";
            return Err(format!("has {} columns, must be token,user,uid[,\"groups\"]: {hint}", other.len()));
        }
    };
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("token must be one or more visible ASCII characters".to_owned());
    }
    if user.is_empty() {
        return Err("user must not be empty".to_owned());
    }
    let groups = groups.split(',').map(str::trim).filter(|group| !group.is_empty()).map(str::to_owned);
    let mut identity = Identity::authenticated(user, groups);
    identity.uid.clone_from(uid);
    Ok((digest(token), identity))
}

/// Splits a CSV record (RFC 4180, without line breaks inside quotes).
fn split_fields(line: &str) -> Result<Vec<String>, String> {
    let (mut fields, mut rest) = (Vec::new(), line);
    loop {
        let (field, behind) = match rest.strip_prefix('"') {
            Some(quoted) => read_quoted(quoted)?,
            None => read_bare(rest)?,
        };
        fields.push(field);
        match behind.strip_prefix(',') {
            Some(next) => rest = next,
            None if behind.is_empty() => return Ok(fields),
            None => return Err("a closing quote must be followed by a comma or the end".to_owned()),
        }
    }
}

fn read_bare(text: &str) -> Result<(String, &str), String> {
    let (field, behind) = text.split_at(text.find(',').unwrap_or(text.len()));
    if field.contains('"') {
        return Err("a quote inside a column needs the whole column in quotes".to_owned());
    }
    Ok((field.to_owned(), behind))
}

fn read_quoted(text: &str) -> Result<(String, &str), String> {
    let (mut field, mut rest) = (String::new(), text);
    loop {
        let (part, behind) = rest.split_once('"').ok_or("a quoted column has no closing quote")?;
        field.push_str(part);
        match behind.strip_prefix('"') {
            Some(more) => {
                field.push('"');
                rest = more;
            }
            None => return Ok((field, behind)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_reads_as_upstream_reads_it() {
        let table =
            TokenTable::parse("\u{feff}t1,alice,u1,\"dev,ops\"\r\n\n\"t\"\"2\",bob,\nt3,\"a,b\",u3,one\n")
                .unwrap();
        let alice = table.lookup("t1").unwrap();
        assert_eq!((alice.name.as_str(), alice.uid.as_str()), ("alice", "u1"));
        assert_eq!(alice.groups, ["dev", "ops", "system:authenticated"]);
        assert_eq!(table.lookup("t\"2").unwrap().groups, ["system:authenticated"]);
        assert_eq!(table.lookup("t3").unwrap().name, "a,b");
        for wrong in ["", "t", "t1 ", "T1"] {
            assert!(table.lookup(wrong).is_none(), "{wrong:?}");
        }
    }

    #[test]
    fn every_fault_is_told_at_once_and_no_token() {
        let text = "secret1,a,1\nsecret2,b\n,c,3\nsecret1,d,4\n\"secret5,e,5\nsecret6,,6\nsecret7,f,7,dev,ops\nsec ret8,g,8\n\"secret9\"x,h,9\nsecret10\",i,10";
        let faults = TokenTable::parse(text).err().unwrap();
        assert_eq!(faults.iter().map(|fault| fault.line).collect::<Vec<_>>(), [2, 3, 4, 5, 6, 7, 8, 9, 10]);
        assert!(faults[2].why.contains("line 1"), "{:?}", faults[2]);
        assert!(faults.iter().all(|fault| !fault.to_string().contains("secret")), "{faults:?}");
    }

    #[test]
    fn a_bearer_token_is_found_in_any_spelling_of_the_scheme() {
        for (header, token) in [
            ("Bearer a.b", Some("a.b")),
            ("bearer  a", Some("a")),
            ("BEARER a ", Some("a")),
            ("Bearer", Some("")),
            ("Basic a", None),
            ("Bearera", None),
            ("", None),
        ] {
            assert_eq!(bearer_token(header), token, "{header:?}");
        }
    }
}
