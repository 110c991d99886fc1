//! What fuzzing tries: each target takes any bytes and panics when something does not hold that always should. `fuzz` at
//! the root feeds them with libFuzzer; the inputs that it found worth keeping are replayed by an ordinary test.

mod accept;
mod body;
mod managed;
mod patch;
mod record;
mod request_line;
mod selector;
mod subjects;
mod token;

/// A target: a name, which its folder of inputs has too, and the function that takes them.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 12] = [
    ("accept", accept::accept),
    ("continue_token", token::continue_token),
    ("field_selector", selector::field_selector),
    ("json_body", body::json_body),
    ("json_patch", patch::json_patch),
    ("label_selector", selector::label_selector),
    ("managed_fields", managed::managed_fields),
    ("merge_patch", patch::merge_patch),
    ("request_line", request_line::request_line),
    ("store_record", record::store_record),
    ("strategic_patch", patch::strategic_patch),
    ("yaml_body", body::yaml_body),
];

/// Runs the target of this name.
///
/// # Panics
/// When there is none, or what it asserts does not hold.
pub fn run(name: &str, data: &[u8]) {
    let (_, target) = TARGETS.iter().find(|(known, _)| *known == name).expect("a target of this name");
    target(data);
}

/// Clients send text; what is none is not read at all.
fn text(data: &[u8]) -> Option<&str> {
    std::str::from_utf8(data).ok()
}
