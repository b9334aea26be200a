//! JSON Pointers in URI fragment form, as problem documents show them.

/// Appends one reference token to a pointer: `/`, the name with `~` and `/` escaped (RFC 6901 §3), and whatever a URI
/// fragment cannot hold percent-encoded as UTF-8 (RFC 3986 §3.5).
pub fn push_pointer_segment(pointer: &mut String, name: &str) {
    pointer.push('/');
    for byte in name.bytes() {
        match byte {
            b'~' => pointer.push_str("~0"),
            b'/' => pointer.push_str("~1"),
            _ if fragment_holds(byte) => pointer.push(char::from(byte)),
            _ => {
                pointer.push('%');
                pointer.push(hex_digit(byte >> 4));
                pointer.push(hex_digit(byte & 0xf));
            }
        }
    }
}

/// `pchar` and `?` of RFC 3986, without the percent sign.
fn fragment_holds(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@?".contains(&byte)
}

fn hex_digit(nibble: u8) -> char {
    char::from_digit(u32::from(nibble), 16)
        .unwrap_or('0')
        .to_ascii_uppercase()
}
