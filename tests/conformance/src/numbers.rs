//! Output that is known beforehand: what `seq` prints between two numbers of eight digits, so that
//! every byte follows from its offset and no stretch of it repeats.

use crate::failure::{Failure, broken};

/// The first number, the smallest of eight digits.
const FIRST: u64 = 10_000_000;
/// Bytes of a line, its end included.
const LINE: u64 = 9;

/// The numbers from a first one, each on a line of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Numbers {
    first: u64,
    count: u64,
}

impl Numbers {
    /// So many lines, nine bytes each; at most 40 million.
    pub(crate) fn lines(count: u64) -> Self {
        Self {
            first: FIRST,
            count,
        }
    }

    /// At least so many bytes.
    pub(crate) fn of_bytes(bytes: u64) -> Self {
        Self::lines(bytes.div_ceil(LINE))
    }

    /// The same many lines, with other numbers.
    pub(crate) fn other(self) -> Self {
        Self {
            first: self.first + 50_000_000,
            ..self
        }
    }

    /// Bytes of all of it.
    pub(crate) fn len(self) -> u64 {
        self.count * LINE
    }

    /// A shell line that prints it at once.
    pub(crate) fn command(self) -> String {
        format!("seq {} {}", self.first, self.first + self.count - 1)
    }

    /// A shell line that prints it in so many pieces, with a pause after each.
    pub(crate) fn in_pieces(self, pieces: u64, pause: &str) -> String {
        let size = self.count / pieces;
        format!(
            "i=0; while [ $i -lt {pieces} ]; do seq $(({first} + i * {size})) $(({first} + i * {size} + {last})); i=$((i + 1)); sleep {pause}; done",
            first = self.first,
            last = size - 1,
        )
    }

    /// A line, its end included.
    fn line(self, number: u64) -> [u8; LINE as usize] {
        let mut line = [b'\n'; LINE as usize];
        let mut rest = self.first + number;
        for digit in line.iter_mut().take(8).rev() {
            *digit = b'0' + u8::try_from(rest % 10).unwrap_or_default();
            rest /= 10;
        }
        line
    }

    /// Fails unless these are the bytes at this offset, saying where they differ first.
    pub(crate) fn check(self, offset: u64, seen: &[u8]) -> Result<(), Failure> {
        let mut at = offset;
        let mut rest = seen;
        while !rest.is_empty() {
            if at >= self.len() {
                return Err(broken(format!(
                    "{} bytes came after the end of the output, which has {}",
                    rest.len(),
                    self.len()
                )));
            }
            let line = self.line(at / LINE);
            let due = &line[usize::try_from(at % LINE).unwrap_or_default()..];
            let length = due.len().min(rest.len());
            if rest[..length] != due[..length] {
                return Err(broken(format!(
                    "other bytes than the process wrote at offset {at}: {:?}, due was {:?}",
                    String::from_utf8_lossy(&rest[..length]),
                    String::from_utf8_lossy(&due[..length]),
                )));
            }
            rest = &rest[length..];
            at += length as u64;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(numbers: Numbers) -> Vec<u8> {
        (0..numbers.count)
            .flat_map(|number| format!("{}\n", numbers.first + number).into_bytes())
            .collect()
    }

    #[test]
    fn every_slice_is_known() {
        for numbers in [Numbers::lines(30), Numbers::lines(30).other()] {
            let all = printed(numbers);
            assert_eq!(all.len() as u64, numbers.len());
            for from in 0..all.len() {
                for to in from..all.len() {
                    numbers.check(from as u64, &all[from..to]).unwrap();
                }
            }
        }
    }

    #[test]
    fn a_shifted_a_changed_and_an_excess_byte_are_found() {
        let numbers = Numbers::lines(30);
        let all = printed(numbers);
        assert!(numbers.check(9, &all[..18]).is_err());
        assert!(numbers.check(1, &all[2..]).is_err());
        let mut changed = all.clone();
        changed[100] ^= 1;
        let seen = numbers.check(0, &changed).unwrap_err().to_string();
        assert!(seen.contains("offset 99"), "{seen}");
        let longer = [all, vec![b'1']].concat();
        assert!(numbers.check(0, &longer).is_err());
        assert!(numbers.other().check(0, &longer[..9]).is_err());
    }

    #[test]
    fn commands_name_first_and_last() {
        assert_eq!(Numbers::lines(3).command(), "seq 10000000 10000002");
        assert_eq!(Numbers::of_bytes(10).len(), 18);
        let pieces = Numbers::lines(10).in_pieces(5, "0.1");
        assert!(
            pieces.contains("-lt 5") && pieces.contains("i * 2 + 1"),
            "{pieces}"
        );
    }
}
