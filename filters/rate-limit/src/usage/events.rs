//! Server-sent events (<https://html.spec.whatwg.org/multipage/server-sent-events.html>): the lines `data` of an event
//! make one document.

use super::json::Documents;
use super::path::JsonPath;

/// Events, and what has been read of the documents in them.
#[derive(Debug, Default)]
pub(super) struct Events {
    documents: Documents,
    line: Line,
    /// The last line ended with a carriage return: a line feed behind it ends no other.
    carriage_return: bool,
}

/// Where in a line we are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Line {
    #[default]
    Start,
    /// So many bytes of `data` have been read.
    Name(usize),
    /// Behind `data:`, where one space does not count.
    Space,
    Data,
    /// A field that nobody asked for.
    Other,
}

const NAME: &[u8] = b"data";

impl Events {
    /// Reads on.
    pub(super) fn read(&mut self, paths: &[JsonPath], piece: &[u8]) {
        let mut rest = piece;
        while let Some((byte, after)) = rest.split_first() {
            if matches!(byte, b'\n' | b'\r') {
                if !(std::mem::take(&mut self.carriage_return) && *byte == b'\n') {
                    self.end_line(paths);
                }
                self.carriage_return = *byte == b'\r';
                rest = after;
                continue;
            }
            self.carriage_return = false;
            match self.line {
                Line::Start | Line::Name(_) => {
                    self.name(*byte);
                    rest = after;
                }
                Line::Space => {
                    self.line = Line::Data;
                    rest = if *byte == b' ' { after } else { rest };
                }
                Line::Data | Line::Other => {
                    let end = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
                    let (text, behind) = rest.split_at(end.unwrap_or(rest.len()));
                    if self.line == Line::Data {
                        self.documents.read(paths, text);
                    }
                    rest = behind;
                }
            }
        }
    }

    pub(super) fn total(&self) -> Option<u64> {
        self.documents.total()
    }

    fn name(&mut self, byte: u8) {
        let read = if let Line::Name(read) = self.line { read } else { 0 };
        self.line = match NAME.get(read) {
            Some(expected) if *expected == byte => Line::Name(read + 1),
            None if byte == b':' => Line::Space,
            _ => Line::Other,
        };
    }

    fn end_line(&mut self, paths: &[JsonPath]) {
        match std::mem::take(&mut self.line) {
            // An empty line ends the event.
            Line::Start => self.documents.end(),
            // The lines of one event are joined by line feeds.
            Line::Space | Line::Data => self.documents.read(paths, b"\n"),
            Line::Name(_) | Line::Other => {}
        }
    }
}
