//! What the checks of a run share, and what each has for itself.

use std::sync::{Mutex, PoisonError};

use sandgate_proto::v1::{self, Support};
use tokio::sync::OnceCell;

use crate::{
    Options,
    failure::{Failure, broken},
    subject::{Place, Subject},
};

/// The contract's default for the output kept of a channel, bytes.
const OUTPUT_LIMIT: u64 = 64 * 1024 * 1024;

/// What the checks of a run share.
pub(crate) struct World {
    /// The other side.
    pub(crate) subject: Subject,
    /// What the provider says about itself.
    pub(crate) capabilities: v1::Capabilities,
    /// Output kept of a channel, bytes.
    pub(crate) output_limit: u64,
    shared: OnceCell<Result<String, String>>,
}

impl World {
    pub(crate) fn new(subject: Subject, capabilities: v1::Capabilities, options: &Options) -> Self {
        let said = capabilities
            .limits
            .map(|limits| limits.max_output_bytes)
            .filter(|bytes| *bytes > 0);
        Self {
            subject,
            output_limit: options.output_limit.or(said).unwrap_or(OUTPUT_LIMIT),
            capabilities,
            shared: OnceCell::new(),
        }
    }

    /// Those of the features that the capabilities deny.
    pub(crate) fn denied(&self, features: &[&'static str]) -> Vec<&'static str> {
        let denied = |name: &&str| {
            let of_name = |feature: &&v1::Feature| feature.name == **name;
            let said = self.capabilities.features.iter().find(of_name);
            said.is_some_and(|feature| feature.support() == Support::Unsupported)
        };
        features.iter().copied().filter(denied).collect()
    }
}

/// What one check works with.
pub(crate) struct Context<'a> {
    /// What all share.
    pub(crate) world: &'a World,
    own: Mutex<Vec<String>>,
}

impl<'a> Context<'a> {
    pub(crate) fn new(world: &'a World) -> Self {
        let own = Mutex::default();
        Self { world, own }
    }

    /// The other side.
    pub(crate) fn subject(&self) -> &'a Subject {
        &self.world.subject
    }

    /// The sandbox for checks that leave nothing behind.
    pub(crate) async fn shared(&self) -> Result<Place<'a>, Failure> {
        let subject = self.subject();
        let make = || async {
            let id = subject.new_id();
            match subject.create(&id, subject.spec()).await {
                Ok(_) => Ok(id),
                Err(failure) => Err(failure.to_string()),
            }
        };
        match self.world.shared.get_or_init(make).await {
            Ok(id) => Ok(subject.place(id)),
            Err(failure) => Err(broken(format!("no sandbox to check in: {failure}"))),
        }
    }

    /// A sandbox for this check alone; it is deleted when the check is over.
    pub(crate) async fn own(&self) -> Result<Place<'a>, Failure> {
        let id = self.new_id();
        let subject = self.subject();
        subject.create(&id, subject.spec()).await?;
        Ok(subject.place(&id))
    }

    /// An id for a sandbox of this check; what gets it is deleted when the check is over.
    pub(crate) fn new_id(&self) -> String {
        let id = self.subject().new_id();
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        own.push(id.clone());
        id
    }

    /// Deletes the sandboxes of this check. What fails here is tried again, and told, at the end.
    pub(crate) async fn clean(self) {
        let own = self
            .own
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        for id in own {
            let _ = self.world.subject.forget(&id).await;
        }
    }
}
