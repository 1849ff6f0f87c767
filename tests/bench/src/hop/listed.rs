//! Sandboxes that the provider lists as if it had them: those that a database is filled with.

use sandgate_proto::v1::{ListSandboxesResponse, Sandbox, SandboxState};
use tonic::Status;

use super::provider::sandbox;

/// Odd, so that no two products are the same: ids look as random as real ones.
const FACTOR: u64 = 2_654_435_761;

/// What is listed.
pub(super) struct Listed {
    count: u32,
    state: SandboxState,
}

impl Listed {
    /// So many; the first runs, all others are in one state.
    pub(super) fn new(count: u32, state: SandboxState) -> Self {
        Self { count, state }
    }

    /// A page; its token is the number of the first sandbox on it.
    pub(super) fn page(&self, size: u32, token: &str) -> Result<ListSandboxesResponse, Status> {
        let first: u32 = match token {
            "" => 1,
            token => token
                .parse()
                .map_err(|_| Status::invalid_argument("not a page of this list"))?,
        };
        let next = first.saturating_add(size.max(1));
        let numbers = first..next.min(self.count + 1);
        Ok(ListSandboxesResponse {
            sandboxes: numbers.map(|number| self.one(number)).collect(),
            next_page_token: if next <= self.count {
                next.to_string()
            } else {
                String::new()
            },
        })
    }

    fn one(&self, number: u32) -> Sandbox {
        let state = match number {
            1 => SandboxState::Running,
            _ => self.state,
        };
        let [session_id, sandbox_id] = ids(number);
        Sandbox {
            state: state.into(),
            ..sandbox(session_id, sandbox_id)
        }
    }
}

/// Session and sandbox of this number, as a database is filled with them.
pub(crate) fn ids(number: u32) -> [String; 2] {
    let mixed = (u64::from(number) * FACTOR) & 0xffff_ffff;
    ["8000", "9000"].map(|kind| format!("{mixed:08x}-0000-4000-{kind}-{number:012x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sandbox_is_on_one_page() {
        for count in [1, 500, 1_001] {
            let listed = Listed::new(count, SandboxState::Stopped);
            let (mut all, mut token) = (Vec::new(), String::new());
            loop {
                let page = listed.page(500, &token).unwrap();
                all.extend(page.sandboxes);
                token = page.next_page_token;
                if token.is_empty() {
                    break;
                }
            }
            let runs = |one: &Sandbox| one.state() == SandboxState::Running;
            assert_eq!(all.iter().position(runs), Some(0));
            assert_eq!(all.iter().filter(|one| runs(one)).count(), 1);
            let found: Vec<_> = all.into_iter().map(|one| one.sandbox_id).collect();
            let wanted: Vec<_> = (1..=count).map(|number| ids(number)[1].clone()).collect();
            assert_eq!(found, wanted);
        }
    }
}
