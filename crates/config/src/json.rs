//! JSON (RFC 8259), strictly, into a tree that keeps what others lose: the order of members and their duplicates.
//!
//! A parser of our own because each module carries one: serde_json's weighs three times as much.

use crate::document::Value;

/// What is wrong with a text, and where. Never quotes the text: it may hold a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fault {
    what: &'static str,
    at: usize,
}

/// Lists and objects within each other.
const DEEPEST: usize = 128;

/// The value that `text` is.
pub(crate) fn parse(text: &[u8]) -> Result<Value, Fault> {
    let mut parser = Parser { text, at: 0 };
    let value = parser.value(DEEPEST)?;
    parser.blanks();
    if parser.at < text.len() { parser.fault("more than one value") } else { Ok(value) }
}

impl Fault {
    /// `text that ends too early at line 1 column 17`
    pub(crate) fn describe(&self, text: &[u8]) -> String {
        let before = text.get(..self.at).unwrap_or(text);
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
        format!("{} at line {line} column {column}", self.what)
    }
}

struct Parser<'t> {
    text: &'t [u8],
    at: usize,
}

impl Parser<'_> {
    fn fault<T>(&self, what: &'static str) -> Result<T, Fault> {
        Err(Fault { what, at: self.at })
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Whether `byte` is next; if so it is passed.
    fn take(&mut self, byte: u8) -> bool {
        let next = self.peek() == Some(byte);
        self.at += usize::from(next);
        next
    }

    fn value(&mut self, depth: usize) -> Result<Value, Fault> {
        self.blanks();
        match self.peek() {
            None => self.fault("a text that ends too early"),
            Some(b'{' | b'[') if depth == 0 => {
                self.fault("more than 128 lists and objects within each other")
            }
            Some(b'{') => self.object(depth - 1),
            Some(b'[') => self.list(depth - 1),
            Some(b'"') => self.string().map(Value::String),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word(b"true", Value::Bool(true)),
            Some(b'f') => self.word(b"false", Value::Bool(false)),
            Some(b'n') => self.word(b"null", Value::Null),
            Some(_) => self.fault("a character that begins no value"),
        }
    }

    fn word(&mut self, word: &[u8], value: Value) -> Result<Value, Fault> {
        if self.text.get(self.at..).is_some_and(|rest| rest.starts_with(word)) {
            self.at += word.len();
            return Ok(value);
        }
        self.fault("a word that is none of true, false and null")
    }

    fn list(&mut self, depth: usize) -> Result<Value, Fault> {
        let mut list = Vec::new();
        self.at += 1;
        self.blanks();
        if self.take(b']') {
            return Ok(Value::List(list));
        }
        loop {
            list.push(self.value(depth)?);
            self.blanks();
            if self.take(b']') {
                return Ok(Value::List(list));
            }
            self.comma()?;
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value, Fault> {
        let mut members = Vec::new();
        self.at += 1;
        self.blanks();
        if self.take(b'}') {
            return Ok(Value::Object(members));
        }
        loop {
            self.blanks();
            match self.peek() {
                Some(b'"') => {}
                None => return self.fault("a text that ends too early"),
                Some(_) => return self.fault("no key in double quotes"),
            }
            let key = self.string()?;
            self.blanks();
            if !self.take(b':') {
                return self.fault("no colon behind a key");
            }
            members.push((key, self.value(depth)?));
            self.blanks();
            if self.take(b'}') {
                return Ok(Value::Object(members));
            }
            self.comma()?;
        }
    }

    fn comma(&mut self) -> Result<(), Fault> {
        match self.peek() {
            Some(b',') => {
                self.at += 1;
                Ok(())
            }
            None => self.fault("a text that ends too early"),
            Some(_) => self.fault("no comma between values"),
        }
    }

    fn string(&mut self) -> Result<String, Fault> {
        self.at += 1;
        let mut bytes = Vec::new();
        loop {
            let Some(byte) = self.peek() else { return self.fault("a text that ends too early") };
            match byte {
                b'"' => {
                    self.at += 1;
                    return String::from_utf8(bytes).or_else(|_| self.fault("a string that is not UTF-8"));
                }
                b'\\' => {
                    let character = self.escape()?;
                    bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                }
                0..b' ' => return self.fault("a control character in a string"),
                _ => {
                    bytes.push(byte);
                    self.at += 1;
                }
            }
        }
    }

    fn escape(&mut self) -> Result<char, Fault> {
        self.at += 1;
        let character = match self.peek() {
            Some(byte @ (b'"' | b'\\' | b'/')) => char::from(byte),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode(),
            _ => return self.fault("an unknown escape"),
        };
        self.at += 1;
        Ok(character)
    }

    /// `\u0041`, or two of them where UTF-16 needs two.
    fn unicode(&mut self) -> Result<char, Fault> {
        let first = self.code()?;
        let code = match first {
            0xd800..0xdc00 if self.take(b'\\') && self.peek() == Some(b'u') => match self.code()? {
                second @ 0xdc00..0xe000 => 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00),
                _ => first,
            },
            _ => first,
        };
        char::from_u32(code).map_or_else(|| self.fault("half a character"), Ok)
    }

    fn code(&mut self) -> Result<u32, Fault> {
        self.at += 1;
        let mut code = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16));
            let Some(digit) = digit else { return self.fault("an unknown escape") };
            code = code << 4 | digit;
            self.at += 1;
        }
        Ok(code)
    }

    fn number(&mut self) -> Result<Value, Fault> {
        let negative = self.take(b'-');
        let mut number = Decimal::default();
        if !self.take(b'0') {
            self.digits(&mut number)?;
        }
        let mut whole = true;
        if self.take(b'.') {
            whole = false;
            let before = self.at;
            self.digits(&mut number)?;
            number.exponent = number.exponent.saturating_sub_unsigned(self.at - before);
        }
        if self.take(b'e') || self.take(b'E') {
            whole = false;
            let down = self.take(b'-');
            if !down {
                self.take(b'+');
            }
            let mut power = Decimal::default();
            self.digits(&mut power)?;
            let power = isize::try_from(power.mantissa).unwrap_or(isize::MAX / 4).min(isize::MAX / 4);
            number.exponent = number.exponent.saturating_add(if down { -power } else { power });
        }
        let sign = if negative { -1 } else { 1 };
        // No setting is larger; as a double a larger one is not taken for an integer.
        if whole
            && number.exponent == 0
            && let Some(integer) = 0_i64
                .checked_add_unsigned(number.mantissa)
                .filter(|_| !negative)
                .or_else(|| 0_i64.checked_sub_unsigned(number.mantissa).filter(|_| negative))
        {
            return Ok(Value::Integer(integer));
        }
        let float = number.to_float();
        if float.is_finite() {
            Ok(Value::number(sign as f64 * float))
        } else {
            self.fault("a number that is too large")
        }
    }

    /// One digit or more.
    fn digits(&mut self, number: &mut Decimal) -> Result<(), Fault> {
        if !matches!(self.peek(), Some(b'0'..=b'9')) {
            return self.fault("no digit in a number");
        }
        while let Some(byte @ b'0'..=b'9') = self.peek() {
            number.push(byte - b'0');
            self.at += 1;
        }
        Ok(())
    }
}

/// `mantissa` times ten to the power of `exponent`.
#[derive(Debug, Clone, Copy, Default)]
struct Decimal {
    mantissa: u64,
    exponent: isize,
}

impl Decimal {
    /// One digit more; one that has no room in 64 bits counts for its place only.
    fn push(&mut self, digit: u8) {
        match self.mantissa.checked_mul(10).and_then(|more| more.checked_add(digit.into())) {
            // Once digits have been left out, later ones must be too.
            Some(more) if self.exponent == 0 => self.mantissa = more,
            _ => self.exponent = self.exponent.saturating_add(1),
        }
    }

    /// Exact for what people write: up to 15 digits and powers up to 22 (W. D. Clinger, 1990).
    fn to_float(self) -> f64 {
        let power = |exponent: isize| 10_f64.powi(i32::try_from(exponent).unwrap_or(i32::MAX));
        let mantissa = self.mantissa as f64;
        match self.exponent {
            _ if self.mantissa == 0 => 0.0,
            0.. => mantissa * power(self.exponent),
            -300..0 => mantissa / power(-self.exponent),
            // In two steps: ten to such a power is beyond the largest number.
            below => mantissa / power(300) / power(-300 - below),
        }
    }
}

#[cfg(test)]
mod tests;
