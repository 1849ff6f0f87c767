//! What images say of their users, read once for each image.

use std::{collections::HashMap, sync::Arc};

use bollard::{
    Docker,
    models::{ContainerCreateBody, HostConfig},
    query_parameters::{CreateContainerOptions, DownloadFromContainerOptionsBuilder},
};
use sandgate_kit::ProviderError;
use tokio::sync::Mutex;

use crate::{
    archive, call,
    fault::Fault,
    image::{self, Image},
    names::Labels,
    people::{GROUP, PASSWD, People},
    remove, step,
};

/// Images that are remembered.
const MOST: usize = 256;
/// Longest list of users that is read, with the archive around it, bytes.
const LIST: usize = 1 << 20;

/// The images that were looked into, by their ids.
#[derive(Debug, Default)]
pub(crate) struct Images(Mutex<HashMap<String, Arc<People>>>);

impl Images {
    /// The users of an image, which is pulled if need be. `looker`: the label of what looks into it.
    pub(crate) async fn people(
        &self,
        docker: &Docker,
        looker: (String, String),
        image: &str,
    ) -> Result<Arc<People>, ProviderError> {
        let image = image::ensure(docker, image).await?;
        // Others wait, since they most likely want the same one.
        let mut known = self.0.lock().await;
        if let Some(people) = known.get(&image.id) {
            return Ok(people.clone());
        }
        let people = Arc::new(look(docker, looker, &image).await?);
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(image.id, people.clone());
        Ok(people)
    }
}

/// Looks into an image by a container that is never started.
async fn look(
    docker: &Docker,
    looker: (String, String),
    image: &Image,
) -> Result<People, ProviderError> {
    let body = ContainerCreateBody {
        image: Some(image.id.clone()),
        entrypoint: Some(vec!["-".to_owned()]),
        labels: Some(Labels::from([looker])),
        host_config: Some(HostConfig {
            network_mode: Some("none".to_owned()),
            ..Default::default()
        }),
        ..Default::default()
    };
    let made = docker.create_container(None::<CreateContainerOptions>, body);
    let id = call::CREATE_CONTAINER.run(made).await?.id;
    let found = async {
        step::reached("container.look.made")?;
        Ok(People {
            image: image.id.clone(),
            default: image.user.clone(),
            home: image.home.clone(),
            passwd: file(docker, &id, PASSWD).await?,
            group: file(docker, &id, GROUP).await?,
        })
    };
    let found = found.await;
    if let Err(error) = remove::container(docker, &id).await {
        tracing::warn!(%error, "a container that was made to look into an image is left; a sweep removes it");
    }
    found
}

async fn file(docker: &Docker, id: &str, path: &str) -> Result<Vec<u8>, Fault> {
    let first = entry(docker, id, path, LIST).await?;
    Ok(first.map(|first| first.data).unwrap_or_default())
}

/// One file or folder inside a container, if it is there.
pub(crate) async fn entry(
    docker: &Docker,
    id: &str,
    path: &str,
    most: usize,
) -> Result<Option<archive::First>, Fault> {
    let options = DownloadFromContainerOptionsBuilder::new()
        .path(path)
        .build();
    let stream = docker.download_from_container(id, Some(options));
    match call::DOWNLOAD.read(stream, most).await {
        Ok(bytes) => Ok(archive::first(&bytes)),
        Err(fault) if fault.is_gone() => Ok(None),
        Err(fault) => Err(fault),
    }
}
