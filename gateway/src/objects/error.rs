//! Why an object could not be put, read or removed.

use std::{error::Error, io};

use thiserror::Error;

/// Why an object could not be put, read or removed, or none can.
#[derive(Debug, Error)]
pub enum ObjectsError {
    /// It is not there.
    #[error("there is no such object")]
    Missing,
    /// It is shorter than it was.
    #[error("an object is shorter than it was put")]
    Cut,
    /// The disk has no room.
    #[error("the disk is full")]
    Full,
    /// It took too long.
    #[error("no answer in time")]
    Late,
    /// The store does not let the gateway in, or not do that.
    #[error("the store refuses what SANDGATE_FILES_OPTIONS says, or what that may do: {0}")]
    Refused(String),
    /// The store has no such bucket or container.
    #[error("the store has no such bucket or container: {0}")]
    NoPlace(String),
    /// The folder or the store failed, or does not answer.
    #[error("{0}")]
    Store(String),
    /// The folder cannot be used.
    #[error("{0}")]
    Folder(#[from] io::Error),
    /// The address or the settings mean nothing.
    #[error("{0}")]
    Setting(String),
}

impl From<object_store::Error> for ObjectsError {
    fn from(error: object_store::Error) -> Self {
        match error {
            error if is_full(&error) => Self::Full,
            error if has_no_place(&error) => Self::NoPlace(told(&error)),
            object_store::Error::NotFound { .. } => Self::Missing,
            error @ (object_store::Error::PermissionDenied { .. }
            | object_store::Error::Unauthenticated { .. }) => Self::Refused(told(&error)),
            error => Self::Store(told(&error)),
        }
    }
}

/// What comes before the status of an answer, and before an error that came with a good one.
const ANSWERS: [&str; 2] = ["status code: ", "error response: "];
/// What S3, Azure and Google say where there is no such bucket.
const NO_PLACE: [&str; 3] = ["NoSuchBucket", "ContainerNotFound", "bucket does not exist"];

/// What is known of an error, without the body of an answer: that may repeat the credentials of its
/// request. Of the body, its error code is kept.
fn told(error: &object_store::Error) -> String {
    let text = error.to_string();
    let answered = ANSWERS.iter().find_map(|begin| text.split_once(begin));
    let Some((asked, answer)) = answered else {
        return text;
    };
    let status = answer.split([':', '<']).next().unwrap_or_default().trim();
    let code = answer.split_once("<Code>");
    let code = code.and_then(|(_, code)| code.split_once("</Code>"));
    let code = code.map_or("without a code", |(code, _)| code);
    format!("{asked}{status}, {code}")
}

fn has_no_place(error: &object_store::Error) -> bool {
    let text = error.to_string();
    NO_PLACE.iter().any(|said| text.contains(said))
}

fn is_full(error: &object_store::Error) -> bool {
    let mut next: Option<&(dyn Error + 'static)> = error.source();
    while let Some(cause) = next {
        if let Some(cause) = cause.downcast_ref::<io::Error>() {
            return matches!(
                cause.kind(),
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
            );
        }
        next = cause.source();
    }
    false
}
