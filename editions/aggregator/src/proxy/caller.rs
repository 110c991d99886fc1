//! The headers by which a backend is told who asks. Those of a caller who asks again and again are made once: their
//! values are then shared, and a request costs no copy of them.

use detectviz_api::Identity;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use std::cell::RefCell;

use crate::escape;

const USER: HeaderName = HeaderName::from_static("x-remote-user");
const UID: HeaderName = HeaderName::from_static("x-remote-uid");
const GROUP: HeaderName = HeaderName::from_static("x-remote-group");
const EXTRA: &str = "x-remote-extra-";

/// How many callers each thread remembers.
const KEPT: usize = 64;
/// The most headers of a caller who is remembered.
const MOST_FIELDS: usize = 32;

type Fields = Vec<(HeaderName, HeaderValue)>;

thread_local! {
    /// Callers by a hash of their name, with what is said of each. Who comes to the same place takes it over.
    static CALLERS: RefCell<[Option<(Identity, Fields)>; KEPT]> = const { RefCell::new([const { None }; KEPT]) };
}

/// Says that `identity` asks. Whatever a client said of it must be gone from the headers.
///
/// # Errors
/// When a name, group or extra value holds what no header can carry.
pub(super) fn tell(headers: &mut HeaderMap, identity: &Identity) -> Result<(), http::Error> {
    CALLERS.with_borrow_mut(|callers| {
        let place = &mut callers[place(&identity.name)];
        // All of it, not its name alone: another group is another caller.
        if let Some((_, fields)) = place.as_ref().filter(|(known, _)| known == identity) {
            append(headers, fields);
            return Ok(());
        }
        let fields = fields(identity)?;
        append(headers, &fields);
        if fields.len() <= MOST_FIELDS {
            *place = Some((identity.clone(), fields));
        }
        Ok(())
    })
}

/// FNV-1a of the name.
fn place(name: &str) -> usize {
    let mix = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    name.bytes().fold(0x811c_9dc5, mix) as usize % KEPT
}

fn append(headers: &mut HeaderMap, fields: &Fields) {
    for (name, value) in fields {
        // There is one name and one uid, whatever stood there.
        if *name == USER || *name == UID {
            headers.insert(name, value.clone());
        } else {
            headers.append(name, value.clone());
        }
    }
}

fn fields(identity: &Identity) -> Result<Fields, http::Error> {
    let mut fields = vec![(USER, value(&identity.name)?)];
    if !identity.uid.is_empty() {
        fields.push((UID, value(&identity.uid)?));
    }
    for group in &identity.groups {
        fields.push((GROUP, value(group)?));
    }
    for (key, values) in &identity.extra {
        let name = format!("{EXTRA}{}", escape::header_name(&key.to_lowercase()));
        let name = HeaderName::from_bytes(name.as_bytes())?;
        for text in values {
            fields.push((name.clone(), value(text)?));
        }
    }
    Ok(fields)
}

fn value(text: &str) -> Result<HeaderValue, http::Error> {
    Ok(HeaderValue::from_bytes(text.as_bytes())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(identity: &Identity) -> Vec<(String, String)> {
        let mut headers = HeaderMap::new();
        tell(&mut headers, identity).unwrap();
        let text = |(name, value): (&HeaderName, &HeaderValue)| {
            (name.to_string(), value.to_str().unwrap().to_owned())
        };
        headers.iter().map(text).collect()
    }

    #[test]
    fn each_caller_is_told_as_itself_whoever_was_remembered_before() {
        let caller = |number: usize, crew: &str| {
            let mut caller =
                Identity::authenticated(format!("caller-{number}"), [format!("{crew}-{number}")]);
            caller.uid = format!("{}", number % 7);
            caller
        };
        // Far more than are remembered; each name in two crews, and each of them twice.
        for number in (0..10 * KEPT).chain(0..10 * KEPT) {
            for crew in ["red", "blue", "blue"] {
                let expected = [
                    ("x-remote-user", format!("caller-{number}")),
                    ("x-remote-uid", format!("{}", number % 7)),
                    ("x-remote-group", format!("{crew}-{number}")),
                    ("x-remote-group", "system:authenticated".to_owned()),
                ];
                let expected = expected.map(|(name, value)| (name.to_owned(), value));
                assert_eq!(told(&caller(number, crew)), expected);
            }
        }
    }

    #[test]
    fn who_has_too_many_groups_to_be_remembered_is_told_with_all_of_them() {
        let groups = (0..MOST_FIELDS).map(|number| format!("crew-{number}"));
        let caller = Identity::authenticated("jane", groups);
        for _ in 0..2 {
            assert_eq!(told(&caller).len(), MOST_FIELDS + 2);
        }
    }

    #[test]
    fn what_no_header_can_carry_is_refused_each_time() {
        let caller = Identity::authenticated("a\nb", []);
        for _ in 0..2 {
            assert!(tell(&mut HeaderMap::new(), &caller).is_err());
        }
    }
}
