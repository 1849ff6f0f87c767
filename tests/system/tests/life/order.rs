//! What two calls may have done to a sandbox: whatever one after the other would have.

use sandgate_proto::v1::SandboxState;

/// A call of a sandbox's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Start,
    Stop,
    Pause,
    Resume,
    Renew,
    Delete,
}

impl Call {
    pub(crate) const ALL: [Self; 6] = [
        Self::Start,
        Self::Stop,
        Self::Pause,
        Self::Resume,
        Self::Renew,
        Self::Delete,
    ];

    /// The state that it leads to; none where it is refused.
    fn leads(self, from: SandboxState) -> Option<SandboxState> {
        match (self, from) {
            (Self::Delete, _) => Some(SandboxState::Deleted),
            (_, SandboxState::Deleted) => None,
            (Self::Pause, SandboxState::Stopped) => None,
            (Self::Start | Self::Resume, _) => Some(SandboxState::Running),
            (Self::Stop, _) => Some(SandboxState::Stopped),
            (Self::Pause, _) => Some(SandboxState::Paused),
            (Self::Renew, _) => Some(from),
        }
    }
}

/// Whether some order of the two calls ends in this state, with these of them done.
pub(crate) fn explains(
    from: SandboxState,
    calls: [Call; 2],
    done: [bool; 2],
    end: SandboxState,
) -> bool {
    let in_order = |first: usize, second: usize| {
        let after_first = calls[first].leads(from);
        let between = after_first.unwrap_or(from);
        let after_second = calls[second].leads(between);
        after_first.is_some() == done[first]
            && after_second.is_some() == done[second]
            && after_second.unwrap_or(between) == end
    };
    in_order(0, 1) || in_order(1, 0)
}

#[test]
fn a_pause_that_is_refused_tells_that_the_stop_came_first() {
    let (from, calls) = (SandboxState::Running, [Call::Stop, Call::Pause]);
    assert!(explains(from, calls, [true, false], SandboxState::Stopped));
    assert!(explains(from, calls, [true, true], SandboxState::Stopped));
    assert!(!explains(from, calls, [true, true], SandboxState::Paused));
    assert!(!explains(from, calls, [true, false], SandboxState::Paused));
}
