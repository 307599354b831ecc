//! The syntax: <https://github.com/google/re2/wiki/Syntax>, less what needs Unicode tables.

use super::RegexError;
use super::set::ByteSet;

/// What an expression says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ast {
    Empty,
    Set(ByteSet),
    Assert(Assert),
    Concat(Vec<Ast>),
    Alternate(Vec<Ast>),
    Repeat {
        of: Box<Ast>,
        least: u32,
        most: Option<u32>,
        lazy: bool,
    },
    /// A group that captures, counted from 1.
    Group(Box<Ast>, usize),
}

/// What must be so between two bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Assert {
    Start,
    End,
    LineStart,
    LineEnd,
    WordBoundary,
    NoWordBoundary,
}

pub(super) struct Parsed {
    pub(super) ast: Ast,
    pub(super) names: Vec<Option<String>>,
}

pub(super) fn parse(text: &str) -> Result<Parsed, RegexError> {
    let mut parser = Parser { rest: text, flags: Flags::default(), names: Vec::new(), depth: 0 };
    let ast = parser.alternation()?;
    if !parser.rest.is_empty() {
        return Err(RegexError::UnopenedGroup);
    }
    Ok(Parsed { ast, names: parser.names })
}

const DEEPEST: usize = 50;
const MOST_TIMES: u32 = 1_000;

#[derive(Debug, Clone, Copy, Default)]
struct Flags {
    /// `i`
    any_case: bool,
    /// `s`: `.` takes a line feed too.
    dot_all: bool,
    /// `m`: `^` and `$` match at lines.
    lines: bool,
    /// `U`: repetitions are lazy, and greedy with `?`.
    swap_greed: bool,
}

struct Parser<'t> {
    rest: &'t str,
    flags: Flags,
    names: Vec<Option<String>>,
    depth: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.rest = self.rest.get(next.len_utf8()..).unwrap_or_default();
        Some(next)
    }

    fn eat(&mut self, text: &str) -> bool {
        let stripped = self.rest.strip_prefix(text);
        self.rest = stripped.unwrap_or(self.rest);
        stripped.is_some()
    }

    fn alternation(&mut self) -> Result<Ast, RegexError> {
        let mut ways = vec![self.concatenation()?];
        while self.eat("|") {
            ways.push(self.concatenation()?);
        }
        Ok(single(ways, Ast::Alternate))
    }

    fn concatenation(&mut self) -> Result<Ast, RegexError> {
        let mut parts = Vec::new();
        while let Some(next) = self.peek() {
            match next {
                '|' | ')' => break,
                '*' | '+' | '?' => return Err(RegexError::Repetition),
                _ => {}
            }
            if self.eat("\\Q") {
                self.quoted(&mut parts)?;
                continue;
            }
            let atom = self.atom()?;
            parts.push(self.repeated(atom)?);
        }
        Ok(if parts.is_empty() { Ast::Empty } else { single(parts, Ast::Concat) })
    }

    /// What follows `\Q`, up to `\E` or the end; a repetition belongs to its last character.
    fn quoted(&mut self, parts: &mut Vec<Ast>) -> Result<(), RegexError> {
        let (quoted, rest) = split_once(self.rest, "\\E").unwrap_or((self.rest, ""));
        self.rest = rest;
        parts.extend(quoted.chars().map(|literal| self.literal(literal)));
        if let Some(last) = parts.pop_if(|_| !quoted.is_empty()) {
            parts.push(self.repeated(last)?);
        }
        Ok(())
    }

    fn repeated(&mut self, atom: Ast) -> Result<Ast, RegexError> {
        let Some((least, most)) = self.repetition()? else { return Ok(atom) };
        let lazy = self.eat("?") != self.flags.swap_greed;
        if self.repetition()?.is_some() {
            return Err(RegexError::Repetition);
        }
        Ok(Ast::Repeat { of: Box::new(atom), least, most, lazy })
    }

    fn repetition(&mut self) -> Result<Option<(u32, Option<u32>)>, RegexError> {
        if self.eat("*") {
            return Ok(Some((0, None)));
        }
        if self.eat("+") {
            return Ok(Some((1, None)));
        }
        if self.eat("?") {
            return Ok(Some((0, Some(1))));
        }
        // A brace that starts no count is a literal, as in RE2.
        let Some((inner, rest)) = self.rest.strip_prefix('{').and_then(|rest| rest.split_once('}')) else {
            return Ok(None);
        };
        let (least, most) = inner.split_once(',').map_or((inner, None), |(least, most)| (least, Some(most)));
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number(least) || !most.is_none_or(|most| most.is_empty() || is_number(most)) {
            return Ok(None);
        }
        self.rest = rest;
        let count =
            |text: &str| text.parse().ok().filter(|count| *count <= MOST_TIMES).ok_or(RegexError::Count);
        let least = count(least)?;
        let most = match most {
            None => Some(least),
            Some("") => None,
            Some(most) => Some(count(most)?),
        };
        if most.is_some_and(|most| most < least) {
            return Err(RegexError::Count);
        }
        Ok(Some((least, most)))
    }

    fn atom(&mut self) -> Result<Ast, RegexError> {
        let lines = self.flags.lines;
        Ok(match self.next() {
            None => Ast::Empty,
            Some('.') if self.flags.dot_all => Ast::Set(ByteSet::default().not()),
            Some('.') => Ast::Set(ByteSet::of(b'\n').not()),
            Some('^') => Ast::Assert(if lines { Assert::LineStart } else { Assert::Start }),
            Some('$') => Ast::Assert(if lines { Assert::LineEnd } else { Assert::End }),
            Some('(') => self.group()?,
            Some('[') => Ast::Set(self.class()?),
            Some('\\') => self.escape()?,
            Some(literal) => self.literal(literal),
        })
    }

    /// A character as the bytes of its UTF-8 form.
    fn literal(&self, literal: char) -> Ast {
        let mut buffer = [0; 4];
        let bytes = literal.encode_utf8(&mut buffer).bytes();
        single(bytes.map(|byte| Ast::Set(self.cased(ByteSet::of(byte)))).collect(), Ast::Concat)
    }

    fn cased(&self, set: ByteSet) -> ByteSet {
        if self.flags.any_case { set.any_case() } else { set }
    }

    fn group(&mut self) -> Result<Ast, RegexError> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(RegexError::Nesting);
        }
        let outer = self.flags;
        let mut number = None;
        if self.eat("?P<") || self.eat("?<") {
            let (name, rest) = self.rest.split_once('>').ok_or(RegexError::Name)?;
            self.rest = rest;
            number = Some(self.open(Some(name))?);
        } else if self.eat("?") {
            if !self.set_flags()? {
                // `(?i)`: for what follows in the group around it.
                self.depth -= 1;
                return Ok(Ast::Empty);
            }
        } else {
            number = Some(self.open(None)?);
        }
        let inner = self.alternation()?;
        if !self.eat(")") {
            return Err(RegexError::UnclosedGroup);
        }
        self.flags = outer;
        self.depth -= 1;
        Ok(match number {
            Some(number) => Ast::Group(Box::new(inner), number),
            None => inner,
        })
    }

    fn open(&mut self, name: Option<&str>) -> Result<usize, RegexError> {
        if let Some(name) = name {
            let usable = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            if !usable || self.names.iter().flatten().any(|known| known == name) {
                return Err(RegexError::Name);
            }
        }
        self.names.push(name.map(str::to_owned));
        Ok(self.names.len())
    }

    /// The flags behind `(?`; whether a group follows them.
    fn set_flags(&mut self) -> Result<bool, RegexError> {
        let mut on = true;
        loop {
            let flag = match self.next().ok_or(RegexError::UnclosedGroup)? {
                ':' => return Ok(true),
                ')' => return Ok(false),
                '-' if on => {
                    on = false;
                    continue;
                }
                'i' => &mut self.flags.any_case,
                's' => &mut self.flags.dot_all,
                'm' => &mut self.flags.lines,
                'U' => &mut self.flags.swap_greed,
                _ => return Err(RegexError::Group),
            };
            *flag = on;
        }
    }

    /// What follows `[`.
    fn class(&mut self) -> Result<ByteSet, RegexError> {
        let negated = self.eat("^");
        let mut set = ByteSet::default();
        let mut first = true;
        while first || !self.eat("]") {
            first = false;
            if let Some(named) = self.posix_class()? {
                set = set.or(named);
                continue;
            }
            let from = match self.class_item()? {
                Item::Set(item) => {
                    set = set.or(item);
                    continue;
                }
                Item::Byte(byte) => byte,
            };
            let ranged = self.rest.starts_with('-') && !self.rest.starts_with("-]");
            let to = if ranged {
                self.eat("-");
                match self.class_item()? {
                    Item::Byte(to) if to >= from => to,
                    _ => return Err(RegexError::Range),
                }
            } else {
                from
            };
            set = set.or(ByteSet::range(from, to));
        }
        let set = self.cased(set);
        Ok(if negated { set.not() } else { set })
    }

    fn class_item(&mut self) -> Result<Item, RegexError> {
        match self.next().ok_or(RegexError::UnclosedClass)? {
            '\\' => {
                let escaped = self.next().ok_or(RegexError::UnclosedClass)?;
                if let Some(set) = perl_class(escaped) {
                    return Ok(Item::Set(set));
                }
                match self.escaped(escaped)? {
                    Escaped::Byte(byte) => Ok(Item::Byte(byte)),
                    Escaped::Char(_) => Err(RegexError::Unicode),
                }
            }
            literal => {
                u8::try_from(literal).ok().filter(u8::is_ascii).map(Item::Byte).ok_or(RegexError::Unicode)
            }
        }
    }

    /// `[:alpha:]` or `[:^alpha:]`
    fn posix_class(&mut self) -> Result<Option<ByteSet>, RegexError> {
        let Some((name, rest)) = self.rest.strip_prefix("[:").and_then(|rest| split_once(rest, ":]")) else {
            return Ok(None);
        };
        let (negated, name) = name.strip_prefix('^').map_or((false, name), |name| (true, name));
        let matching = |test: fn(&u8) -> bool| {
            (0..=u8::MAX).filter(test).fold(ByteSet::default(), |mut set, byte| {
                set.insert(byte);
                set
            })
        };
        let set = match name {
            "alnum" => matching(u8::is_ascii_alphanumeric),
            "alpha" => matching(u8::is_ascii_alphabetic),
            "ascii" => matching(u8::is_ascii),
            "blank" => matching(|byte| matches!(byte, b' ' | b'\t')),
            "cntrl" => matching(u8::is_ascii_control),
            "digit" => matching(u8::is_ascii_digit),
            "graph" => matching(u8::is_ascii_graphic),
            "lower" => matching(u8::is_ascii_lowercase),
            "print" => matching(|byte| (0x20..0x7f).contains(byte)),
            "punct" => matching(u8::is_ascii_punctuation),
            "space" => matching(|byte| matches!(byte, b'\t'..=b'\r' | b' ')),
            "upper" => matching(u8::is_ascii_uppercase),
            "word" => ByteSet::word(),
            "xdigit" => matching(u8::is_ascii_hexdigit),
            _ => return Err(RegexError::Range),
        };
        self.rest = rest;
        Ok(Some(if negated { set.not() } else { set }))
    }

    fn escape(&mut self) -> Result<Ast, RegexError> {
        let escaped = self.next().ok_or(RegexError::Escape)?;
        if let Some(set) = perl_class(escaped) {
            return Ok(Ast::Set(set));
        }
        Ok(match escaped {
            'A' => Ast::Assert(Assert::Start),
            'z' => Ast::Assert(Assert::End),
            'b' => Ast::Assert(Assert::WordBoundary),
            'B' => Ast::Assert(Assert::NoWordBoundary),
            'C' => Ast::Set(ByteSet::default().not()),
            _ => match self.escaped(escaped)? {
                Escaped::Byte(byte) => Ast::Set(self.cased(ByteSet::of(byte))),
                Escaped::Char(literal) => self.literal(literal),
            },
        })
    }

    /// The byte that an escape stands for.
    fn escaped(&mut self, escaped: char) -> Result<Escaped, RegexError> {
        Ok(Escaped::Byte(match escaped {
            'a' => 7,
            'f' => 12,
            't' => b'\t',
            'n' => b'\n',
            'r' => b'\r',
            'v' => 11,
            'x' => return self.hexadecimal(),
            'p' | 'P' => return Err(RegexError::Unicode),
            _ if escaped.is_ascii_punctuation() => u8::try_from(escaped).map_err(|_| RegexError::Escape)?,
            _ => return Err(RegexError::Escape),
        }))
    }

    /// `7F` is a byte; `{10FFFF}` is a character.
    fn hexadecimal(&mut self) -> Result<Escaped, RegexError> {
        if let Some((digits, rest)) = self.rest.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
            self.rest = rest;
            let code = u32::from_str_radix(digits, 16).map_err(|_| RegexError::Escape)?;
            let literal = char::from_u32(code).ok_or(RegexError::Escape)?;
            let ascii = u8::try_from(literal).ok().filter(u8::is_ascii);
            return Ok(ascii.map_or(Escaped::Char(literal), Escaped::Byte));
        }
        let (digits, rest) = self.rest.split_at_checked(2).ok_or(RegexError::Escape)?;
        self.rest = rest;
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(RegexError::Escape);
        }
        u8::from_str_radix(digits, 16).map(Escaped::Byte).map_err(|_| RegexError::Escape)
    }
}

enum Escaped {
    Byte(u8),
    /// Beyond ASCII.
    Char(char),
}

enum Item {
    Byte(u8),
    Set(ByteSet),
}

/// `\d`, `\s`, `\w` and their opposites.
fn perl_class(letter: char) -> Option<ByteSet> {
    let set = match letter.to_ascii_lowercase() {
        'd' => ByteSet::range(b'0', b'9'),
        's' => b"\t\n\x0c\r ".iter().fold(ByteSet::default(), |set, byte| set.or(ByteSet::of(*byte))),
        'w' => ByteSet::word(),
        _ => return None,
    };
    Some(if letter.is_ascii_uppercase() { set.not() } else { set })
}

pub(super) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// As `str::split_once`, whose search for a text is 2 KiB of code.
fn split_once<'t>(text: &'t str, separator: &str) -> Option<(&'t str, &'t str)> {
    let place = text.as_bytes().windows(separator.len()).position(|window| window == separator.as_bytes())?;
    Some((text.get(..place)?, text.get(place + separator.len()..)?))
}

/// The only one, or all of them as `many` says.
fn single(mut parts: Vec<Ast>, many: fn(Vec<Ast>) -> Ast) -> Ast {
    match (parts.pop(), parts.is_empty()) {
        (Some(only), true) => only,
        (last, _) => {
            parts.extend(last);
            many(parts)
        }
    }
}
