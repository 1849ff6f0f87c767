//! Object stores of others: S3 and what speaks like it, Google Cloud Storage, Azure Blob Storage.

use std::{str::FromStr, sync::Arc, time::Duration};

use object_store::{
    ClientOptions, ObjectStore, ObjectStoreScheme, RetryConfig,
    aws::{AmazonS3Builder, AmazonS3ConfigKey},
    azure::MicrosoftAzureBuilder,
    client::{HttpClient, HttpConnector},
    gcp::GoogleCloudStorageBuilder,
    path::Path,
};
use sandgate_service::web;
use secrecy::{ExposeSecret as _, SecretString};

use super::{ObjectsError, PATIENCE};

/// How often a request is sent again that a store did not answer well.
const RETRIES: usize = 3;
/// Time without a byte of an answer.
const SILENCE: Duration = Duration::from_secs(30);

/// A store, and where in it.
type Place = (Arc<dyn ObjectStore>, Path);

/// Our client: TLS by rustls with ring, no redirects, no proxy.
#[derive(Debug)]
struct Ours(reqwest::Client);

impl HttpConnector for Ours {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.0.clone()))
    }
}

/// The store at this address. Nothing is sent yet.
pub(super) fn open(url: &str, options: &[(String, SecretString)]) -> Result<Place, ObjectsError> {
    let unknown = || {
        // Not the address: it may hold a password.
        let message = "SANDGATE_FILES_URL names no store that is known: give s3://bucket/prefix, gs://bucket/prefix, az://container/prefix or file:///folder";
        ObjectsError::Setting(message.to_owned())
    };
    let parsed = url.parse().map_err(|_| unknown())?;
    let (scheme, prefix) = ObjectStoreScheme::parse(&parsed).map_err(|_| unknown())?;
    let ours = Ours(client()?);
    let retry = RetryConfig {
        max_retries: RETRIES,
        retry_timeout: PATIENCE,
        ..RetryConfig::default()
    };
    let store: Arc<dyn ObjectStore> = match scheme {
        ObjectStoreScheme::AmazonS3 => {
            // One at a time is what everything that speaks like S3 can do, and asks for no more than
            // the right to delete an object.
            let builder = AmazonS3Builder::new()
                .with_url(url)
                .with_config(AmazonS3ConfigKey::DisableBulkDelete, "true");
            let builder = set(builder, options, AmazonS3Builder::with_config)?;
            Arc::new(
                builder
                    .with_retry(retry)
                    .with_http_connector(ours)
                    .build()?,
            )
        }
        ObjectStoreScheme::GoogleCloudStorage => {
            let builder = GoogleCloudStorageBuilder::new().with_url(url);
            let builder = set(builder, options, GoogleCloudStorageBuilder::with_config)?;
            Arc::new(
                builder
                    .with_retry(retry)
                    .with_http_connector(ours)
                    .build()?,
            )
        }
        ObjectStoreScheme::MicrosoftAzure => {
            let builder = MicrosoftAzureBuilder::new().with_url(url);
            let builder = set(builder, options, MicrosoftAzureBuilder::with_config)?;
            Arc::new(
                builder
                    .with_retry(retry)
                    .with_http_connector(ours)
                    .build()?,
            )
        }
        _ => return Err(unknown()),
    };
    Ok((store, prefix))
}

fn client() -> Result<reqwest::Client, ObjectsError> {
    let unusable = |error: String| ObjectsError::Setting(format!("no client: {error}"));
    let builder = web::builder().map_err(|error| unusable(error.to_string()))?;
    let client = builder.read_timeout(SILENCE).build();
    client.map_err(|error| unusable(error.to_string()))
}

/// Sets what the operator has given; a name that the store does not know is a mistake.
fn set<B, K: FromStr>(
    builder: B,
    options: &[(String, SecretString)],
    with: impl Fn(B, K, String) -> B,
) -> Result<B, ObjectsError> {
    options.iter().try_fold(builder, |builder, (name, value)| {
        let key = name.to_ascii_lowercase().parse().map_err(|_| {
            let message =
                format!("SANDGATE_FILES_OPTIONS: this store has no setting {name}: leave it out");
            ObjectsError::Setting(message)
        })?;
        Ok(with(builder, key, value.expose_secret().to_owned()))
    })
}
