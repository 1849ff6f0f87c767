//! Where the content of session files is kept.

use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};

/// The folder in the data folder.
const FOLDER: &str = "files";

/// Where the content of session files is kept, and how much of it.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct FileArgs {
    /// Where session files are kept: s3://bucket/prefix, gs://bucket/prefix, az://container/prefix,
    /// or file:///folder [default: the folder `files` in the data folder]
    #[arg(long, env = "SANDGATE_FILES_URL", value_name = "URL")]
    pub files_url: Option<String>,
    /// Settings of an object store, as a list `name=value,...`: access_key_id, secret_access_key,
    /// region, endpoint, allow_http, ... (S3), service_account_key (GCS), account_name, account_key
    /// (Azure)
    #[arg(
        long,
        env = "SANDGATE_FILES_OPTIONS",
        hide_env_values = true,
        value_name = "LIST"
    )]
    pub files_options: Option<SecretString>,
}

/// Where objects are put.
#[derive(Clone, Debug)]
pub enum FilesPlace {
    /// A folder of this machine.
    Folder(PathBuf),
    /// An object store.
    Store {
        /// Its address, with where in it.
        url: String,
        /// Its settings.
        options: Vec<(String, SecretString)>,
    },
}

impl FileArgs {
    /// What the arguments mean.
    ///
    /// # Errors
    /// Where they mean nothing: a sentence that says why.
    pub fn place(&self, data_dir: &Path) -> Result<FilesPlace, String> {
        let options = self.options()?;
        match self.files_url.as_deref() {
            None => Ok(FilesPlace::Folder(data_dir.join(FOLDER))),
            Some(url) => match url.strip_prefix("file://") {
                Some(path) if path.starts_with('/') => Ok(FilesPlace::Folder(path.into())),
                Some(_) => {
                    Err("SANDGATE_FILES_URL names no folder: give file:///folder".to_owned())
                }
                None => Ok(FilesPlace::Store {
                    url: url.to_owned(),
                    options,
                }),
            },
        }
    }

    fn options(&self) -> Result<Vec<(String, SecretString)>, String> {
        let list = self.files_options.as_ref().map(ExposeSecret::expose_secret);
        let list = list.unwrap_or_default().split(',');
        list.filter(|option| !option.trim().is_empty())
            .map(|option| {
                // Not the option itself, which may be a key.
                let (name, value) = option
                    .split_once('=')
                    .ok_or("SANDGATE_FILES_OPTIONS is no list of name=value: correct it")?;
                Ok((name.trim().to_owned(), value.trim().into()))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(url: Option<&str>, options: Option<&str>) -> Result<FilesPlace, String> {
        let args = FileArgs {
            files_url: url.map(str::to_owned),
            files_options: options.map(SecretString::from),
        };
        args.place(Path::new("/data"))
    }

    #[test]
    fn without_an_address_they_lie_in_the_data_folder() {
        let FilesPlace::Folder(folder) = place(None, None).unwrap() else {
            panic!();
        };
        assert_eq!(folder, Path::new("/data/files"));
        let FilesPlace::Folder(folder) = place(Some("file:///mnt/x"), None).unwrap() else {
            panic!();
        };
        assert_eq!(folder, Path::new("/mnt/x"));
        assert!(place(Some("file://x"), None).is_err());
    }

    #[test]
    fn options_are_a_list_and_never_shown() {
        let wanted = "region=eu, secret_access_key=a=b,";
        let FilesPlace::Store { options, .. } = place(Some("s3://b/p"), Some(wanted)).unwrap()
        else {
            panic!();
        };
        let options: Vec<_> = options
            .iter()
            .map(|(name, value)| (name.as_str(), value.expose_secret()))
            .collect();
        assert_eq!(options, [("region", "eu"), ("secret_access_key", "a=b")]);
        let error = place(Some("s3://b/p"), Some("AKIAKEY")).unwrap_err();
        assert!(!error.contains("AKIA"), "{error}");
    }
}
