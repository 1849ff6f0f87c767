//! Which fields of an update count.

use prost_types::FieldMask;
use sandgate_proto::Problem;

use crate::problem::Result;

/// The fields that an update names; without a mask, all that are not empty.
pub(crate) struct Mask(Option<Vec<String>>);

impl Mask {
    /// Refuses a field that is not among those that can be changed.
    pub(crate) fn of(mask: Option<FieldMask>, known: &[&str]) -> Result<Self> {
        let paths = mask.map(|mask| mask.paths).unwrap_or_default();
        if let Some(other) = paths.iter().find(|path| !known.contains(&path.as_str())) {
            return Err(Problem::invalid_field(
                "update_mask",
                format!(
                    "{other:?} cannot be changed; name some of {}",
                    known.join(", ")
                ),
            ));
        }
        Ok(Self((!paths.is_empty()).then_some(paths)))
    }

    /// Whether to take over a field; `filled`: it is not empty in the request.
    pub(crate) fn takes(&self, field: &str, filled: bool) -> bool {
        self.0
            .as_ref()
            .map_or(filled, |paths| paths.iter().any(|path| path == field))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_takes_what_is_named_else_what_is_filled() {
        let known = ["title", "labels"];
        let mask = |paths: &[&str]| FieldMask {
            paths: paths.iter().map(|path| (*path).to_owned()).collect(),
        };
        for none in [None, Some(mask(&[]))] {
            let mask = Mask::of(none, &known).unwrap();
            assert!(mask.takes("title", true) && !mask.takes("title", false));
        }
        let named = Mask::of(Some(mask(&["title"])), &known).unwrap();
        assert!(named.takes("title", false) && !named.takes("labels", true));
        let refused = Mask::of(Some(mask(&["title", "org_id"])), &known).err();
        assert!(refused.unwrap().message().contains("org_id"));
    }
}
