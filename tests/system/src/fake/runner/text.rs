//! What a scripted command wrote on one channel: said by rule, so that no length of it takes memory.

use bytes::{BufMut as _, Bytes, BytesMut};

/// Bytes of a numbered line.
const LINE: u64 = 8;
/// Most bytes of one read.
const READ: u64 = 128 * 1024;

/// All that was written so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Text {
    pieces: Vec<Piece>,
    total: u64,
}

#[derive(Clone, Debug)]
struct Piece {
    start: u64,
    length: u64,
    form: Form,
}

#[derive(Clone, Debug)]
enum Form {
    /// These bytes, again and again.
    Unit(Bytes),
    /// `0000000\n0000001\n` and so on.
    Lines,
}

impl Text {
    /// How much there is.
    pub(super) const fn total(&self) -> u64 {
        self.total
    }

    /// Adds these bytes, so many times.
    pub(super) fn write(&mut self, unit: &Bytes, times: u64) {
        self.push(Form::Unit(unit.clone()), unit.len() as u64 * times);
    }

    /// Adds so many numbered lines.
    pub(super) fn number(&mut self, lines: u64) {
        self.push(Form::Lines, lines * LINE);
    }

    fn push(&mut self, form: Form, length: u64) {
        if length == 0 {
            return;
        }
        match self.pieces.last_mut() {
            Some(last) if last.goes_on(&form) => last.length += length,
            _ => self.pieces.push(Piece {
                start: self.total,
                length,
                form,
            }),
        }
        self.total += length;
    }

    /// Bytes from `offset` on, at most `most` and not past `end`; no more than was written at once.
    pub(super) fn read(&self, offset: u64, most: u64, end: u64) -> Bytes {
        let last = self.pieces.partition_point(|piece| piece.start <= offset);
        let Some(piece) = last.checked_sub(1).map(|place| &self.pieces[place]) else {
            return Bytes::new();
        };
        let from = offset - piece.start;
        let left = piece.length.saturating_sub(from);
        let most = most.min(left).min(end - offset).min(READ);
        piece.form.read(from, most)
    }
}

impl Piece {
    fn goes_on(&self, form: &Form) -> bool {
        match (&self.form, form) {
            (Form::Unit(unit), Form::Unit(other)) => unit == other,
            (Form::Lines, Form::Lines) => true,
            _ => false,
        }
    }
}

impl Form {
    fn read(&self, from: u64, most: u64) -> Bytes {
        match self {
            Self::Unit(unit) => {
                let at = from % unit.len() as u64;
                let most = most.min(unit.len() as u64 - at);
                unit.slice(at as usize..(at + most) as usize)
            }
            Self::Lines => {
                let mut bytes = BytesMut::new();
                for line in from / LINE..(from + most).div_ceil(LINE) {
                    bytes.put(format!("{line:07}\n").as_bytes());
                }
                let skip = (from % LINE) as usize;
                bytes.freeze().slice(skip..skip + most as usize)
            }
        }
    }
}

#[test]
fn any_part_of_it_can_be_read() {
    let mut text = Text::default();
    text.write(&Bytes::from_static(b"abc"), 2);
    text.number(2);
    text.number(1);
    text.write(&Bytes::from_static(b"end"), 1);
    let whole = b"abcabc0000000\n0000001\n0000002\nend";
    assert_eq!(text.total(), whole.len() as u64);
    for offset in 0..whole.len() {
        let (mut at, mut seen) = (offset as u64, Vec::new());
        while at < text.total() {
            let read = text.read(at, 5, text.total());
            at += read.len() as u64;
            seen.extend_from_slice(&read);
        }
        assert_eq!(seen, whole[offset..]);
    }
}
