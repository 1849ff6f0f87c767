//! Archives as the engine's archive call takes and gives them: a few files, and the head of one.

/// Size of a block, and of the name in its header, bytes.
const BLOCK: usize = 512;
const NAME: usize = 100;

/// What one entry is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Entry<'a> {
    /// A folder.
    Folder,
    /// A file that holds these bytes.
    File(&'a [u8]),
}

/// Who owns an entry, and who may do what with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rights {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) mode: u32,
}

/// The first entry of an archive.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct First {
    pub(crate) rights: Rights,
    pub(crate) is_folder: bool,
    /// Its bytes; cut where the archive was.
    pub(crate) data: Vec<u8>,
}

/// An archive being written.
#[derive(Debug, Default)]
pub(crate) struct Archive(Vec<u8>);

impl Archive {
    /// Adds an entry; none: its name is longer than 99 bytes.
    pub(crate) fn add(mut self, name: &str, rights: Rights, entry: Entry<'_>) -> Option<Self> {
        if name.len() >= NAME {
            return None;
        }
        let (kind, data): (&[u8], &[u8]) = match entry {
            Entry::Folder => (b"5", &[]),
            Entry::File(data) => (b"0", data),
        };
        let mut header = [0u8; BLOCK];
        let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
        // Owners in base 256, as GNU tar writes large numbers: octal would end at two million.
        let number = |id: u32| [[0x80, 0, 0, 0], id.to_be_bytes()].concat();
        put(0, name.as_bytes());
        put(NAME, format!("{:07o}\0", rights.mode & 0o7777).as_bytes());
        put(108, &number(rights.uid));
        put(116, &number(rights.gid));
        put(124, format!("{:011o}\0", data.len()).as_bytes());
        put(136, b"00000000000\0");
        // The sum is made as if its own field were blank.
        put(148, b"        ");
        put(156, kind);
        put(257, b"ustar  \0");
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        self.0.extend_from_slice(&header);
        self.0.extend_from_slice(data);
        self.0.resize(self.0.len().next_multiple_of(BLOCK), 0);
        Some(self)
    }

    /// The archive, ended.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 2 * BLOCK, 0);
        self.0
    }
}

/// Reads the first entry, past the headers that only name it at length.
pub(crate) fn first(mut archive: &[u8]) -> Option<First> {
    loop {
        let (header, rest) = archive.split_at_checked(BLOCK)?;
        let size = usize::try_from(number(&header[124..136])?).ok()?;
        if matches!(header[156], b'x' | b'g' | b'L' | b'K') {
            archive = rest.get(size.checked_next_multiple_of(BLOCK)?..)?;
            continue;
        }
        let field = |range: std::ops::Range<usize>| {
            number(&header[range]).and_then(|number| u32::try_from(number).ok())
        };
        return Some(First {
            rights: Rights {
                mode: field(100..108)? & 0o7777,
                uid: field(108..116)?,
                gid: field(116..124)?,
            },
            is_folder: header[156] == b'5',
            data: rest[..size.min(rest.len())].to_vec(),
        });
    }
}

/// A number in octal, or where its first bit is set in base 256.
fn number(field: &[u8]) -> Option<u64> {
    if field.first()? & 0x80 != 0 {
        let start = field.len().checked_sub(8)?.max(1);
        return Some(
            field[start..]
                .iter()
                .fold(0, |number, byte| number << 8 | u64::from(*byte)),
        );
    }
    let digits = std::str::from_utf8(field).ok()?;
    let digits = digits.trim_matches(|letter| letter == ' ' || letter == '\0');
    u64::from_str_radix(digits, 8).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The engine agrees: see the tests of other users in `tests/lifecycle.rs`.
    #[test]
    fn what_is_written_is_read() {
        let rights = Rights {
            uid: 1_000_680_000,
            gid: 7,
            mode: 0o755,
        };
        let archive = Archive::default().add("work", rights, Entry::Folder);
        let bytes = archive.unwrap().finish();
        assert_eq!((bytes.len(), &bytes[..5]), (3 * BLOCK, &b"work\0"[..]));
        assert_eq!(bytes[108..116], [0x80, 0, 0, 0, 0x3b, 0xa5, 0x2a, 0x40]);
        let fields = bytes[..148].iter().chain(&bytes[156..BLOCK]);
        let sum: u32 = fields.map(|byte| u32::from(*byte)).sum();
        let said = std::str::from_utf8(&bytes[148..154]).unwrap();
        assert_eq!(u32::from_str_radix(said, 8).unwrap(), sum + 8 * 32);
        let read = first(&bytes).unwrap();
        assert!(read.is_folder && read.rights == rights);

        let file = Entry::File(b"some bytes");
        let archive = Archive::default().add("a/b", rights, file).unwrap();
        let read = first(&archive.finish()).unwrap();
        assert_eq!(
            (read.is_folder, &read.data[..]),
            (false, &b"some bytes"[..])
        );
    }

    #[test]
    fn strange_archives_are_no_entry() {
        let long = "x".repeat(NAME);
        let rights = Rights {
            uid: 0,
            gid: 0,
            mode: 0,
        };
        assert!(
            Archive::default()
                .add(&long, rights, Entry::Folder)
                .is_none()
        );
        assert_eq!(first(&[]), None);
        assert_eq!(first(&[b'x'; BLOCK]), None);
        assert_eq!(first(&[0xff; 3 * BLOCK]), None);
    }
}
