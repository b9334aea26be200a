//! Exact sums of two JSON numbers, in decimal digits: no conversion, so nothing is rounded, and the work is linear in the
//! digits between the highest and the lowest that either number has. Both are within `numeric`'s limits, so these are
//! 147,456 at most, whatever the exponents.

use super::number::{self, Exact, POWER_MAX};
use std::cmp::Ordering;

/// Bytes of a sum up to which it is always written plainly: every integer of a double fits.
const PLAIN_BYTES_MAX: i64 = 400;

/// The sum of two numbers' texts, which must be within the limits of [`super::parse`]; `None` if it is not.
///
/// It is a plain number with as many digits after the point as the summand that has more (`1.50` and `0.5` give `2.00`).
/// Only where that would be over [`PLAIN_BYTES_MAX`] bytes long may it have an exponent, if that is shorter. Adds the bytes
/// that had to be looked at or made to `cost`.
pub(in crate::protocol) fn sum(a: &str, b: &str, cost: &mut usize) -> Option<String> {
    let scale = number::scale(a)?.max(number::scale(b)?);
    let total = Decimal::sum(&Exact::read(a)?, &Exact::read(b)?)?;
    let text = total.write(scale);
    for more in [a.len(), b.len(), total.digits.len(), text.len()] {
        *cost = cost.saturating_add(more);
    }
    (total.power() <= POWER_MAX).then_some(text)
}

/// A number as a row of digits.
struct Decimal {
    negative: bool,
    /// ASCII, the highest first.
    digits: Vec<u8>,
    /// Where its digits begin that count; the length of `digits` for zero.
    first: usize,
    /// The power of ten that the last digit is worth.
    low: i64,
}

impl Decimal {
    /// The sum, in all digits that either number has and one more.
    fn sum(a: &Exact<'_>, b: &Exact<'_>) -> Option<Self> {
        let present = || [a, b].into_iter().filter(|number| number.digits() > 0);
        let low = present().map(|number| number.exponent).min().unwrap_or(0);
        let ends = present().map(|number| number.exponent + number.digits());
        let high = ends.max().unwrap_or(0);
        let width = usize::try_from(high - low + 1).ok()?;
        let (first, second) = (lay_out(a, high, width)?, lay_out(b, high, width)?);
        let (negative, digits) = if a.negative == b.negative {
            (a.negative, add(first, &second))
        } else {
            match first.cmp(&second) {
                Ordering::Less => (b.negative, subtract(second, &first)),
                Ordering::Equal | Ordering::Greater => (a.negative, subtract(first, &second)),
            }
        };
        let first = digits.iter().take_while(|digit| **digit == b'0').count();
        Some(Self {
            negative: negative && first < digits.len(),
            digits,
            first,
            low,
        })
    }

    fn is_zero(&self) -> bool {
        self.first == self.digits.len()
    }

    /// The power of ten that the first digit which counts is worth; 0 for zero.
    fn power(&self) -> i64 {
        if self.is_zero() {
            return 0;
        }
        self.low + signed(self.digits.len() - self.first) - 1
    }

    fn write(&self, scale: i64) -> String {
        let mut text = String::from(if self.negative { "-" } else { "" });
        let highest = self.power().max(0);
        let plain = signed(text.len()) + highest + 1 + i64::from(scale > 0) + scale;
        if plain > PLAIN_BYTES_MAX {
            let short = self.write_with_exponent(text.clone());
            if signed(short.len()) < plain {
                return short;
            }
        }
        self.write_places(highest, 0, &mut text);
        if scale > 0 {
            text.push('.');
            self.write_places(-1, -scale, &mut text);
        }
        text
    }

    /// Appends the digits worth 10^`from` down to 10^`to`.
    fn write_places(&self, from: i64, to: i64, text: &mut String) {
        let high = self.low + signed(self.digits.len()) - 1;
        let (upper, lower) = (from.min(high), to.max(self.low));
        if upper < lower {
            return zeros(from - to + 1, text);
        }
        zeros(from - upper, text);
        let place = |power: i64| usize::try_from(high - power).unwrap_or(usize::MAX);
        let digits = self.digits.get(place(upper)..=place(lower));
        text.push_str(
            digits
                .and_then(|d| std::str::from_utf8(d).ok())
                .unwrap_or_default(),
        );
        zeros(lower - to, text);
    }

    /// The digits that count, without zeros at the end, and an exponent.
    fn write_with_exponent(&self, sign: String) -> String {
        if self.is_zero() {
            return "0".to_owned();
        }
        let digits = std::str::from_utf8(&self.digits[self.first..]).unwrap_or_default();
        let short = digits.trim_end_matches('0');
        let exponent = self.low + signed(digits.len() - short.len());
        let mut text = sign + short;
        if exponent != 0 {
            text.push('e');
            text.push_str(&exponent.to_string());
        }
        text
    }
}

/// The number's digits in `width` places, the second of which is worth 10^(`high` - 1).
fn lay_out(number: &Exact<'_>, high: i64, width: usize) -> Option<Vec<u8>> {
    let mut places = vec![b'0'; width];
    if number.digits() > 0 {
        let mut at = usize::try_from(high + 1 - number.exponent - number.digits()).ok()?;
        for part in number.parts() {
            places.get_mut(at..at + part.len())?.copy_from_slice(part);
            at += part.len();
        }
    }
    Some(places)
}

/// Of two numbers laid out alike, the first place of both being 0.
fn add(mut a: Vec<u8>, b: &[u8]) -> Vec<u8> {
    let mut carry = 0;
    for (place, other) in a.iter_mut().zip(b).rev() {
        let digit = *place + (*other - b'0') + carry;
        carry = u8::from(digit > b'9');
        *place = digit - 10 * carry;
    }
    a
}

/// Of two numbers laid out alike, the first being no less than the second.
fn subtract(mut a: Vec<u8>, b: &[u8]) -> Vec<u8> {
    let mut borrowed = 0;
    for (place, other) in a.iter_mut().zip(b).rev() {
        let taken = *other - b'0' + borrowed;
        borrowed = u8::from(*place < b'0' + taken);
        *place = *place + 10 * borrowed - taken;
    }
    a
}

fn zeros(count: i64, text: &mut String) {
    text.extend(std::iter::repeat_n(
        '0',
        usize::try_from(count).unwrap_or(0),
    ));
}

/// A length as a signed number; digits are far fewer than the type's range.
fn signed(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use num_bigint::BigInt;
    use proptest::prelude::*;

    #[track_caller]
    fn check(a: &str, b: &str, expected: &str) {
        for (a, b) in [(a, b), (b, a)] {
            assert_eq!(sum(a, b, &mut 0).as_deref(), Some(expected), "{a} {b}");
        }
    }

    #[test]
    fn sums_are_exact_and_keep_the_larger_scale() {
        for (a, b, expected) in [
            ("0.1", "0.2", "0.3"),
            ("1.50", "0.25", "1.75"),
            ("1.5", "0.5", "2.0"),
            ("1.50", "0.5", "2.00"),
            ("1e2", "1", "101"),
            ("1E+2", "-1", "99"),
            ("15e-1", "0.05", "1.55"),
            ("-0", "0", "0"),
            ("-0.0", "-0", "0.0"),
            ("-1", "1", "0"),
            ("-1.00", "1", "0.00"),
            ("5", "-7", "-2"),
            ("-5", "-7", "-12"),
            ("999", "1", "1000"),
            ("1000", "-1", "999"),
            ("0.999", "0.001", "1.000"),
            ("-0.3", "0.1", "-0.2"),
            ("1e-5", "0", "0.00001"),
            ("1.20e2", "0", "120"),
            ("0e400", "0e-3", "0.000"),
            ("9007199254740993", "1", "9007199254740994"),
            (
                "123456789012345678901234567890.01",
                "0.01",
                "123456789012345678901234567890.02",
            ),
        ] {
            check(a, b, expected);
        }
    }

    #[test]
    fn extreme_sums_are_short_where_they_can_be_and_refused_past_the_limit() {
        let zeros = "0".repeat(399);
        check("1e399", "0", &format!("1{zeros}"));
        check("1e400", "0", "1e400");
        check("-1e399", "0", "-1e399");
        check("1e131071", "0", "1e131071");
        check("25e131069", "25e131069", "5e131070");
        check("1e-16383", "0", "1e-16383");
        check("-25e-16383", "0", "-25e-16383");
        check("1e131071", "-1e131071", "0");
        check("1e-16383", "-1e-16383", "0");
        let widest = sum("1e131071", "1e-16383", &mut 0).unwrap();
        assert_eq!(widest.len(), 131_072 + 1 + 16_383);
        assert_eq!(sum("9e131071", "1e131071", &mut 0), None);
        assert_eq!(sum("-9e131071", "-1e131071", &mut 0), None);
        let mut cost = 0;
        let _ = sum("1e131071", "1e-16383", &mut cost);
        assert!((2 * 147_455..300_000).contains(&cost), "{cost}");
        let mut cost = 0;
        let _ = sum("1e131071", "1e131071", &mut cost);
        assert!(cost < 100, "{cost}");
    }

    /// A number as an integer × 10^-shift.
    fn scaled(text: &str, shift: i64) -> BigInt {
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let exponent: i64 = exponent.parse().unwrap();
        let zeros = shift + exponent - i64::try_from(fraction.len()).unwrap();
        let digits: BigInt = format!("{whole}{fraction}").parse().unwrap();
        let (digits, zeros) = match u32::try_from(zeros) {
            Ok(zeros) => (digits, zeros),
            Err(_) => {
                let power = BigInt::from(10).pow(u32::try_from(-zeros).unwrap());
                assert_eq!(&digits % &power, BigInt::ZERO);
                (digits / power, 0)
            }
        };
        digits * BigInt::from(10).pow(zeros)
    }

    proptest! {
        #[test]
        fn sums_are_those_of_big_integers(
            a in r"-?(0|[1-9][0-9]{0,40})(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,2})?",
            b in r"-?(0|[1-9][0-9]{0,40})(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,2})?",
        ) {
            let text = sum(&a, &b, &mut 0).unwrap();
            prop_assert_eq!(number::limit_broken(&text), None);
            let shift = 200;
            prop_assert_eq!(scaled(&text, shift), scaled(&a, shift) + scaled(&b, shift), "{}", text);
            let scale = number::scale(&a).unwrap().max(number::scale(&b).unwrap());
            prop_assert_eq!(number::scale(&text), Some(scale), "{}", text);
            prop_assert!(!text.contains('e'), "{}", text);
            let zero = scaled(&text, shift) == BigInt::ZERO;
            prop_assert!(!(zero && text.starts_with('-')), "{}", text);
        }

        #[test]
        fn sums_of_extreme_numbers_are_exact_and_readable(
            a in r"-?[1-9]{1,3}(\.[0-9]{1,3})?e-?[0-9]{1,4}",
            b in r"-?[1-9]{1,3}(\.[0-9]{1,3})?e-?[0-9]{1,4}",
        ) {
            let text = sum(&a, &b, &mut 0).unwrap();
            prop_assert!(super::super::parse(text.as_bytes()).is_ok(), "{}", text);
            let shift = 10_100;
            prop_assert_eq!(scaled(&text, shift), scaled(&a, shift) + scaled(&b, shift));
        }
    }
}
