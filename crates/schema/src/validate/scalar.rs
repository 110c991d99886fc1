//! What must hold for a text, a number or a boolean: its type, its format, its limits.

use detectviz_api::go::float;
use serde_json::{Number, Value};
use std::cmp::Ordering;

use super::{Walk, fault, typed};
use crate::node::{Bound, Bounds, Format, Kind, Node};
use crate::path::Path;

/// The first float that is too great for 64 bits.
const END: f64 = 9_223_372_036_854_775_808.0;
/// From here on a float no longer tells one integer from the next: upstream's `IsFloat64AJSONInteger`.
const MAX_EXACT: f64 = 9_007_199_254_740_991.0;

impl Walk<'_> {
    /// Whether `value` has the type of `node`.
    pub(super) fn fits(&self, node: &Node, value: &Value) -> bool {
        match node.kind {
            Kind::Any => true,
            Kind::Object => value.is_object(),
            Kind::Array => value.is_array(),
            Kind::String => value.is_string() && (!self.typed || typed::reads(node.format, value)),
            Kind::Boolean => value.is_boolean(),
            Kind::Number => value.is_number(),
            Kind::Integer if self.typed => typed::is_integer(node.format, value),
            Kind::Integer => is_whole(value),
            Kind::IntOrString => value.is_string() || is_whole(value),
        }
    }

    /// A value of a wrong type: of a built-in kind the whole document is none then.
    pub(super) fn mistyped(&mut self, node: &Node, value: &Value, path: &Path<'_>) {
        match self.version.filter(|_| self.typed) {
            None => self.fault(|| mistyped(node, value, path)),
            Some(version) => {
                self.faults += 1;
                self.admitted
                    .mistyped
                    .get_or_insert_with(|| typed::refusal(&version.kind, node, value, path));
            }
        }
    }

    pub(super) fn text(&mut self, node: &Node, text: &str, path: &Path<'_>) {
        let Bounds { length: (least, most), pattern, .. } = &node.bounds;
        let has = |count: u64| text.chars().nth(usize::try_from(count).unwrap_or(usize::MAX)).is_some();
        let value = || Value::from(text);
        // Of these three upstream tells the first that does not hold.
        if let Some(most) = most.filter(|most| has(*most)) {
            self.fault(|| fault::too_long(path, most));
        } else if let Some(least) = least.filter(|least| *least > 0 && !has(least - 1)) {
            self.fault(|| fault::invalid(path, &value(), &format!("should be at least {least} chars long")));
        } else if let Some(pattern) = pattern.as_ref().filter(|pattern| !pattern.is_match(text)) {
            self.fault(|| fault::invalid(path, &value(), &format!("should match '{}'", pattern.as_str())));
        }
        if let Format::Text(format) = node.format
            && !format.fits(text)
        {
            self.fault(|| fault::mistyped(path, format.name(), text));
        }
    }

    pub(super) fn number(&mut self, node: &Node, number: &Number, path: &Path<'_>) {
        if !self.typed && !has_room(node.format, number) {
            let rule = format!("of type {} with format {}", node.kind.name(), node.format.name());
            self.fault(|| fault::placeless(&format!("Checked value must be {rule} in {}", path.spelled())));
        }
        let mut broken = |rule: &str| {
            self.fault(|| fault::invalid(path, &number.clone().into(), rule));
        };
        if let Some(factor) = node.bounds.multiple_of.filter(|factor| !is_multiple(number, *factor)) {
            broken(&format!("should be a multiple of {}", float(factor)));
        }
        let (least, most) = node.bounds.range;
        if let Some(least) = least.filter(|least| is_beyond(number, *least, Ordering::Less)) {
            let or_equal = if least.exclusive { "" } else { " or equal to" };
            broken(&format!("should be greater than{or_equal} {}", limit(number, least)));
        }
        if let Some(most) = most.filter(|most| is_beyond(number, *most, Ordering::Greater)) {
            let or_equal = if most.exclusive { "" } else { " or equal to" };
            broken(&format!("should be less than{or_equal} {}", limit(number, most)));
        }
    }
}

/// Writes a value in the one form that upstream gives back: base64 that Go reads without line ends, an integer without a fraction.
pub(super) fn normalise(node: &Node, value: &mut Value) {
    match (node.kind, value) {
        (Kind::Integer | Kind::IntOrString, value @ Value::Number(_)) if !value.is_i64() => {
            let whole = value.as_f64().filter(|number| number.abs() <= MAX_EXACT);
            #[expect(clippy::cast_possible_truncation, reason = "it is whole, and small enough to be exact")]
            whole.into_iter().for_each(|number| *value = (number as i64).into());
        }
        (_, Value::String(text)) if node.format == Format::Byte => typed::normalise_base64(text),
        _ => {}
    }
}

/// Whether two values are the same; 1 and 1.0 are.
pub(super) fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one == other || one.as_f64() == other.as_f64(),
        _ => one == other,
    }
}

/// The type of a value as JSON schema names it.
pub(super) fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) if is_whole(value) => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Upstream's words for a wrong type. Where a format is asked for, it names that instead of the type, and of what was found
/// the format that its Go type has.
fn mistyped(node: &Node, value: &Value, path: &Path<'_>) -> detectviz_api::Cause {
    let format = node.format.name();
    match value {
        Value::Null | Value::String(_) | Value::Array(_) => {
            fault::mistyped(path, node.kind.name(), type_of(value))
        }
        _ if format.is_empty() => fault::mistyped(path, node.kind.name(), type_of(value)),
        Value::Number(number) if number.is_i64() => fault::mistyped(path, format, "int64"),
        Value::Number(_) => fault::mistyped(path, format, "float64"),
        _ => fault::mistyped(path, format, ""),
    }
}

/// Whether `value` is a number without a fraction: 1.0 is an integer to JSON schema.
fn is_whole(value: &Value) -> bool {
    value.is_i64() || value.as_f64().is_some_and(|number| number.fract() == 0.0 && number.abs() <= MAX_EXACT)
}

/// Whether a number of the right type is within its format.
fn has_room(format: Format, number: &Number) -> bool {
    let value = number.as_f64().unwrap_or_default();
    match format {
        Format::Int32 => (f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&value),
        Format::Int64 => number.is_i64() || (-END..END).contains(&value),
        Format::Float => value.abs() <= f64::from(f32::MAX),
        _ => true,
    }
}

fn is_multiple(number: &Number, factor: f64) -> bool {
    let value = number.as_f64().unwrap_or_default();
    let times = if factor < 1.0 { 1.0 / factor * value } else { value / factor };
    // A factor of a tenth is none in binary: upstream forgives the last digit.
    (times - times.round()).abs() <= f64::EPSILON * times.abs().max(1.0)
}

/// Whether `number` is on the side `beyond` of the limit, or on the limit if that is outside.
fn is_beyond(number: &Number, limit: Bound, beyond: Ordering) -> bool {
    let order = match number.as_i64() {
        Some(number) => compare(number, limit.at),
        None => number.as_f64().and_then(|number| number.partial_cmp(&limit.at)).unwrap_or(Ordering::Equal),
    };
    order == beyond || limit.exclusive && order == Ordering::Equal
}

/// Compares without loss: not every integer has a float.
fn compare(number: i64, limit: f64) -> Ordering {
    match limit {
        limit if limit >= END => Ordering::Less,
        limit if limit < -END => Ordering::Greater,
        limit => {
            #[expect(clippy::cast_possible_truncation, reason = "it is within 64 bits")]
            let order = number.cmp(&(limit.trunc() as i64));
            let rest = || 0.0_f64.partial_cmp(&limit.fract()).unwrap_or(Ordering::Equal);
            order.then_with(rest)
        }
    }
}

/// The limit as upstream prints it beside an integer or a float.
fn limit(number: &Number, limit: Bound) -> String {
    if number.is_i64() && limit.at.fract() == 0.0 { limit.at.to_string() } else { float(limit.at) }
}
