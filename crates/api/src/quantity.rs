//! Amounts of resources, `resource.Quantity`: a decimal number and a suffix, such as `500m`, `1.5Gi` or `2e3`.
//!
//! A quantity is a whole number of nanos of something. What is finer is rounded up: who wants something gets something.

mod parse;

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// The finest exponent of ten that a quantity has.
const NANO: i32 = -9;
/// The suffixes of powers of ten, by exponent.
const DECIMAL: [(i32, &str); 10] =
    [(-9, "n"), (-6, "u"), (-3, "m"), (0, ""), (3, "k"), (6, "M"), (9, "G"), (12, "T"), (15, "P"), (18, "E")];
/// The suffixes of powers of 1024, from the first.
const BINARY: [&str; 6] = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

/// An amount, exact to the billionth. Two are equal when they mean the same, however they are written.
#[derive(Clone, Copy, Debug)]
pub struct Quantity {
    /// The digits: the amount is `mantissa` times ten to the power of `exponent`, without zeros at the end.
    mantissa: i128,
    exponent: i32,
    form: Form,
}

/// How a quantity is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// `m`, `k`, `M`, …
    Decimal,
    /// `Ki`, `Mi`, …
    Binary,
    /// `e3`
    Exponent,
}

/// Why a text is no quantity, in upstream's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// It is not of the form.
    #[error("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")]
    Form,
    /// The number before the suffix is none, or has more digits than anybody needs.
    #[error("unable to parse numeric part of quantity")]
    Number,
    /// The suffix is unknown.
    #[error("unable to parse quantity's suffix")]
    Suffix,
}

impl Quantity {
    /// Nothing.
    pub const ZERO: Self = Self { mantissa: 0, exponent: 0, form: Form::Decimal };

    fn new(mantissa: i128, exponent: i32, form: Form) -> Self {
        let (mut mantissa, mut exponent) = (mantissa, exponent);
        if mantissa == 0 {
            return Self { mantissa, exponent: 0, form };
        }
        while mantissa % 10 == 0 {
            mantissa /= 10;
            exponent = exponent.saturating_add(1);
        }
        Self { mantissa, exponent, form }
    }

    /// Whether it is nothing.
    pub fn is_zero(&self) -> bool {
        self.mantissa == 0
    }

    /// Whether it is less than nothing.
    pub fn is_negative(&self) -> bool {
        self.mantissa < 0
    }

    /// Whether it is a whole number.
    pub fn is_whole(&self) -> bool {
        self.exponent >= 0
    }

    /// The amount as a floating-point number, as near as one comes.
    pub fn to_f64(self) -> f64 {
        self.mantissa as f64 * 10_f64.powi(self.exponent)
    }

    /// The quantity in whole thousandths, rounded away from zero: what lists of resources hold.
    #[must_use]
    pub fn rounded_to_milli(self) -> Self {
        self.rounded(-3)
    }

    fn rounded(self, finest: i32) -> Self {
        if self.exponent >= finest {
            return self;
        }
        let digits = finest.saturating_sub(self.exponent).unsigned_abs();
        let (quotient, rest) = match 10_i128.checked_pow(digits) {
            Some(power) => (self.mantissa / power, self.mantissa % power),
            None => (0, self.mantissa),
        };
        Self::new(if rest == 0 { quotient } else { quotient + self.mantissa.signum() }, finest, self.form)
    }

    /// The sum, in the form of this one; `None` when it has more digits than fit.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        let exponent = self.exponent.min(other.exponent);
        let sum = self.scaled(exponent)?.checked_add(other.scaled(exponent)?)?;
        Some(Self::new(sum, exponent, if self.is_zero() { other.form } else { self.form }))
    }

    /// The difference, in the form of this one; `None` when it has more digits than fit.
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.checked_add(Self { mantissa: -other.mantissa, ..other })
    }

    /// The mantissa that stands for the same amount with the lesser `exponent`.
    fn scaled(self, exponent: i32) -> Option<i128> {
        if self.mantissa == 0 {
            return Some(0);
        }
        let digits = self.exponent.checked_sub(exponent)?.unsigned_abs();
        self.mantissa.checked_mul(10_i128.checked_pow(digits)?)
    }

    /// The amount as a whole number that `Ki` and its like can be written with.
    fn as_binary(self) -> Option<i128> {
        let whole = self.scaled(0).filter(|_| self.is_whole() && self.form == Form::Binary)?;
        (whole.abs() >= 1024).then_some(whole)
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
        let signs = self.mantissa.signum().cmp(&other.mantissa.signum());
        if signs != Ordering::Equal || self.mantissa == 0 {
            return signs;
        }
        let exponent = self.exponent.min(other.exponent);
        match (self.scaled(exponent), other.scaled(exponent)) {
            (Some(one), Some(two)) => one.cmp(&two),
            // The one that does not fit has the larger exponent, and more digits than the other can have.
            (None, _) => self.mantissa.signum().cmp(&0),
            (_, None) => 0.cmp(&other.mantissa.signum()),
        }
    }
}

/// The one way to write the amount in its form: the largest suffix that leaves a whole number.
impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_zero() {
            return f.write_str("0");
        }
        if let Some(mut whole) = self.as_binary() {
            let mut power = 0;
            while power < BINARY.len() && whole % 1024 == 0 {
                whole /= 1024;
                power += 1;
            }
            return write!(f, "{whole}{}", power.checked_sub(1).map_or("", |power| BINARY[power]));
        }
        let mut exponent = self.exponent - self.exponent.rem_euclid(3);
        if self.form != Form::Exponent {
            exponent = exponent.min(18);
        }
        let zeros = usize::try_from(self.exponent - exponent).unwrap_or_default();
        write!(f, "{}{}", self.mantissa, "0".repeat(zeros.min(64)))?;
        match DECIMAL.iter().find(|(known, _)| *known == exponent && self.form != Form::Exponent) {
            Some((_, suffix)) => f.write_str(suffix),
            None if exponent == 0 => Ok(()),
            None => write!(f, "e{exponent}"),
        }
    }
}

impl FromStr for Quantity {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        parse::parse(text)
    }
}

#[cfg(test)]
mod tests;
