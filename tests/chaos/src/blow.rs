//! What a blow hits.

/// A blow. Each program that it hits is killed once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blow {
    /// The first gateway alone.
    Gateway,
    /// The second gateway alone.
    Other,
    /// Both gateways.
    Gateways,
    /// The provider alone.
    Provider,
    /// The first gateway and the provider.
    Both,
    /// Everything.
    All,
}

/// Place of the provider among the programs; gateways follow.
pub(crate) const PROVIDER: usize = 0;

impl Blow {
    /// Places of the programs that it hits.
    pub(crate) fn places(self) -> &'static [usize] {
        match self {
            Self::Gateway => &[1],
            Self::Other => &[2],
            Self::Gateways => &[1, 2],
            Self::Provider => &[PROVIDER],
            Self::Both => &[1, PROVIDER],
            Self::All => &[1, 2, PROVIDER],
        }
    }
}
