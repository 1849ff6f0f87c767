//! Which calls are no use of a sandbox, and which need none that runs.

use sandgate_proto::methods::Method;

use crate::sandbox::AtRest;

/// Scopes of calls that look at what ran and at what is exposed. They do not start a stopped sandbox
/// either. What is read inside of one needs it to run.
const SCOPES: [&str; 2] = ["executions.read", "sandboxes.read"];
/// Calls that look inside.
const INSIDE: [&str; 2] = [
    "/sandbox.v1.FileService/StatFile",
    "/sandbox.v1.FileService/ListDirectory",
];

/// Takes something away, for which nothing has to run.
const TAKES_AWAY: &str = "/sandbox.v1.PortService/UnexposePort";

/// Whether a call only looks from outside.
pub(super) fn looks(method: &Method) -> bool {
    SCOPES.contains(&method.scope)
}

/// What a call does with a sandbox that does not run.
pub(super) fn at_rest(method: &Method) -> AtRest {
    if looks(method) {
        AtRest::Refuse
    } else if method.path == TAKES_AWAY {
        AtRest::Stay
    } else {
        AtRest::Start
    }
}

/// Whether a call is a use of its sandbox.
pub(super) fn uses(method: &Method) -> bool {
    at_rest(method) == AtRest::Start && !INSIDE.contains(&method.path)
}

#[cfg(test)]
mod tests {
    use sandgate_proto::methods;

    use super::*;

    #[test]
    fn each_call_that_is_named_is_there() {
        for path in INSIDE.into_iter().chain([TAKES_AWAY]) {
            assert!(
                methods::find(path).is_some_and(|method| !uses(method)),
                "{path}"
            );
        }
    }
}
