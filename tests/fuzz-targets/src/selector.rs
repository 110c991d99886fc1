//! Selectors: two that are joined by a comma select what both select.

use std::borrow::Cow;

use detectviz_api::selector::{FieldSelector, FieldTerm, LabelSelector};

use crate::text;

/// Some labels that inputs can be about.
const LABELS: [(&str, &str); 4] = [("a", "b"), ("tier", "3"), ("example.io/x", ""), ("app", "web")];

fn parts(data: &[u8]) -> Option<(&str, &str)> {
    let text = text(data)?;
    Some(text.split_once('\n').unwrap_or((text, "app")))
}

fn selects(selector: &LabelSelector, labels: &[(&str, &str)]) -> bool {
    let label = |key: &str| labels.iter().find(|(have, _)| *have == key).map(|(_, value)| *value);
    selector.matches(label)
}

/// Two label selectors, divided by a line break.
pub(crate) fn label_selector(data: &[u8]) {
    let Some((one, other)) = parts(data) else { return };
    let Ok(first) = one.parse::<LabelSelector>() else { return };
    assert_eq!(one.trim().parse(), Ok(first.clone()), "space around it changes {one:?}");
    let Ok(second) = other.parse::<LabelSelector>() else { return };
    if first.is_empty() || second.is_empty() {
        return;
    }
    let both: LabelSelector = format!("{one},{other}").parse().expect("two selectors make one");
    for count in 0..=LABELS.len() {
        let labels = &LABELS[..count];
        assert_eq!(
            selects(&both, labels),
            selects(&first, labels) && selects(&second, labels),
            "{one:?}, {other:?}"
        );
    }
}

/// Two field selectors, divided by a line break.
pub(crate) fn field_selector(data: &[u8]) {
    let Some((one, other)) = parts(data) else { return };
    let Ok(first) = one.parse::<FieldSelector>() else { return };
    let printed: Vec<String> = first.terms().iter().map(print).collect();
    assert_eq!(printed.join(",").parse(), Ok(first.clone()), "{one:?} printed");
    let Ok(second) = other.parse::<FieldSelector>() else { return };
    let both: FieldSelector = format!("{one},{other}").parse().expect("two selectors make one");
    assert_eq!(both.terms(), [first.terms(), second.terms()].concat());
    let lookup = |field: &str| Cow::Borrowed(if field == "metadata.name" { "a" } else { "" });
    assert_eq!(both.matches(lookup), first.matches(lookup) && second.matches(lookup), "{one:?}, {other:?}");
}

fn print(term: &FieldTerm) -> String {
    let value = term.value.replace('\\', "\\\\").replace(',', "\\,").replace('=', "\\=");
    format!("{}{}{value}", term.field, if term.equal { "=" } else { "!=" })
}
