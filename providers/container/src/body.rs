//! From a checked spec to the body of the engine's create call. Asks nothing of the engine.

use bollard::models::{
    ContainerCreateBody, HealthConfig, HostConfig, Mount, RestartPolicy, RestartPolicyNameEnum,
};
use sandgate_kit::{Kind, ProviderError, Spec, fill_lifecycle};
use sandgate_proto::v1::{NetworkMode, SandboxSpec, sandbox_spec::Source};

use crate::{
    Config,
    engine::Facts,
    names::Labels,
    people::{People, Person},
    runner::{self, Settings},
};

/// Working folder of a sandbox that asks for none.
const WORKSPACE: &str = "/workspace";
/// User of the runner: it makes commands run as whoever they should.
const ROOT: &str = "0:0";
/// What the runner needs, and package managers inside; nothing that reaches the host or its network.
const CAPABILITIES: [&str; 6] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "SETUID",
    "SETGID",
    "KILL",
];
/// The least memory that the engine accepts (docs.docker.com/engine/containers/resource_constraints).
const MIN_MEMORY_BYTES: u64 = 6 * 1024 * 1024;
/// The least CPU that the engine accepts, thousandths.
const MIN_CPU_MILLIS: u64 = 10;
const NANOS_PER_MILLI: u64 = 1_000_000;

/// The spec as it will be carried out, for callers to look at.
pub(crate) fn resolved(config: &Config, mut spec: SandboxSpec) -> SandboxSpec {
    spec.source
        .get_or_insert_with(|| Source::Image(config.image.clone()));
    let limits = spec.resources.get_or_insert_default();
    limits.memory_bytes = or_default(limits.memory_bytes, config.memory_bytes);
    limits.cpu_millis = or_default(limits.cpu_millis, narrow(config.cpu_millis));
    limits.pids = or_default(limits.pids, narrow(config.pids));
    spec.runtime = or(&spec.runtime, &config.runtime);
    spec.workdir = or(&spec.workdir, WORKSPACE);
    fill_lifecycle(&mut spec);
    let network = spec.network.get_or_insert_default();
    if network.mode() == NetworkMode::Unspecified {
        network.set_mode(NetworkMode::Private);
    }
    spec
}

/// Zero on the wire means unset.
fn or_default<T: Default + PartialEq>(asked: T, default: T) -> T {
    if asked == T::default() {
        default
    } else {
        asked
    }
}

fn narrow(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// What a sandbox will be, with every default filled in.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Plan {
    image: String,
    runtime: String,
    /// Of commands; empty: root.
    pub(crate) user: String,
    pub(crate) workdir: String,
    env: Vec<String>,
    memory_bytes: i64,
    nano_cpus: i64,
    pids: i64,
}

impl Plan {
    /// Refuses what this engine cannot do, before anything is made.
    pub(crate) fn new(config: &Config, facts: &Facts, spec: &Spec) -> Result<Self, ProviderError> {
        let image = match &spec.source {
            None => config.image.clone(),
            Some(Source::Image(image)) => image.clone(),
            Some(Source::Template(_)) => return Err(unsupported("template")),
            Some(Source::Snapshot(_)) => return Err(unsupported("snapshot")),
        };
        if spec.limits.disk_bytes.is_some() {
            return Err(unsupported("disk_bytes"));
        }
        let workdir = or(&spec.workdir, WORKSPACE);
        if !workdir.starts_with('/') || workdir.contains('\0') {
            return Err(invalid("spec.workdir", "must be an absolute path"));
        }
        if spec.env.values().any(|value| value.contains('\0')) {
            return Err(invalid("spec.env", "a value must not contain a NUL byte"));
        }
        let limits = &spec.limits;
        let memory = limits.memory_bytes.unwrap_or(config.memory_bytes);
        let cpu = limits.cpu_millis.unwrap_or(config.cpu_millis);
        check_limits(memory, cpu, facts)?;
        Ok(Self {
            image,
            runtime: or(&spec.runtime, &config.runtime),
            user: spec.user.clone(),
            workdir,
            env: spec
                .env
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect(),
            memory_bytes: signed(memory),
            nano_cpus: signed(cpu.saturating_mul(NANOS_PER_MILLI)),
            pids: signed(limits.pids.unwrap_or(config.pids)),
        })
    }

    /// The image to make it from.
    pub(crate) fn image(&self) -> &str {
        &self.image
    }

    /// Settles who commands run as, which only the image tells, and gives that user.
    ///
    /// # Errors
    /// `InvalidField` where the image has no such user.
    pub(crate) fn settle(&mut self, people: &People) -> Result<Person, ProviderError> {
        if self.user.is_empty() {
            self.user.clone_from(&people.default);
        }
        let person = people.find(&self.user)?;
        let named = self.env.iter().any(|pair| pair.starts_with("HOME="));
        // The engine would give commands the home of the runner's own user.
        if !named && people.home.is_none() && person.uid != 0 {
            self.env.push(format!("HOME={}", person.home));
        }
        Ok(person)
    }

    /// The create call's body. `network` is what the engine calls a network mode; `arguments` are
    /// the runner's.
    pub(crate) fn body(
        self,
        labels: Labels,
        network: &str,
        arguments: Vec<String>,
        mounts: Vec<Mount>,
    ) -> ContainerCreateBody {
        let host_config = HostConfig {
            mounts: (!mounts.is_empty()).then_some(mounts),
            ..self.host_config(network)
        };
        ContainerCreateBody {
            image: Some(self.image),
            // An image's own entrypoint and health check would run as the sandbox's main process.
            entrypoint: Some(vec![runner::PROGRAM.to_owned()]),
            cmd: Some(arguments),
            healthcheck: Some(HealthConfig {
                test: Some(vec!["NONE".to_owned()]),
                ..Default::default()
            }),
            stop_signal: Some("SIGTERM".to_owned()),
            user: Some(ROOT.to_owned()),
            env: Some(self.env),
            working_dir: Some(self.workdir),
            labels: Some(labels),
            host_config: Some(host_config),
            ..Default::default()
        }
    }

    /// What the runner is told.
    pub(crate) fn settings(&self, sandbox: Option<(String, u64)>) -> Settings {
        Settings {
            workdir: self.workdir.clone(),
            user: self.user.clone(),
            sandbox,
            ..Settings::default()
        }
    }

    fn host_config(&self, network: &str) -> HostConfig {
        HostConfig {
            network_mode: Some(network.to_owned()),
            memory: Some(self.memory_bytes),
            // Memory and swap together: the same number, so no swap.
            memory_swap: Some(self.memory_bytes),
            nano_cpus: Some(self.nano_cpus),
            pids_limit: Some(self.pids),
            cap_drop: Some(vec!["ALL".to_owned()]),
            cap_add: Some(CAPABILITIES.map(str::to_owned).to_vec()),
            security_opt: Some(vec!["no-new-privileges".to_owned()]),
            privileged: Some(false),
            init: Some(false),
            restart_policy: Some(RestartPolicy {
                name: Some(RestartPolicyNameEnum::NO),
                maximum_retry_count: None,
            }),
            runtime: (!self.runtime.is_empty()).then(|| self.runtime.clone()),
            ..Default::default()
        }
    }
}

fn check_limits(memory: u64, cpu: u64, facts: &Facts) -> Result<(), ProviderError> {
    if memory < MIN_MEMORY_BYTES {
        return Err(invalid(
            "spec.resources.memory_bytes",
            "must be at least 6 MiB",
        ));
    }
    if cpu < MIN_CPU_MILLIS {
        return Err(invalid("spec.resources.cpu_millis", "must be at least 10"));
    }
    if facts.cpus > 0 && cpu > facts.cpus * 1000 {
        let message = format!(
            "the engine has {} cores; ask for at most {}",
            facts.cpus,
            facts.cpus * 1000
        );
        return Err(invalid("spec.resources.cpu_millis", message));
    }
    Ok(())
}

fn or(asked: &str, default: &str) -> String {
    if asked.is_empty() {
        default.to_owned()
    } else {
        asked.to_owned()
    }
}

/// The engine counts in signed numbers; more than those hold is as good as no limit.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn invalid(field: &'static str, message: impl Into<String>) -> ProviderError {
    ProviderError::new(Kind::InvalidField(field), message)
}

fn unsupported(feature: &'static str) -> ProviderError {
    ProviderError::new(
        Kind::Unsupported(feature),
        format!(
            "containers have no {feature} (GetCapabilities says so); leave it out, and choose what the sandbox starts from with spec.image"
        ),
    )
}

#[cfg(test)]
mod tests;
