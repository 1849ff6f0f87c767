//! The middle of several measurements, with their extremes.

/// What several measurements of one thing come to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    /// Half of them are below.
    pub(crate) median: f64,
    /// The smallest.
    pub(crate) least: f64,
    /// The largest.
    pub(crate) most: f64,
}

impl Spread {
    /// Of these; of none, not a number.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        let median = match values.len() % 2 {
            _ if values.is_empty() => f64::NAN,
            0 => f64::midpoint(values[middle - 1], values[middle]),
            _ => values[middle],
        };
        let end = |value: Option<&f64>| value.copied().unwrap_or(f64::NAN);
        Self {
            median,
            least: end(values.first()),
            most: end(values.last()),
        }
    }
}
