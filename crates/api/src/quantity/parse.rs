//! Text to quantity: a sign, digits with at most one point, a suffix.

use super::{BINARY, DECIMAL, Form, NANO, Quantity, QuantityError};

/// The most digits of a number, and the largest power of ten: far above what anybody counts, and what fits 128 bits.
const MOST_DIGITS: usize = 36;
const MOST_EXPONENT: i32 = 36;
/// The most that the binary forms hold; more is taken for this.
const MOST_BINARY: i128 = i64::MAX as i128;

pub(super) fn parse(text: &str) -> Result<Quantity, QuantityError> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let end = unsigned.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(unsigned.len());
    let (number, suffix) = unsigned.split_at(end);
    if number.is_empty() || !is_suffix(suffix) {
        return Err(QuantityError::Form);
    }
    let (form, power) = read_suffix(suffix)?;
    let (digits, exponent) = read_number(number)?;
    let digits = if text.starts_with('-') { -digits } else { digits };
    match form {
        Form::Binary => binary(digits, exponent, power),
        form => Ok(Quantity::new(digits, exponent.saturating_add(power), form).rounded(NANO)),
    }
}

/// Whether `suffix` is letters, a sign and digits, each of which may be missing.
fn is_suffix(suffix: &str) -> bool {
    let rest = suffix.trim_start_matches(|c| "eEinumkKMGTP".contains(c));
    let rest = rest.strip_prefix(['+', '-']).unwrap_or(rest);
    rest.bytes().all(|byte| byte.is_ascii_digit())
}

/// The form, and the power of ten, or of two for the binary form.
fn read_suffix(suffix: &str) -> Result<(Form, i32), QuantityError> {
    if let Some((exponent, _)) = DECIMAL.iter().find(|(_, known)| *known == suffix) {
        return Ok((Form::Decimal, *exponent));
    }
    if let Some(index) = BINARY.iter().position(|known| *known == suffix) {
        return Ok((Form::Binary, (i32::try_from(index).unwrap_or_default() + 1) * 10));
    }
    let exponent = suffix.strip_prefix(['e', 'E']).and_then(|digits| digits.parse::<i32>().ok());
    let exponent = exponent.filter(|exponent| exponent.abs() <= MOST_EXPONENT);
    exponent.map(|exponent| (Form::Exponent, exponent)).ok_or(QuantityError::Suffix)
}

/// The digits of a number with at most one point, and the power of ten of the last one.
fn read_number(number: &str) -> Result<(i128, i32), QuantityError> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if fraction.contains('.') || whole.len() + fraction.len() == 0 {
        return Err(QuantityError::Number);
    }
    let digits = [whole.trim_start_matches('0'), fraction.trim_end_matches('0')];
    if digits[0].len() + digits[1].len() > MOST_DIGITS {
        return Err(QuantityError::Number);
    }
    let all = digits.concat();
    let mantissa = if all.is_empty() { 0 } else { all.parse().map_err(|_| QuantityError::Number)? };
    Ok((mantissa, -i32::try_from(digits[1].len()).unwrap_or_default()))
}

/// The amount of `digits`, times ten to the power of `exponent`, which is not positive, times two to `power`.
fn binary(digits: i128, exponent: i32, power: i32) -> Result<Quantity, QuantityError> {
    let times = 1_i128 << power;
    let (amount, exponent) = match digits.checked_mul(times) {
        Some(amount) => (amount, exponent),
        // With a fraction of that many digits the last ones are below a billionth of a unit.
        None if exponent < -18 => ((digits / 10_i128.pow(18)).saturating_mul(times), exponent + 18),
        None => (digits.signum() * MOST_BINARY, 0),
    };
    let quantity = Quantity::new(amount, exponent, Form::Binary).rounded(NANO);
    let most = Quantity::new(MOST_BINARY * amount.signum(), 0, Form::Binary);
    let is_beyond = if amount < 0 { quantity < most } else { quantity > most };
    Ok(if is_beyond { most } else { quantity })
}
