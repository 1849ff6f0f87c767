//! Well-made archives of entries whose names and links want out.

#![no_main]

use arbitrary::Arbitrary;
use tar::{Builder, EntryType, Header};

/// Parts that names are made of.
const PARTS: [&str; 8] = ["a", "b", "c", "..", ".", "", "secret", "in"];
/// Kinds of entries.
const KINDS: [u8; 9] = *b"0125367LK";

/// An entry; numbers choose from the lists above.
#[derive(Arbitrary, Debug)]
struct Entry {
    kind: u8,
    is_absolute: bool,
    name: Vec<u8>,
    link: Vec<u8>,
    mode: u16,
    content: Vec<u8>,
}

libfuzzer_sys::fuzz_target!(|entries: Vec<Entry>| {
    let mut builder = Builder::new(Vec::new());
    for entry in &entries {
        let kind = KINDS[usize::from(entry.kind) % KINDS.len()];
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::new(kind));
        let start = if entry.is_absolute { "/" } else { "" };
        let old = header.as_old_mut();
        put(&mut old.name, start, &entry.name);
        put(&mut old.linkname, "", &entry.link);
        header.set_mode(u32::from(entry.mode));
        header.set_size(entry.content.len() as u64);
        header.set_cksum();
        if builder.append(&header, &entry.content[..]).is_err() {
            return;
        }
    }
    if let Ok(archive) = builder.into_inner() {
        sandgate_runner_fuzz::unpack(&archive);
    }
});

fn put(place: &mut [u8], start: &str, parts: &[u8]) {
    let parts = parts
        .iter()
        .map(|part| PARTS[usize::from(*part) % PARTS.len()]);
    let text = format!("{start}{}", parts.collect::<Vec<_>>().join("/"));
    let size = text.len().min(place.len());
    place[..size].copy_from_slice(&text.as_bytes()[..size]);
}
