//! The parser: recursive descent over bytes, one level of recursion for one level of nesting, so at most
//! [`JSON_DEPTH_MAX`] (and a few for the envelope of an operation). It stops at the first fault and names it.

use super::{JSON_DEPTH_MAX, Json, JsonFault, Kind, number, pointer::push_pointer_segment};
use std::borrow::Cow;
use std::collections::HashSet;

/// Bytes after which a pointer stops at the ancestor reached: names have no limit of their own.
const POINTER_BYTES_MAX: usize = 8 * 1024;
/// Members up to which a look through all of them finds duplicates faster than a hash set does.
const MEMBERS_SCANNED_MAX: usize = 16;

/// Reads one JSON value that takes up all of `bytes`.
///
/// # Errors
/// The first of: a byte order mark, anything but JSON in UTF-8 (RFC 8259), a member name used twice in an object (compared
/// after unescaping), `\u0000`, half a surrogate pair, a number that `jsonb` refuses, more than [`JSON_DEPTH_MAX`] levels.
pub fn parse(bytes: &[u8]) -> Result<Json<'_>, JsonFault> {
    Parser::new(bytes, Depth::FromRoot).document()
}

/// Reads an operation document: as [`parse`], but each value at `/changes/N/body` counts its levels by itself, since it
/// is stored by itself. The document around them has the same limit.
///
/// # Errors
/// As [`parse`]; pointers start at the document's root.
pub fn parse_operation(bytes: &[u8]) -> Result<Json<'_>, JsonFault> {
    Parser::new(bytes, Depth::BodiesApart).document()
}

/// Where the count of levels starts.
#[derive(Clone, Copy, PartialEq)]
enum Depth {
    FromRoot,
    BodiesApart,
}

enum Step<'a> {
    Index(usize),
    Name(Cow<'a, str>),
}

struct Parser<'a> {
    /// The input, up to its first byte that is not UTF-8.
    text: &'a str,
    /// Whether the input goes on after `text`, with that byte.
    broken_utf8: bool,
    /// Whether the input starts with a byte order mark.
    marked: bool,
    at: usize,
    path: Vec<Step<'a>>,
    depth: Depth,
}

type Parsed<T> = Result<T, JsonFault>;

impl<'a> Parser<'a> {
    fn new(bytes: &'a [u8], depth: Depth) -> Self {
        let valid = match std::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default(),
        };
        let broken_utf8 = valid.len() < bytes.len();
        let marked = bytes.starts_with(b"\xEF\xBB\xBF");
        Self {
            text: valid,
            broken_utf8,
            marked,
            at: 0,
            path: Vec::new(),
            depth,
        }
    }

    fn document(mut self) -> Parsed<Json<'a>> {
        if self.marked {
            return Err(self.fault(0, "a byte order mark; send UTF-8 without one"));
        }
        self.space();
        if self.text.len() == self.at && !self.broken_utf8 {
            return Err(self.fault(self.at, "there is no JSON value; send one"));
        }
        let json = self.value(0)?;
        self.space();
        if self.at < self.text.len() || self.broken_utf8 {
            return Err(self.unexpected("the end; send one JSON value and nothing after it"));
        }
        Ok(json)
    }

    fn fault(&self, at: usize, detail: &str) -> JsonFault {
        let mut pointer = String::from("#");
        for step in &self.path {
            let start = pointer.len();
            match step {
                Step::Index(index) => push_pointer_segment(&mut pointer, &index.to_string()),
                Step::Name(name) if name.len() > POINTER_BYTES_MAX => break,
                Step::Name(name) => push_pointer_segment(&mut pointer, name),
            }
            if pointer.len() > POINTER_BYTES_MAX {
                pointer.truncate(start);
                break;
            }
        }
        JsonFault {
            pointer,
            detail: format!("At byte {at}: {detail}."),
        }
    }

    /// The fault of finding something else than `expected` here.
    fn unexpected(&self, expected: &str) -> JsonFault {
        let found = match self.text[self.at..].chars().next() {
            Some(found) => format!("found {found:?}"),
            None if self.broken_utf8 => {
                return self.fault(self.at, "a byte that is not UTF-8; send JSON in UTF-8");
            }
            None => "the content ends".to_owned(),
        };
        self.fault(self.at, &format!("{found} instead of {expected}"))
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Steps over `byte` if it is next.
    fn take(&mut self, byte: u8) -> bool {
        let next = self.peek() == Some(byte);
        self.at += usize::from(next);
        next
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// `level` is how many arrays and objects that count are around the value.
    fn value(&mut self, level: usize) -> Parsed<Json<'a>> {
        let level = if self.at_body() { 0 } else { level };
        let start = self.at;
        let kind = match self.peek() {
            Some(b'{') => self.object(self.deeper(level)?)?,
            Some(b'[') => self.array(self.deeper(level)?)?,
            Some(b'"') => Kind::String(self.string()?),
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(b't') => self.literal("true", Kind::Bool(true))?,
            Some(b'f') => self.literal("false", Kind::Bool(false))?,
            Some(b'n') => self.literal("null", Kind::Null)?,
            _ => return Err(self.unexpected("a JSON value")),
        };
        Ok(Json {
            kind,
            text: &self.text[start..self.at],
        })
    }

    fn at_body(&self) -> bool {
        self.depth == Depth::BodiesApart
            && matches!(self.path.as_slice(), [Step::Name(a), Step::Index(_), Step::Name(b)] if a == "changes" && b == "body")
    }

    fn deeper(&self, level: usize) -> Parsed<usize> {
        if level >= JSON_DEPTH_MAX {
            let detail = format!(
                "arrays and objects nest deeper than {JSON_DEPTH_MAX} levels; send a flatter document"
            );
            return Err(self.fault(self.at, &detail));
        }
        Ok(level + 1)
    }

    fn literal(&mut self, literal: &str, kind: Kind<'a>) -> Parsed<Kind<'a>> {
        for byte in literal.bytes() {
            if !self.take(byte) {
                return Err(self.unexpected(&format!("`{literal}`")));
            }
        }
        Ok(kind)
    }

    fn array(&mut self, level: usize) -> Parsed<Kind<'a>> {
        self.at += 1;
        self.space();
        let mut elements = Vec::new();
        if self.take(b']') {
            return Ok(Kind::Array(elements));
        }
        loop {
            self.path.push(Step::Index(elements.len()));
            self.space();
            elements.push(self.value(level)?);
            self.path.pop();
            self.space();
            if self.take(b']') {
                return Ok(Kind::Array(elements));
            }
            if !self.take(b',') {
                return Err(self.unexpected("`,` or `]`"));
            }
        }
    }

    fn object(&mut self, level: usize) -> Parsed<Kind<'a>> {
        self.at += 1;
        self.space();
        let mut members: Vec<(Cow<'a, str>, Json<'a>)> = Vec::new();
        let mut names = HashSet::new();
        if self.take(b'}') {
            return Ok(Kind::Object(members));
        }
        loop {
            self.space();
            let start = self.at;
            if self.peek() != Some(b'"') {
                return Err(self.unexpected("a member name in double quotes"));
            }
            let name = self.string()?;
            let used = name_used(name.clone(), &members, &mut names);
            self.path.push(Step::Name(name.clone()));
            if used {
                return Err(self.fault(
                    start,
                    "the object has a member of this name already; send each name once",
                ));
            }
            self.space();
            if !self.take(b':') {
                return Err(self.unexpected("`:`"));
            }
            self.space();
            let value = self.value(level)?;
            self.path.pop();
            members.push((name, value));
            self.space();
            if self.take(b'}') {
                return Ok(Kind::Object(members));
            }
            if !self.take(b',') {
                return Err(self.unexpected("`,` or `}`"));
            }
        }
    }

    fn digits(&mut self) -> Parsed<()> {
        if !matches!(self.peek(), Some(b'0'..=b'9')) {
            return Err(self.unexpected("a digit"));
        }
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        Ok(())
    }

    fn number(&mut self) -> Parsed<Kind<'a>> {
        let start = self.at;
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        } else if matches!(self.peek(), Some(b'0'..=b'9')) {
            return Err(self.fault(
                start,
                "a number starts with a zero that means nothing; send it without",
            ));
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if self.take(b'e') || self.take(b'E') {
            if !self.take(b'+') {
                self.take(b'-');
            }
            self.digits()?;
        }
        match number::limit_broken(&self.text[start..self.at]) {
            Some(limit) => Err(self.fault(
                start,
                &format!("a number that the database cannot hold: {limit}"),
            )),
            None => Ok(Kind::Number),
        }
    }

    /// Reads a string from its opening quote on; borrows it where nothing is escaped.
    fn string(&mut self) -> Parsed<Cow<'a, str>> {
        self.at += 1;
        let mut unescaped: Option<String> = None;
        loop {
            let start = self.at;
            while matches!(self.peek(), Some(byte) if byte >= 0x20 && byte != b'"' && byte != b'\\')
            {
                self.at += 1;
            }
            let plain = &self.text[start..self.at];
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(match unescaped {
                        None => Cow::Borrowed(plain),
                        Some(head) => Cow::Owned(head + plain),
                    });
                }
                Some(b'\\') => {
                    let escaped = self.escape()?;
                    let string = unescaped.get_or_insert_default();
                    string.push_str(plain);
                    string.push(escaped);
                }
                Some(_) => {
                    return Err(self.unexpected(
                        "an escape: control characters in strings are sent as `\\u00XX`",
                    ));
                }
                None => return Err(self.unexpected("the string's closing `\"`")),
            }
        }
    }

    fn escape(&mut self) -> Parsed<char> {
        let start = self.at;
        self.at += 1;
        let plain = match self.peek() {
            Some(byte @ (b'"' | b'\\' | b'/')) => char::from(byte),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode_escape(start),
            _ => return Err(self.unexpected("one of `\"\\/bfnrtu` after a backslash")),
        };
        self.at += 1;
        Ok(plain)
    }

    /// Stands on the `u`; `start` is where the escape's backslash is.
    fn unicode_escape(&mut self, start: usize) -> Parsed<char> {
        const HALF: &str =
            "half of a surrogate pair; send both halves in order, or the character itself";
        self.at += 1;
        let first = self.hex4()?;
        if first == 0 {
            return Err(self.fault(
                start,
                "`\\u0000`, which the database cannot hold; send the string without it",
            ));
        }
        if !(0xd800..0xe000).contains(&first) {
            return char::from_u32(first).ok_or_else(|| self.fault(start, HALF));
        }
        if first >= 0xdc00 || !self.text[self.at..].starts_with("\\u") {
            return Err(self.fault(start, HALF));
        }
        self.at += 2;
        let second = self.hex4()?;
        if !(0xdc00..0xe000).contains(&second) {
            return Err(self.fault(start, HALF));
        }
        let scalar = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
        char::from_u32(scalar).ok_or_else(|| self.fault(start, HALF))
    }

    fn hex4(&mut self) -> Parsed<u32> {
        let mut scalar = 0;
        for _ in 0..4 {
            let Some(digit) = self.peek().and_then(|byte| char::from(byte).to_digit(16)) else {
                return Err(self.unexpected("four hexadecimal digits after `\\u`"));
            };
            scalar = scalar * 16 + digit;
            self.at += 1;
        }
        Ok(scalar)
    }
}

/// Whether `members` has the name; remembers it for objects too large to look through each time.
fn name_used<'a>(
    name: Cow<'a, str>,
    members: &[(Cow<'a, str>, Json<'a>)],
    names: &mut HashSet<Cow<'a, str>>,
) -> bool {
    if members.len() < MEMBERS_SCANNED_MAX {
        return members.iter().any(|(member, _)| *member == name);
    }
    if names.is_empty() {
        names.extend(members.iter().map(|(member, _)| member.clone()));
    }
    !names.insert(name)
}
