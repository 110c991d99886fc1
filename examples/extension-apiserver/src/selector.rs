//! A filter is a conjunction: every requirement of the label selector and of the field selector must hold.

use crate::flight::Flight;
use crate::query::Query;
use crate::status::Status;

/// What a list, a watch or a collection's deletion is limited to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    namespace: Option<String>,
    labels: Vec<Requirement>,
    fields: Vec<Requirement>,
}

/// One condition on one key.
#[derive(Debug, PartialEq, Eq)]
struct Requirement {
    key: String,
    condition: Condition,
}

#[derive(Debug, PartialEq, Eq)]
enum Condition {
    Exists,
    Absent,
    In(Vec<String>),
    NotIn(Vec<String>),
}

impl Requirement {
    /// An absent key satisfies `NotIn`, as it does upstream.
    fn holds(&self, value: Option<&str>) -> bool {
        match &self.condition {
            Condition::Exists => value.is_some(),
            Condition::Absent => value.is_none(),
            Condition::In(values) => value.is_some_and(|value| values.iter().any(|each| each == value)),
            Condition::NotIn(values) => !value.is_some_and(|value| values.iter().any(|each| each == value)),
        }
    }
}

impl Filter {
    /// Reads `labelSelector` and `fieldSelector` for the objects of `namespace`, or of all.
    ///
    /// # Errors
    /// 400 naming the requirement that cannot be read, or the field that cannot be selected by.
    pub(crate) fn parse(namespace: Option<&str>, query: &Query) -> Result<Self, Status> {
        let labels = parse_all(query.get("labelSelector"), label_requirement)?;
        let fields = parse_all(query.get("fieldSelector"), field_requirement)?;
        Ok(Self { namespace: namespace.map(str::to_owned), labels, fields })
    }

    /// Whether the flight passes.
    pub(crate) fn matches(&self, flight: &Flight) -> bool {
        let metadata = &flight.metadata;
        let field = |key: &str| if key == "metadata.name" { &metadata.name } else { &metadata.namespace };
        self.namespace.as_ref().is_none_or(|namespace| *namespace == metadata.namespace)
            && self.labels.iter().all(|each| each.holds(metadata.labels.get(&each.key).map(String::as_str)))
            && self.fields.iter().all(|each| each.holds(Some(field(&each.key))))
    }
}

fn parse_all(
    text: Option<&str>,
    parse: fn(&str) -> Result<Requirement, Status>,
) -> Result<Vec<Requirement>, Status> {
    split(text.unwrap_or_default()).into_iter().filter(|part| !part.is_empty()).map(parse).collect()
}

/// Splits at the commas that are outside of parentheses.
fn split(text: &str) -> Vec<&str> {
    let mut depth = 0_usize;
    text.split(|char: char| {
        match char {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        char == ',' && depth == 0
    })
    .map(str::trim)
    .collect()
}

fn field_requirement(text: &str) -> Result<Requirement, Status> {
    let requirement = equality(text)
        .ok_or_else(|| Status::bad_request(format!("invalid field selector: {text:?}: use =, == or !=")))?;
    if !matches!(requirement.key.as_str(), "metadata.name" | "metadata.namespace") {
        return Err(Status::bad_request(format!(
            "{:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\"",
            requirement.key
        )));
    }
    Ok(requirement)
}

fn label_requirement(text: &str) -> Result<Requirement, Status> {
    let requirement = set(text).or_else(|| equality(text)).or_else(|| existence(text));
    requirement.filter(|found| is_label_key(&found.key)).ok_or_else(|| {
        Status::bad_request(format!(
            "unable to parse requirement: {text:?}: use KEY, !KEY, =, ==, !=, in (...) or notin (...)"
        ))
    })
}

fn equality(text: &str) -> Option<Requirement> {
    // The longer operators first: each of them contains the last.
    let split = |operator| text.split_once(operator).map(|(key, value)| (key, operator, value));
    let (key, operator, value) = ["!=", "==", "="].into_iter().find_map(split)?;
    let values = vec![value.trim().to_owned()];
    let condition = if operator == "!=" { Condition::NotIn(values) } else { Condition::In(values) };
    Some(Requirement { key: key.trim().to_owned(), condition })
}

fn set(text: &str) -> Option<Requirement> {
    let (head, values) = text.strip_suffix(')')?.split_once('(')?;
    let (key, operator) = head.trim().rsplit_once(char::is_whitespace)?;
    let values = values.split(',').map(|value| value.trim().to_owned()).collect();
    let condition = match operator {
        "in" => Condition::In(values),
        "notin" => Condition::NotIn(values),
        _ => return None,
    };
    Some(Requirement { key: key.trim().to_owned(), condition })
}

fn existence(text: &str) -> Option<Requirement> {
    let (key, condition) =
        text.strip_prefix('!').map_or((text, Condition::Exists), |key| (key.trim(), Condition::Absent));
    Some(Requirement { key: key.to_owned(), condition })
}

fn is_label_key(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flight() -> Flight {
        let mut flight = Flight::default();
        "ci-101".clone_into(&mut flight.metadata.name);
        "default".clone_into(&mut flight.metadata.namespace);
        flight.metadata.labels = [("tier".to_owned(), "gold".to_owned())].into();
        flight
    }

    fn check(query: &str) -> Result<bool, String> {
        let filter = Filter::parse(None, &Query::parse(query)).map_err(|status| status.to_string())?;
        Ok(filter.matches(&flight()))
    }

    #[test]
    fn label_selectors() {
        for (selector, expected) in [
            ("tier", true),
            ("!tier", false),
            ("!other", true),
            ("tier=gold", true),
            ("tier==silver", false),
            ("tier!=silver,other!=x", true),
            ("tier in (gold, silver)", true),
            ("tier notin (gold,silver)", false),
            ("tier in (gold),other", false),
        ] {
            assert_eq!(check(&format!("labelSelector={selector}")), Ok(expected), "{selector}");
        }
        assert!(check("labelSelector=tier>1").is_err());
        assert!(check("labelSelector=tier near (a)").is_err());
    }

    #[test]
    fn field_selectors() {
        assert_eq!(check("fieldSelector=metadata.name=ci-101,metadata.namespace!=kube-system"), Ok(true));
        assert_eq!(check("fieldSelector=metadata.name=other"), Ok(false));
        assert!(check("fieldSelector=spec.gate=A1").unwrap_err().contains("not a known field selector"));
    }
}
