//! What a write asks for beside its object: `CreateOptions`, `UpdateOptions` and `PatchOptions` of `meta/v1`, of which each
//! is checked under its own name, and all faults are told at once.

use std::borrow::Cow;

use crate::query::Query;
use crate::status::{Cause, Status};

/// The most bytes of a field manager's name; upstream's bound.
const MAX_FIELD_MANAGER: usize = 128;

/// What happens to unknown and duplicate fields of a written object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FieldValidation {
    /// They are dropped silently.
    Ignore,
    /// They are dropped, with a `Warning` header each. The default, as upstream since 1.27.
    #[default]
    Warn,
    /// The request is refused.
    Strict,
}

/// Which options are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteKind {
    /// `CreateOptions`.
    Create,
    /// `UpdateOptions`.
    Update,
    /// `PatchOptions` of a patch that is no apply.
    Patch,
    /// `PatchOptions` of a server-side apply.
    Apply,
}

impl WriteKind {
    /// The kind of the options.
    pub const fn options(self) -> &'static str {
        match self {
            Self::Create => "CreateOptions",
            Self::Update => "UpdateOptions",
            Self::Patch | Self::Apply => "PatchOptions",
        }
    }
}

/// The options of create, update and patch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WriteOptions {
    /// Do everything but the write.
    pub dry_run: bool,
    /// Who manages the written fields; empty if the client does not say.
    pub field_manager: String,
    /// What happens to fields that the schema does not know.
    pub field_validation: FieldValidation,
    /// Whether an apply takes fields that others own.
    pub force: bool,
}

impl WriteOptions {
    /// Reads the options of a write.
    ///
    /// # Errors
    /// 422 with every field at fault.
    pub fn parse(query: &Query, kind: WriteKind) -> Result<Self, Status> {
        let field_manager = query.get("fieldManager").unwrap_or_default();
        let mut causes = Vec::new();
        match kind {
            WriteKind::Apply if field_manager.is_empty() => causes.push(cause(
                "FieldValueRequired",
                "fieldManager",
                "Required value: is required for apply patch".to_owned(),
            )),
            WriteKind::Patch if query.get("force").is_some() => causes.push(cause(
                "FieldValueForbidden",
                "force",
                "Forbidden: may not be specified for non-apply patch".to_owned(),
            )),
            _ => {}
        }
        causes.extend(manager_faults(field_manager));
        let dry_run = dry_run(query, &mut causes);
        let field_validation = field_validation(query, &mut causes);
        if !causes.is_empty() {
            return Err(Status::invalid("meta.k8s.io", kind.options(), "", causes));
        }
        let force = query.flag("force");
        Ok(Self { dry_run, field_manager: field_manager.to_owned(), field_validation, force })
    }

    /// Who manages the written fields: who the client says, or what stands before the slash in its `User-Agent`.
    pub fn manager<'a>(&'a self, user_agent: &'a str) -> Cow<'a, str> {
        if !self.field_manager.is_empty() {
            return Cow::Borrowed(&self.field_manager);
        }
        let name = user_agent.split('/').next().unwrap_or_default();
        if name.len() <= MAX_FIELD_MANAGER && name.chars().all(is_printable) {
            return Cow::Borrowed(name);
        }
        let mut kept = String::new();
        for letter in name.chars().filter(|letter| is_printable(*letter)) {
            if kept.len() + letter.len_utf8() > MAX_FIELD_MANAGER {
                break;
            }
            kept.push(letter);
        }
        Cow::Owned(kept)
    }
}

fn manager_faults(manager: &str) -> Vec<Cause> {
    const FIELD: &str = "fieldManager";
    let mut causes = Vec::new();
    if manager.len() > MAX_FIELD_MANAGER {
        let message = format!("Too long: may not be more than {MAX_FIELD_MANAGER} bytes");
        causes.push(cause("FieldValueTooLong", FIELD, message));
    }
    let bad = manager.char_indices().filter(|(_, letter)| !is_printable(*letter));
    // One is enough to say: a name of nothing but such characters would make an answer as long as the request.
    causes.extend(bad.take(1).map(|(at, letter)| {
        let message = format!(
            "Invalid value: {manager:?}: invalid character U+{:04X} (at position {at})",
            u32::from(letter)
        );
        cause("FieldValueInvalid", FIELD, message)
    }));
    causes
}

/// Whether a character leaves a mark, as Go's `unicode.IsPrint` has it; of all blanks the plain one alone.
fn is_printable(letter: char) -> bool {
    match letter {
        ' ' => true,
        _ if letter.is_ascii() => letter.is_ascii_graphic(),
        // Behind another letter, so that a combining mark counts as one.
        _ => !format!("a{letter}").escape_debug().any(|escaped| escaped == '\\'),
    }
}

fn dry_run(query: &Query, causes: &mut Vec<Cause>) -> bool {
    let values: Vec<&str> = query.all("dryRun").filter(|value| !value.is_empty()).collect();
    if let Some(other) = values.iter().find(|value| **value != "All") {
        causes.push(not_supported("dryRun", other, "\"All\""));
    }
    !values.is_empty()
}

fn field_validation(query: &Query, causes: &mut Vec<Cause>) -> FieldValidation {
    match query.get("fieldValidation") {
        None | Some("") => {}
        Some("Ignore") => return FieldValidation::Ignore,
        Some("Warn") => return FieldValidation::Warn,
        Some("Strict") => return FieldValidation::Strict,
        Some(other) => {
            causes.push(not_supported("fieldValidation", other, "\"\", \"Ignore\", \"Strict\", \"Warn\""));
        }
    }
    FieldValidation::default()
}

fn not_supported(field: &str, value: &str, allowed: &str) -> Cause {
    let message = format!("Unsupported value: {value:?}: supported values: {allowed}");
    cause("FieldValueNotSupported", field, message)
}

fn cause(reason: &str, field: &str, message: String) -> Cause {
    Cause { reason: reason.to_owned(), message, field: field.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(query: &str, kind: WriteKind) -> Result<WriteOptions, Status> {
        WriteOptions::parse(&Query::parse(Some(query)).unwrap(), kind)
    }

    #[test]
    fn options_are_read() {
        let options =
            parse("dryRun=All&fieldValidation=Strict&fieldManager=me&force=true", WriteKind::Apply).unwrap();
        let expected = WriteOptions {
            dry_run: true,
            field_manager: "me".to_owned(),
            field_validation: FieldValidation::Strict,
            force: true,
        };
        assert_eq!(options, expected);
        assert!(!parse("dryRun=", WriteKind::Create).unwrap().dry_run);
        assert!(!parse("fieldManager=me&force=false", WriteKind::Apply).unwrap().force);
    }

    #[test]
    fn every_fault_is_told_at_once_under_the_name_of_the_options() {
        use WriteKind::{Apply, Create, Patch, Update};
        let long = "x".repeat(129);
        for (query, kind, message) in [
            (
                "dryRun=Some",
                Create,
                r#"CreateOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: "Some": supported values: "All""#,
            ),
            (
                "fieldValidation=Loose",
                Update,
                r#"UpdateOptions.meta.k8s.io "" is invalid: fieldValidation: Unsupported value: "Loose": supported values: "", "Ignore", "Strict", "Warn""#,
            ),
            (
                "force=true",
                Patch,
                r#"PatchOptions.meta.k8s.io "" is invalid: force: Forbidden: may not be specified for non-apply patch"#,
            ),
            (
                "",
                Apply,
                r#"PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch"#,
            ),
            (
                &format!("fieldManager={long}"),
                Create,
                r#"CreateOptions.meta.k8s.io "" is invalid: fieldManager: Too long: may not be more than 128 bytes"#,
            ),
            (
                "fieldManager=a%0Ab&dryRun=x",
                Create,
                r#"CreateOptions.meta.k8s.io "" is invalid: [fieldManager: Invalid value: "a\nb": invalid character U+000A (at position 1), dryRun: Unsupported value: "x": supported values: "All"]"#,
            ),
        ] {
            let refusal = parse(query, kind).unwrap_err();
            assert_eq!((refusal.code, refusal.message.as_str()), (422, message), "{query}");
        }
    }

    #[test]
    fn who_does_not_say_who_manages_is_known_by_the_client_program() {
        let long = "é".repeat(100);
        for (given, user_agent, manager) in [
            ("me", "kubectl/v1.36.0 (linux/amd64)", "me"),
            ("", "kubectl/v1.36.0 (linux/amd64)", "kubectl"),
            ("", "plain", "plain"),
            ("", "a\tb\u{7}c/1", "abc"),
            ("", "", ""),
            ("", &long, &"é".repeat(64)),
        ] {
            let options = WriteOptions { field_manager: given.to_owned(), ..WriteOptions::default() };
            assert_eq!(options.manager(user_agent), manager, "{user_agent}");
        }
    }
}
