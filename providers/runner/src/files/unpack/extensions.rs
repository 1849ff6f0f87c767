//! What is said of an entry before it comes, by GNU tar or as POSIX has it (pax): a name or link that
//! does not fit into a header, a size.

use std::io;

use super::entries::bad;

/// All that was said of one entry.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Extensions {
    pub(super) name: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    /// Its content is a list of holes and what is between them.
    pub(super) is_listed: bool,
}

impl Extensions {
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Reads records of pax: `length key=value\n`, the length that of all of it. A value may hold
    /// anything, line breaks too.
    pub(super) fn read(&mut self, mut rest: &[u8]) -> io::Result<()> {
        let wrong = || bad("a record of pax is none");
        while !rest.is_empty() {
            let space = rest.iter().position(|byte| *byte == b' ');
            let (length, _) = rest.split_at(space.ok_or_else(wrong)?);
            let size: usize = number(length).ok_or_else(wrong)?;
            let record = rest.get(length.len() + 1..size).ok_or_else(wrong)?;
            let record = record.strip_suffix(b"\n").ok_or_else(wrong)?;
            let equals = record.iter().position(|byte| *byte == b'=');
            let (key, value) = record.split_at(equals.ok_or_else(wrong)?);
            self.put(key, &value[1..])?;
            rest = &rest[size..];
        }
        Ok(())
    }

    fn put(&mut self, key: &[u8], value: &[u8]) -> io::Result<()> {
        match key {
            b"path" => self.name = Some(value.to_vec()),
            b"linkpath" => self.link = Some(value.to_vec()),
            b"size" => {
                let size = number(value).ok_or_else(|| bad("a size is no number"))?;
                self.size = Some(size);
            }
            key if key.starts_with(b"GNU.sparse.") => self.is_listed = true,
            _ => {}
        }
        Ok(())
    }
}

fn number<T: std::str::FromStr>(text: &[u8]) -> Option<T> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8]) -> io::Result<Extensions> {
        let mut extensions = Extensions::default();
        extensions.read(text).map(|()| extensions)
    }

    #[test]
    fn records_are_read_with_all_that_is_in_them() {
        let seen = read(b"12 path=a\nb\n11 size=12\n12 linkpath=\xff\xfe=\n19 mtime=1234567.89\n");
        assert!(seen.is_err(), "a length that is wrong");
        let seen = read(b"12 path=a\nb\n11 size=12\n15 linkpath=\xff=\n").unwrap();
        assert_eq!(seen.name.as_deref(), Some(&b"a\nb"[..]));
        assert_eq!(seen.link.as_deref(), Some(&b"\xff="[..]));
        assert_eq!((seen.size, seen.is_listed), (Some(12), false));
        assert!(read(b"22 GNU.sparse.major=1\n").unwrap().is_listed);
    }

    #[test]
    fn what_is_no_record_is_refused() {
        for text in [
            &b"path=a\n"[..],
            b"9 path=a",
            b"99 path=a\n",
            b"0 path=a\n",
            b"2 path=a\n",
            b"9 pathhh\n",
            b"12 size=many\n",
            b"18446744073709551616 path=a\n",
        ] {
            assert!(read(text).is_err(), "{}", String::from_utf8_lossy(text));
        }
    }
}
