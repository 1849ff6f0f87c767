//! The repositories that are cloned, made by git.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

/// A folder of bare repositories.
pub struct Repositories {
    folder: TempDir,
}

impl Default for Repositories {
    fn default() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder }
    }
}

impl Repositories {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Where they are.
    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    /// A small one with two branches, a tag and three commits on `main`; the second of them.
    pub fn small(&self, name: &str) -> String {
        let work = self.begun(name);
        for number in 1..=3 {
            fs::write(work.join("README"), format!("{name} {number}\n")).unwrap();
            commit(&work, &format!("number {number}"));
            if number == 2 {
                git(&work, &["tag", "v1"]);
            }
        }
        git(&work, &["checkout", "--quiet", "-b", "side", "HEAD~2"]);
        fs::write(work.join("side"), "side\n").unwrap();
        commit(&work, "aside");
        git(&work, &["checkout", "--quiet", "main"]);
        self.published(name, &work);
        git(&work, &["rev-parse", "v1"])
    }

    /// One with a branch and a tag of the same name, `same`, and other commits.
    pub fn ambiguous(&self, name: &str) {
        let work = self.begun(name);
        for what in ["tag", "branch", "nothing"] {
            fs::write(work.join("README"), format!("{name} {what}\n")).unwrap();
            commit(&work, what);
            if what != "nothing" {
                git(&work, &[what, "same"]);
            }
        }
        self.published(name, &work);
    }

    /// One of many files that do not compress.
    pub fn large(&self, name: &str, files: usize, bytes: usize) {
        let work = self.begun(name);
        let mut seed = 0x2545_f491_4f6c_dd1d_u64;
        for number in 0..files {
            let folder = work.join(format!("d{}", number / 100));
            fs::create_dir_all(&folder).unwrap();
            let mut content = Vec::with_capacity(bytes + 8);
            while content.len() < bytes {
                seed ^= seed << 13;
                seed ^= seed >> 7;
                seed ^= seed << 17;
                content.extend_from_slice(&seed.to_ne_bytes());
            }
            fs::write(folder.join(format!("f{number}")), content).unwrap();
        }
        commit(&work, "many");
        self.published(name, &work);
    }

    /// One with another in it, at this address.
    pub fn with_submodule(&self, name: &str, url: &str, inner: &str) {
        let work = self.begun(name);
        let own = self.root().join(inner);
        let own = own.to_str().unwrap();
        let allow = "protocol.file.allow=always";
        git(
            &work,
            &["-c", allow, "submodule", "--quiet", "add", own, "inner"],
        );
        git(
            &work,
            &["config", "-f", ".gitmodules", "submodule.inner.url", url],
        );
        commit(&work, "with another");
        self.published(name, &work);
    }

    /// One whose submodule has this address, which nobody has to reach.
    pub fn with_bad_submodule(&self, name: &str, url: &str) {
        self.small("inner-of-bad.git");
        self.with_submodule(name, url, "inner-of-bad.git");
    }

    fn begun(&self, name: &str) -> PathBuf {
        let work = self.root().join(format!("work-{name}"));
        fs::create_dir(&work).unwrap();
        git(&work, &["init", "--quiet", "-b", "main"]);
        work
    }

    fn published(&self, name: &str, work: &Path) {
        let work = work.to_str().unwrap();
        git(self.root(), &["clone", "--quiet", "--bare", work, name]);
    }
}

fn commit(work: &Path, message: &str) {
    git(work, &["add", "--all"]);
    git(work, &["commit", "--quiet", "-m", message]);
}

/// Runs git; what it prints.
pub fn git(folder: &Path, arguments: &[&str]) -> String {
    let done = Command::new("git")
        .current_dir(folder)
        .args(["-c", "user.name=Ann", "-c", "user.email=ann@example.com"])
        .args(arguments)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "git {arguments:?}: {said}");
    String::from_utf8(done.stdout)
        .unwrap()
        .trim_end()
        .to_owned()
}
