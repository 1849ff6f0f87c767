//! A container like one that the provider made, by the engine's plain calls and nothing else.

use std::{net::Ipv4Addr, time::Instant};

use serde_json::{Map, Value, json};
use tempfile::TempDir;

use super::{Engine, made::LABEL, text};
use crate::error::{Error, Result, machine};

/// First address of the range that networks are cut from, 16 addresses each; the provider's own
/// range ends below it.
const SUBNETS: Ipv4Addr = Ipv4Addr::new(10, 231, 128, 0);
/// Folders of the host's kernel, which cannot be replaced by others.
const KERNEL: &str = "/sys/";

/// How to make the container, with the same parameters.
pub(crate) struct Recipe {
    name: String,
    container: Value,
    /// None where the container shares a network that is there already.
    network: Option<Value>,
    made: u32,
}

impl Recipe {
    /// Reads it off a running container. What it makes is named and labelled `name`.
    pub(crate) async fn of(engine: &Engine, container: &str, name: &str) -> Result<Self> {
        let seen = engine
            .ask("GET", &format!("/containers/{container}/json"), None)
            .await?;
        let host = &seen["HostConfig"];
        let mode = host["NetworkMode"].as_str().unwrap_or_default();
        let network = if ["", "none", "host", "bridge", "default"].contains(&mode) {
            None
        } else {
            let path = format!("/networks/{mode}");
            let seen = engine.ask("GET", &path, None).await?;
            let kept = ["Driver", "Internal", "EnableIPv6", "Options"];
            Some(Value::Object(
                kept.into_iter()
                    .map(|field| (field.to_owned(), seen[field].clone()))
                    .collect(),
            ))
        };
        let mut body = seen["Config"].as_object().cloned().unwrap_or_default();
        // The engine makes these up from the id.
        body.remove("Hostname");
        body.remove("Domainname");
        body.insert("HostConfig".to_owned(), host.clone());
        body.insert("Labels".to_owned(), labels(name));
        Ok(Self {
            name: name.to_owned(),
            container: Value::Object(body),
            network,
            made: 0,
        })
    }

    /// Makes network and container, starts and inspects it; seconds that took. Then removes it.
    pub(crate) async fn time(&mut self, engine: &Engine) -> Result<f64> {
        self.made += 1;
        let folders = TempDir::with_prefix("sandgate-bench-bare-")
            .map_err(machine("cannot make a folder"))?;
        let mut body = self.container.clone();
        fresh_folders(&mut body["HostConfig"], &folders)?;
        let name = format!("{}-{}", self.name, self.made);
        let network = self.network.as_ref().map(|like| self.network(like, &name));

        let begun = Instant::now();
        if let Some(network) = &network {
            let made = engine.ask("POST", "/networks/create", Some(network));
            let id = id(&made.await?)?;
            body["HostConfig"]["NetworkMode"] = Value::String(id);
        }
        let path = format!("/containers/create?name={name}");
        let made = id(&engine.ask("POST", &path, Some(&body)).await?)?;
        let path = format!("/containers/{made}/start");
        engine.ask("POST", &path, None).await?;
        let path = format!("/containers/{made}/json");
        engine.ask("GET", &path, None).await?;
        let took = begun.elapsed();

        engine.remove_container(&made).await?;
        if network.is_some() {
            engine.remove_network(&name).await?;
        }
        Ok(took.as_secs_f64())
    }

    fn network(&self, like: &Value, name: &str) -> Value {
        let base = u32::from(SUBNETS) + (self.made % 2048) * 16;
        let subnet = format!("{}/28", Ipv4Addr::from(base));
        let mut network = like.clone();
        network["Name"] = json!(name);
        network["Labels"] = labels(&self.name);
        network["IPAM"] = json!({"Config": [{"Subnet": subnet}]});
        network
    }
}

fn labels(name: &str) -> Value {
    Value::Object(Map::from_iter([(LABEL.to_owned(), json!(name))]))
}

fn id(made: &Value) -> Result<String> {
    text(made, "Id").ok_or_else(|| Error::Engine {
        doing: "a create".to_owned(),
        what: "no id".to_owned(),
    })
}

/// Puts an empty folder in the place of each that the container may write to: two containers must
/// not share those.
fn fresh_folders(host: &mut Value, folders: &TempDir) -> Result<()> {
    let mut count = 0;
    let mut fresh = || {
        count += 1;
        let folder = folders.path().join(count.to_string());
        std::fs::create_dir(&folder).map_err(machine("cannot make a folder"))?;
        Ok::<_, Error>(folder.display().to_string())
    };
    for bind in host["Binds"].as_array_mut().into_iter().flatten() {
        let parts: Vec<&str> = bind.as_str().unwrap_or_default().split(':').collect();
        if let [source, target, options @ ..] = parts.as_slice() {
            let read_only = options
                .iter()
                .any(|list| list.split(',').any(|o| o == "ro"));
            if !read_only && !source.starts_with(KERNEL) {
                let rest = [&[*target], options].concat().join(":");
                *bind = json!(format!("{}:{rest}", fresh()?));
            }
        }
    }
    for mount in host["Mounts"].as_array_mut().into_iter().flatten() {
        let source = mount["Source"].as_str().unwrap_or_default();
        let ours = mount["Type"] == "bind" && mount["ReadOnly"] != true;
        if ours && !source.starts_with(KERNEL) {
            mount["Source"] = json!(fresh()?);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_that_can_be_written_are_replaced() {
        let folders = TempDir::new().unwrap();
        let mut host = json!({
            "Binds": ["/a/runner:/r:ro", "/a/socket:/s", "/a/x:/x:rw,z", "/sys/fs/cgroup/y:/y"],
            "Mounts": [
                {"Type": "bind", "Source": "/a/m", "Target": "/m"},
                {"Type": "bind", "Source": "/a/n", "Target": "/n", "ReadOnly": true},
                {"Type": "tmpfs", "Target": "/t"},
            ],
        });
        fresh_folders(&mut host, &folders).unwrap();
        let at = |name: &str| folders.path().join(name).display().to_string();
        let binds = json!([
            "/a/runner:/r:ro",
            format!("{}:/s", at("1")),
            format!("{}:/x:rw,z", at("2")),
            "/sys/fs/cgroup/y:/y"
        ]);
        assert_eq!(host["Binds"], binds);
        assert_eq!(host["Mounts"][0]["Source"], at("3"));
        assert_eq!(host["Mounts"][1]["Source"], "/a/n");
        assert!(host["Mounts"][2].get("Source").is_none());
    }
}
