//! Takes secrets out of output as it comes, wherever it is cut.

/// What stands in the place of a secret.
const MARK: &[u8] = b"***";
/// A line is not kept back for longer than so many bytes.
const LINE: usize = 16 * 1024;
/// Longest user part of a URL that is looked for past that, in bytes.
const USER: usize = 1024;

/// Output on its way. Whole lines go on, ended by `\n` or `\r`.
pub(super) struct Redactor {
    secrets: Vec<Vec<u8>>,
    kept: Vec<u8>,
}

impl Redactor {
    /// Looks for these, and for users and passwords in URLs.
    pub(super) fn new(mut secrets: Vec<Vec<u8>>) -> Self {
        secrets.retain(|secret| !secret.is_empty());
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Self {
            secrets,
            kept: Vec::new(),
        }
    }

    /// Takes bytes; what can go on by now.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.kept.extend_from_slice(bytes);
        let is_end = |byte: &u8| matches!(byte, b'\n' | b'\r');
        let whole = self.kept.iter().rposition(is_end).map_or(0, |at| at + 1);
        let rest = self.kept.split_off(whole);
        let mut out = self.clean(&self.kept);
        self.kept = rest;
        if self.kept.len() > LINE {
            // A secret that is not whole yet stays, and so may the beginning of a URL.
            let clean = self.clean(&self.kept);
            let longest = self.secrets.first().map_or(0, Vec::len).max(USER);
            let (gone, stays) = clean.split_at(clean.len().saturating_sub(longest));
            out.extend_from_slice(gone);
            self.kept = stays.to_vec();
        }
        out
    }

    /// What is left when nothing more comes.
    pub(super) fn finish(&mut self) -> Vec<u8> {
        let out = self.clean(&self.kept);
        self.kept.clear();
        out
    }

    fn clean(&self, text: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(text.len());
        let mut at = 0;
        while at < text.len() {
            let rest = &text[at..];
            if let Some(secret) = self.secrets.iter().find(|secret| rest.starts_with(secret)) {
                out.extend_from_slice(MARK);
                at += secret.len();
            } else if let Some(user) = user_of(rest) {
                out.extend_from_slice(b"://");
                out.extend_from_slice(MARK);
                at += 3 + user;
            } else {
                out.push(text[at]);
                at += 1;
            }
        }
        out
    }
}

/// The length of the user part, if a URL's authority begins here with one.
fn user_of(text: &[u8]) -> Option<usize> {
    let rest = text.strip_prefix(b"://")?;
    let ends = |byte: &u8| b"/?# \t\r\n'\"".contains(byte);
    let end = rest.iter().position(ends).unwrap_or(rest.len());
    let at = rest[..end].iter().rposition(|byte| *byte == b'@')?;
    // What is redacted already stays as it is.
    (rest[..at] != *MARK).then_some(at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn redactor() -> Redactor {
        Redactor::new(vec![b"sesame-open".to_vec(), b"c2VzYW1lLW9wZW4".to_vec()])
    }

    fn whole(pieces: &[&[u8]]) -> String {
        let mut redactor = redactor();
        let mut out = Vec::new();
        for piece in pieces {
            out.extend(redactor.push(piece));
        }
        out.extend(redactor.finish());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn secrets_and_users_are_taken_out() {
        assert_eq!(whole(&[b"a sesame-open b\n"]), "a *** b\n");
        assert_eq!(whole(&[b"Basic c2VzYW1lLW9wZW4="]), "Basic ***=");
        assert_eq!(
            whole(&[b"at https://u:p@h/o 'http://u@h'"]),
            "at https://***@h/o 'http://***@h'"
        );
        assert_eq!(whole(&[b"https://h/a@b x@y"]), "https://h/a@b x@y");
        assert_eq!(whole(&[b"ssh://a@b@h/"]), "ssh://***@h/");
    }

    #[test]
    fn lines_go_on_as_they_end() {
        let mut redactor = redactor();
        assert_eq!(redactor.push(b"10%\r20%\rses"), b"10%\r20%\r");
        assert_eq!(redactor.push(b"ame-open\n"), b"***\n");
        assert_eq!(redactor.push(b"x"), b"");
        assert_eq!(redactor.finish(), b"x");
    }

    #[test]
    fn memory_is_bounded_where_no_line_ends() {
        let mut redactor = redactor();
        let mut out = Vec::new();
        for _ in 0..10_000 {
            out.extend(redactor.push(b"sesame-open...."));
            assert!(redactor.kept.len() <= LINE + 16);
        }
        out.extend(redactor.finish());
        assert_eq!(out, b"***....".repeat(10_000));
    }

    proptest! {
        #[test]
        fn it_does_not_matter_where_output_is_cut(
            words in prop::collection::vec(prop::sample::select(vec![
                "sesame-open", "c2VzYW1lLW9wZW4", "https://u:p@h/", "sesame-", "://", "@", "\n", "\r", " ", "s",
            ]), 0..40),
            cuts in prop::collection::vec(1usize..9, 0..60),
        ) {
            let text = words.concat();
            let mut rest = text.as_bytes();
            let mut pieces = Vec::new();
            for cut in cuts {
                let (piece, behind) = rest.split_at(cut.min(rest.len()));
                pieces.push(piece);
                rest = behind;
            }
            pieces.push(rest);
            let cut = whole(&pieces);
            prop_assert_eq!(&cut, &whole(&[text.as_bytes()]));
            prop_assert!(!cut.contains("sesame-open") && !cut.contains("u:p@"));
        }
    }
}
