//! A file that was put into a sandbox for one visit, and may hold a secret: unless somebody is known to
//! have taken it, it is taken away again.

use std::mem;

/// The file. Dropped, it is removed, whatever the reason: no visit was made, it was lost, or nobody
/// waits for it any more.
#[must_use = "dropped, the file is removed"]
pub struct Uploaded {
    path: String,
    remove: Option<Box<dyn FnOnce() + Send>>,
}

impl Uploaded {
    /// A file of this path. `remove` begins to take it away, and does not wait for that; a file that is
    /// not there is no fault to it.
    pub fn new(path: String, remove: impl FnOnce() + Send + 'static) -> Self {
        let remove: Box<dyn FnOnce() + Send> = Box::new(remove);
        Self {
            path,
            remove: Some(remove),
        }
    }

    /// Where it is, in the sandbox.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// An answer says that it was read, and so removed.
    pub fn taken(mut self) {
        drop(mem::take(&mut self.remove));
    }
}

impl Drop for Uploaded {
    fn drop(&mut self) {
        if let Some(remove) = self.remove.take() {
            remove();
        }
    }
}
