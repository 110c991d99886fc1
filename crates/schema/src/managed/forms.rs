//! Entries that were made through another form of the same objects, in which top-level fields are called otherwise: events have
//! a `message` in one group and a `note` in the other. What is owned there is owned here.

use super::entries::{self, Entry, Slot};
use super::set::Set;
use crate::CompiledVersion;

/// Another form of the objects.
#[derive(Clone, Debug)]
pub(crate) struct Form {
    api_version: String,
    /// What fields are called there, and here.
    names: Vec<(String, String)>,
}

impl Form {
    fn here<'a>(&self, fields: Set<'a>) -> Set<'a> {
        fields.renamed(|name| self.names.iter().find(|(there, _)| there == name).map(|(_, here)| here))
    }

    fn there<'a>(&self, fields: Set<'a>) -> Set<'a> {
        fields.renamed(|name| self.names.iter().find(|(_, here)| here == name).map(|(there, _)| there))
    }
}

impl CompiledVersion {
    /// Tells of another form of the same objects, with what fields are called there, and here. Names must lead back.
    pub fn add_form(&mut self, api_version: String, names: Vec<(String, String)>) {
        let mut forms = self.forms.to_vec();
        forms.push(Form { api_version, names });
        self.forms = forms.into();
    }
}

fn of<'f>(forms: &'f [Form], entry: &Entry<'_>) -> Option<&'f Form> {
    forms.iter().find(|form| form.api_version == entry.api_version)
}

/// Reads a list of entries, with their fields as they are called here.
///
/// # Errors
/// In upstream's words, what is wrong with it.
pub(super) fn decode<'a>(list: &'a [serde_json::Value], forms: &[Form]) -> Result<Vec<Entry<'a>>, String> {
    let mut entries = entries::decode(list)?;
    for entry in &mut entries {
        if let Some(form) = of(forms, entry) {
            entry.fields = form.here(std::mem::take(&mut entry.fields));
        }
    }
    Ok(entries)
}

/// The list of those entries that own anything, each with its fields as they are called where it was made.
pub(super) fn encode(mut entries: Vec<Entry<'_>>, forms: &[Form]) -> Vec<Slot> {
    for entry in entries.iter_mut().filter(|entry| entry.unchanged.is_none()) {
        let fields = std::mem::take(&mut entry.fields);
        entry.fields = fields_of(entry, fields, forms);
    }
    entries::encode(entries)
}

/// `fields` as they are called where `entry` was made.
pub(super) fn fields_of<'a>(entry: &Entry<'_>, fields: Set<'a>, forms: &[Form]) -> Set<'a> {
    match of(forms, entry) {
        Some(form) => form.there(fields),
        None => fields,
    }
}
