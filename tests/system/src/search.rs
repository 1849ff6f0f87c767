//! Finds known texts, or pieces of them, in any bytes: as they are, in base64 at every alignment, in
//! hex, and as a list of numbers, which is how a debug print shows bytes.

use std::{
    collections::{BTreeSet, HashMap},
    fmt::Write as _,
};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};

/// Also a part as long as this is a leak.
const PIECE: usize = 16;
/// Bytes of a form that are looked up.
const START: usize = 8;

/// What is looked for.
#[derive(Default)]
pub struct Search {
    forms: HashMap<[u8; START], Vec<(Vec<u8>, String)>>,
    /// Whether a form begins with these two bytes: most places are passed over by that.
    begins: BTreeSet<[u8; 2]>,
}

impl Search {
    /// Looks for this text, too.
    pub fn add(&mut self, name: &str, text: &[u8]) {
        assert!(
            text.len() >= 2 * PIECE,
            "{name} is too short to be looked for"
        );
        let last = text.len() - PIECE;
        for at in (0..last).step_by(PIECE).chain([last]) {
            for form in forms(&text[at..at + PIECE]) {
                self.begins.insert([form[0], form[1]]);
                let start = form[..START].try_into().unwrap();
                let same = self.forms.entry(start).or_default();
                same.push((form, name.to_owned()));
            }
        }
    }

    /// The names of the texts that are in there, in whole or in part.
    pub fn find(&self, bytes: &[u8]) -> BTreeSet<&str> {
        let mut begins = vec![false; 1 << 16];
        for pair in &self.begins {
            begins[usize::from(u16::from_be_bytes(*pair))] = true;
        }
        let mut found = BTreeSet::new();
        for (at, window) in bytes.windows(START).enumerate() {
            if !begins[usize::from(u16::from_be_bytes([window[0], window[1]]))] {
                continue;
            }
            let Some(forms) = self.forms.get(window) else {
                continue;
            };
            for (form, name) in forms {
                if bytes[at..].starts_with(form) {
                    found.insert(name.as_str());
                }
            }
        }
        found
    }
}

/// All ways in which a piece may be written.
fn forms(piece: &[u8]) -> Vec<Vec<u8>> {
    let mut forms = vec![piece.to_vec()];
    for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
        for before in 0..3 {
            let text = engine.encode([&vec![0; before][..], piece].concat());
            // Letters that also depend on what stands before and behind are left out.
            let whole = (before * 8).div_ceil(6)..(before + piece.len()) * 8 / 6;
            forms.push(text.as_bytes()[whole].to_vec());
        }
    }
    let (mut lower, mut upper, mut numbers) = (String::new(), String::new(), Vec::new());
    for byte in piece {
        write!(lower, "{byte:02x}").unwrap();
        write!(upper, "{byte:02X}").unwrap();
        numbers.push(byte.to_string());
    }
    forms.extend([lower, upper, numbers.join(", "), numbers.join(",")].map(String::into_bytes));
    forms
}

#[test]
fn a_planted_text_is_found_in_every_form() {
    let text = "0123456789abcdefGHIJKLMNOPQRSTUVwxyz+/ABCDEFGHIJ";
    let mut search = Search::default();
    search.add("planted", text.as_bytes());
    search.add(
        "other",
        "another text that is nowhere to be found".as_bytes(),
    );
    let hex = |upper: bool| {
        text.bytes().fold(String::new(), |all, byte| match upper {
            true => all + &format!("{byte:02X}"),
            false => all + &format!("{byte:02x}"),
        })
    };
    let mut planted = vec![text.to_owned(), text[..40].to_owned(), text[9..].to_owned()];
    planted.extend([hex(true), hex(false), format!("{:?}", text.as_bytes())]);
    for before in ["", "a", "ab", "abc", "{\"name\":\"", "\u{0}\u{1}"] {
        for behind in ["", "x", "\"}", "===="] {
            let whole = format!("{before}{text}{behind}");
            planted.push(STANDARD_NO_PAD.encode(&whole));
            planted.push(URL_SAFE_NO_PAD.encode(&whole));
        }
    }
    for planted in planted {
        for bytes in [planted.clone(), format!("some {planted} text")] {
            let found: Vec<_> = search.find(bytes.as_bytes()).into_iter().collect();
            assert_eq!(found, ["planted"], "{bytes}");
        }
    }
    assert!(search.find(b"0123456789abcde").is_empty());
    assert!(search.find(b"").is_empty());
}
