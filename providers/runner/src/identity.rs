//! Who the runner is: a boot id of its own, and the sandbox that it serves.

use std::io;

use rustix::rand::{GetRandomFlags, getrandom};
use sandgate_runner_proto::{
    HIGHEST_VERSION, LOWEST_VERSION,
    v1::{Hello, Refused},
};

use crate::answer::{malformed, refused};

/// Longest name of a sandbox.
const NAME: usize = 64;

/// Who the runner is.
pub(crate) struct Identity {
    /// New with every start.
    pub(crate) boot_id: String,
    /// Name and generation of the sandbox; none: not yet said.
    pub(crate) sandbox: Option<(String, u64)>,
}

impl Identity {
    /// With a new boot id.
    pub(crate) fn new(sandbox: Option<(String, u64)>) -> io::Result<Self> {
        let mut random = [0; 16];
        getrandom(&mut random, GetRandomFlags::empty())?;
        // Version and variant of a random UUID.
        random[6] = random[6] & 0x0f | 0x40;
        random[8] = random[8] & 0x3f | 0x80;
        let hex: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let parts = [
            &hex[..8],
            &hex[8..12],
            &hex[12..16],
            &hex[16..20],
            &hex[20..],
        ];
        Ok(Self {
            boot_id: parts.join("-"),
            sandbox,
        })
    }

    /// Agrees on a version, and on the sandbox; the first to name it names it.
    pub(crate) fn agree(&mut self, hello: &Hello) -> Result<u32, Refused> {
        let version = hello.highest_version.min(HIGHEST_VERSION);
        if version < hello.lowest_version.max(LOWEST_VERSION) {
            let message =
                format!("this runner speaks versions {LOWEST_VERSION} to {HIGHEST_VERSION}");
            return Err(refused("VERSION", &message));
        }
        if hello.sandbox_id.len() > NAME {
            return Err(malformed("the name of the sandbox is too long"));
        }
        if hello.sandbox_id.is_empty() {
            return Ok(version);
        }
        let named = (hello.sandbox_id.clone(), hello.generation);
        if *self.sandbox.get_or_insert_with(|| named.clone()) != named {
            return Err(refused(
                "OTHER_SANDBOX",
                "this runner serves another sandbox, or another generation",
            ));
        }
        Ok(version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_names_it_and_others_must_agree() {
        let mut identity = Identity::new(None).unwrap();
        assert_eq!(identity.boot_id.len(), 36);
        let hello = |id: &str, generation, highest_version| Hello {
            lowest_version: highest_version,
            highest_version,
            sandbox_id: id.to_owned(),
            generation,
            ..Hello::default()
        };
        assert_eq!(identity.agree(&hello("", 0, 1)), Ok(1));
        assert_eq!(identity.agree(&hello("a", 2, 1)), Ok(1));
        assert_eq!(identity.agree(&hello("a", 2, 1)), Ok(1));
        for (other, reason) in [
            (hello("b", 2, 1), "OTHER_SANDBOX"),
            (hello("a", 3, 1), "OTHER_SANDBOX"),
            (hello("a", 2, 9), "VERSION"),
            (hello("a", 2, 0), "VERSION"),
        ] {
            assert_eq!(identity.agree(&other).unwrap_err().reason, reason);
        }
    }
}
