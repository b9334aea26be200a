//! Exact decimal values of JSON numbers, and the limits of Postgres's `numeric` as `jsonb` applies them.
//!
//! Exponents are never expanded: the work is linear in the number's text. Must not know about anything but numbers.

/// Digits `numeric` keeps before the decimal point: 10^131071 is the highest power of ten it holds.
pub(super) const POWER_MAX: i64 = 131_071;
/// Digits `numeric` keeps after the decimal point, written zeros included (`1.0` has a scale of 1).
const SCALE_MAX: i64 = 16_383;
/// Exponents from here on are refused by `numeric_in` before it looks at the mantissa, even for a zero.
const EXPONENT_END: i64 = 1_073_741_823;

/// A number as (-1)^negative × `whole``fraction` × 10^`exponent`, the digits read as one integer without zeros at either
/// end. Zero has no digits, exponent 0 and no sign: values are equal exactly if these parts are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Exact<'a> {
    pub(super) negative: bool,
    whole: &'a str,
    fraction: &'a str,
    pub(super) exponent: i64,
}

/// A number's text cut at its point and exponent, nothing removed.
struct Written<'a> {
    negative: bool,
    whole: &'a str,
    fraction: &'a str,
    exponent: i64,
}

impl<'a> Written<'a> {
    /// `None` if the exponent is outside what `numeric` reads. The text must match the grammar of RFC 8259 §6.
    fn read(text: &'a str) -> Option<Self> {
        let (negative, unsigned) = text
            .strip_prefix('-')
            .map_or((false, text), |rest| (true, rest));
        // One letter at a time, which takes a search of its own for each, and a much faster one.
        let (mantissa, exponent) = unsigned
            .split_once('e')
            .or_else(|| unsigned.split_once('E'))
            .unwrap_or((unsigned, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let exponent = exponent_read(exponent)?;
        Some(Self {
            negative,
            whole,
            fraction,
            exponent,
        })
    }
}

/// Reads an exponent with any number of leading zeros; `None` where its size is [`EXPONENT_END`] or more.
fn exponent_read(text: &str) -> Option<i64> {
    let negative = text.starts_with('-');
    let digits = text.trim_start_matches(['+', '-']).trim_start_matches('0');
    let size: i64 = if digits.is_empty() {
        0
    } else {
        digits.parse().ok()?
    };
    if size >= EXPONENT_END {
        return None;
    }
    Some(if negative { -size } else { size })
}

/// A length as a signed number; texts are far shorter than the type's range.
fn length(text: &str) -> i64 {
    i64::try_from(text.len()).unwrap_or(i64::MAX)
}

impl<'a> Exact<'a> {
    /// The value of a number's text, which must match RFC 8259 §6; `None` if its exponent is beyond `numeric`.
    pub(super) fn read(text: &'a str) -> Option<Self> {
        let written = Written::read(text)?;
        let mut whole = written.whole.trim_start_matches('0');
        let mut fraction = written.fraction.trim_end_matches('0');
        let mut exponent = written.exponent.saturating_sub(length(fraction));
        if whole.is_empty() {
            fraction = fraction.trim_start_matches('0');
        }
        if fraction.is_empty() {
            let trimmed = whole.trim_end_matches('0');
            exponent = exponent.saturating_add(length(whole).saturating_sub(length(trimmed)));
            whole = trimmed;
        }
        if whole.is_empty() && fraction.is_empty() {
            return Some(Self {
                negative: false,
                whole,
                fraction,
                exponent: 0,
            });
        }
        Some(Self {
            negative: written.negative,
            whole,
            fraction,
            exponent,
        })
    }

    /// How many digits it has; none if it is zero.
    pub(super) fn digits(&self) -> i64 {
        length(self.whole).saturating_add(length(self.fraction))
    }

    /// The digits as ASCII, the highest first, in two parts.
    pub(super) fn parts(&self) -> [&'a [u8]; 2] {
        [self.whole.as_bytes(), self.fraction.as_bytes()]
    }

    /// Whether both are the same number.
    pub(super) fn equals(&self, other: &Exact<'_>) -> bool {
        let parts = |n: &Exact<'_>| (n.negative, n.exponent, n.digits());
        parts(self) == parts(other)
            && self
                .whole
                .bytes()
                .chain(self.fraction.bytes())
                .eq(other.whole.bytes().chain(other.fraction.bytes()))
    }

    /// The value, if it is an integer that fits.
    pub(super) fn integer(&self) -> Option<i64> {
        if self.digits() == 0 {
            return Some(0);
        }
        let zeros = u32::try_from(self.exponent).ok()?;
        if self.digits().saturating_add(self.exponent) > 19 {
            return None;
        }
        let size: i128 = format!("{}{}", self.whole, self.fraction).parse().ok()?;
        let size = size.checked_mul(10_i128.checked_pow(zeros)?)?;
        i64::try_from(if self.negative { -size } else { size }).ok()
    }

    /// Writes the one spelling all equal numbers share: `0`, or `-`, the digits, and `e` with the exponent.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        if self.digits() == 0 {
            out.push(b'0');
            return;
        }
        if self.negative {
            out.push(b'-');
        }
        out.extend_from_slice(self.whole.as_bytes());
        out.extend_from_slice(self.fraction.as_bytes());
        out.push(b'e');
        out.extend_from_slice(self.exponent.to_string().as_bytes());
    }
}

/// Digits after the decimal point as written, zeros included, the exponent applied: 2 for `1.50`, 0 for `15e1`. `None` as
/// for [`Exact::read`].
pub(super) fn scale(text: &str) -> Option<i64> {
    let written = Written::read(text)?;
    Some(
        length(written.fraction)
            .saturating_sub(written.exponent)
            .max(0),
    )
}

/// What of `numeric`'s limits a number breaks, as the end of a sentence; `None` if `jsonb` takes it.
///
/// The rule is Postgres's own (`numeric_in`, unchanged since version 9.5; compared with 15 on random extreme numbers):
/// - the exponent as written is within ±1073741822, also where the mantissa is zero;
/// - digits after the point, as written and zeros included, less the exponent, are at most 16383 (`1.0e-16383` is over);
/// - unless the value is zero, it is below 10^131072.
///
/// How many digits are written does not matter by itself: 20000 zeros after the point and `e20000` are fine.
pub(super) fn limit_broken(text: &str) -> Option<&'static str> {
    let (Some(written), Some(exact)) = (Written::read(text), Exact::read(text)) else {
        return Some("its exponent must be between -1073741822 and 1073741822");
    };
    if length(written.fraction).saturating_sub(written.exponent) > SCALE_MAX {
        return Some(
            "it may have at most 16383 digits after the decimal point (zeros count), its exponent applied",
        );
    }
    let power = exact
        .exponent
        .saturating_add(exact.digits())
        .saturating_sub(1);
    if exact.digits() > 0 && power > POWER_MAX {
        return Some("its size must be below 1e131072");
    }
    None
}
