//! Names below a directory, in bytewise order of their paths: `a`, `a-b`, `a/b`.

use std::{
    collections::VecDeque,
    ffi::OsString,
    fs, io,
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
    path::PathBuf,
};

/// Directories of which the name is behind, and not what is below: each begins the name of the next.
const BEGUN: usize = 256;

/// A step of the way.
enum Step {
    /// A name, with its path from the top.
    Name(Vec<u8>),
    /// All below a directory, in its place in the order.
    Below(Vec<u8>),
}

impl Step {
    /// Whether its place in the order is before that of a key.
    fn is_before(&self, key: &[u8]) -> bool {
        match self {
            Self::Name(name) => &name[..] < key,
            Self::Below(folder) => folder.iter().chain(b"/").lt(key),
        }
    }
}

/// A directory that cannot be read, by its path from the top.
pub(super) struct Unread(pub(super) Vec<u8>);

/// Goes through a tree. Links are names like any other.
pub(super) struct Walk {
    top: PathBuf,
    levels: u32,
    after: Vec<u8>,
    most: usize,
    /// What is to come, the nearest first; each directory's own names in order.
    steps: VecDeque<Step>,
}

impl Walk {
    /// All below `top`, so many levels down.
    pub(super) fn all(top: PathBuf, levels: u32) -> io::Result<Self> {
        Self::new(top, levels, Vec::new(), usize::MAX)
    }

    /// The same, behind the path `after` if it is not empty; `names` of it at least, so that no
    /// directory is too large.
    pub(super) fn some(
        top: PathBuf,
        levels: u32,
        after: Vec<u8>,
        names: usize,
    ) -> io::Result<Self> {
        // A name has up to two steps, and some directories that are begun have one.
        Self::new(top, levels, after, 2 * names + BEGUN)
    }

    fn new(top: PathBuf, levels: u32, after: Vec<u8>, most: usize) -> io::Result<Self> {
        let mut walk = Self {
            top,
            levels,
            after,
            most,
            steps: VecDeque::new(),
        };
        walk.enter(&[])?;
        Ok(walk)
    }

    /// The next path from the top.
    ///
    /// # Errors
    /// For a directory that cannot be read; the rest goes on.
    pub(super) fn next(&mut self) -> Option<Result<Vec<u8>, Unread>> {
        loop {
            match self.steps.pop_front()? {
                Step::Name(name) => return Some(Ok(name)),
                Step::Below(folder) => match self.enter(&folder) {
                    Ok(()) => {}
                    // Removed meanwhile.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(_) => return Some(Err(Unread(folder))),
                },
            }
        }
    }

    /// Where a path from the top is.
    pub(super) fn place(&self, path: &[u8]) -> PathBuf {
        self.top.join(OsString::from_vec(path.to_vec()))
    }

    /// Does not go below the name that came last.
    pub(super) fn leave_out(&mut self, name: &[u8]) {
        // All that is to come is in order, and what is below a name is soon behind it.
        let key = [name, b"/"].concat();
        let place = self.steps.partition_point(|step| step.is_before(&key));
        if matches!(self.steps.get(place), Some(Step::Below(folder)) if folder == name) {
            self.steps.remove(place);
        }
    }

    fn enter(&mut self, folder: &[u8]) -> io::Result<()> {
        let mut steps: Vec<(Vec<u8>, Step)> = Vec::new();
        let below = folder.iter().filter(|byte| **byte == b'/').count();
        let depth = if folder.is_empty() { 0 } else { below + 1 };
        for entry in fs::read_dir(self.place(folder))? {
            let entry = entry?;
            let mut path = folder.to_vec();
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(entry.file_name().as_bytes());
            let deeper = u32::try_from(depth + 1).is_ok_and(|depth| depth < self.levels);
            if deeper && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                let mut key = path.clone();
                key.push(b'/');
                if !self.is_past(&key) {
                    steps.push((key, Step::Below(path.clone())));
                }
            }
            if path > self.after {
                steps.push((path.clone(), Step::Name(path)));
            }
            if steps.len() / 2 > self.most {
                keep_least(&mut steps, self.most);
            }
        }
        if steps.len() > self.most {
            keep_least(&mut steps, self.most);
        }
        steps.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        for (_, step) in steps.into_iter().rev() {
            self.steps.push_front(step);
        }
        Ok(())
    }

    /// Whether all below a directory comes before where this walk begins.
    fn is_past(&self, key: &[u8]) -> bool {
        key < &self.after[..] && !self.after.starts_with(key)
    }
}

/// Drops all but so many of the first.
fn keep_least(steps: &mut Vec<(Vec<u8>, Step)>, most: usize) {
    steps.select_nth_unstable_by(most, |(one, _), (other, _)| one.cmp(other));
    steps.truncate(most);
}
