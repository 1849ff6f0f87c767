//! How many sandboxes are to be made ahead, and of which images.

use std::str::FromStr;

use thiserror::Error;

/// Most sandboxes made ahead of one image.
const MOST: usize = 256;

/// What to make ahead.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wishes(Vec<(Option<String>, usize)>);

/// Why a text says nothing of that.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("write a number up to 256, or IMAGE=NUMBER,IMAGE=NUMBER")]
pub struct NoWishes;

impl FromStr for Wishes {
    type Err = NoWishes;

    fn from_str(text: &str) -> Result<Self, NoWishes> {
        let parts = text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty());
        let wish = |part: &str| {
            let (image, number) = match part.rsplit_once('=') {
                Some((image, number)) => (Some(image.trim().to_owned()), number.trim()),
                None => (None, part),
            };
            let number: usize = number.parse().map_err(|_| NoWishes)?;
            if number > MOST || image.as_ref().is_some_and(String::is_empty) {
                return Err(NoWishes);
            }
            Ok((image, number))
        };
        parts.map(wish).collect::<Result<_, _>>().map(Self)
    }
}

impl Wishes {
    /// Images and numbers, none of them 0; an image that is named twice counts as it was last.
    pub(crate) fn of(&self, default: &str) -> Vec<(String, usize)> {
        let mut all: Vec<(String, usize)> = Vec::new();
        for (image, number) in &self.0 {
            let image = image.as_deref().unwrap_or(default);
            all.retain(|(known, _)| known != image);
            all.push((image.to_owned(), *number));
        }
        all.retain(|(_, number)| *number > 0);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_images_are_read() {
        let of = |text: &str| text.parse::<Wishes>().unwrap().of("default");
        let wish = |image: &str, number| (image.to_owned(), number);
        assert_eq!(of(""), []);
        assert_eq!(of("5"), [wish("default", 5)]);
        assert_eq!(of("0"), []);
        assert_eq!(
            of("a:1=2, host:5000/b@sha256:0=3"),
            [wish("a:1", 2), wish("host:5000/b@sha256:0", 3)]
        );
        assert_eq!(of("2,default=3"), [wish("default", 3)]);
        for text in ["x", "-1", "=3", "a=", "257"] {
            assert_eq!(text.parse::<Wishes>(), Err(NoWishes), "{text}");
        }
    }
}
