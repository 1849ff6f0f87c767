//! Rule 10: what a provider cannot do it says beforehand, and refuses.

use std::collections::BTreeSet;

use sandgate_proto::v1::{self, NetworkMode, Support, sandbox_spec::Source};
use tonic::Code;
use tonic_types::StatusExt as _;

use super::{FEATURES, feature_calls::call};
use crate::{
    failure::{Failure, broken, ensure, refused, same},
    suite::Check,
    world::Context,
};

const RULE: &str = "rule 10";

pub(crate) const CHECKS: &[Check] = &[
    Check::new(RULE, "capabilities_complete", "GetCapabilities names every feature of the contract once, says how each is had, and notes what an EMULATED one lacks.", |context| Box::pin(complete(context))),
    Check::new(RULE, "capabilities_stable", "Two answers of GetCapabilities in a row agree.", |context| Box::pin(stable(context))),
    Check::new(RULE, "sources_honest", "sources holds image, template and snapshot just where the features have them.", |context| Box::pin(sources(context))),
    Check::new(RULE, "required_refused", "required_capabilities that are UNSUPPORTED or unknown refuse the create as CAPABILITY_UNSUPPORTED, and nothing is made.", |context| Box::pin(required_refused(context))),
    Check::new(RULE, "required_had", "required_capabilities that the provider has do not stand in the way.", |context| Box::pin(required_had(context))).within(240),
    Check::new(RULE, "spec_refused", "A spec that asks for an UNSUPPORTED feature is refused as CAPABILITY_UNSUPPORTED before anything is made.", |context| Box::pin(spec_refused(context))).within(240),
    Check::new(RULE, "rpcs_refused", "rpcs of an UNSUPPORTED feature answer UNIMPLEMENTED · CAPABILITY_UNSUPPORTED.", |context| Box::pin(rpcs_refused(context))),
];

async fn complete(context: &Context<'_>) -> Result<(), Failure> {
    let seen = &context.world.capabilities;
    let mut names = BTreeSet::new();
    for feature in &seen.features {
        let name = feature.name.as_str();
        ensure(names.insert(name), || {
            format!("feature {name} is there twice")
        })?;
        let support = feature.support();
        ensure(support != Support::Unspecified, || {
            format!("support of {name} is unspecified")
        })?;
        ensure(
            support != Support::Emulated || !feature.note.is_empty(),
            || format!("{name} is EMULATED without a note that says what differs"),
        )?;
    }
    let missing: Vec<_> = FEATURES
        .iter()
        .filter(|name| !names.contains(**name))
        .collect();
    ensure(missing.is_empty(), || {
        format!("features that are not named: {missing:?}")
    })?;
    same(
        "provider",
        seen.provider.as_str(),
        context.subject().provider(),
    )?;
    ensure(!seen.version.is_empty(), || "version is empty")?;
    ensure(!seen.isolation.is_empty(), || "isolation is empty")?;
    let placement = seen.placement();
    ensure(
        placement != v1::Placement::Unspecified,
        || "placement is unspecified",
    )?;
    ensure(
        placement != v1::Placement::Sticky || !seen.instance_id.is_empty(),
        || "placement is STICKY, but instance_id is empty",
    )
}

async fn stable(context: &Context<'_>) -> Result<(), Failure> {
    let again = context.subject().capabilities().await?;
    same("the second answer", &again, &context.world.capabilities)
}

fn has(context: &Context<'_>, name: &str) -> bool {
    let of_name = |feature: &&v1::Feature| feature.name == name;
    let said = context.world.capabilities.features.iter().find(of_name);
    said.is_some_and(|feature| matches!(feature.support(), Support::Native | Support::Emulated))
}

async fn sources(context: &Context<'_>) -> Result<(), Failure> {
    for source in ["image", "template", "snapshot"] {
        let listed = context
            .world
            .capabilities
            .sources
            .iter()
            .any(|one| one == source);
        same(
            &format!("whether sources holds {source}"),
            listed,
            has(context, source),
        )?;
    }
    Ok(())
}

/// Fails unless this spec is refused for want of a capability, and nothing is there after it.
async fn spec_is_refused(
    context: &Context<'_>,
    what: &str,
    spec: v1::SandboxSpec,
) -> Result<(), Failure> {
    let id = context.new_id();
    let made = context.subject().create(&id, spec).await;
    let status = refused(made, Code::Unimplemented, "CAPABILITY_UNSUPPORTED")
        .map_err(|failure| broken(format!("{what}: {failure}")))?;
    let metadata = status
        .get_details_error_info()
        .map(|info| info.metadata)
        .unwrap_or_default();
    ensure(
        metadata.contains_key("capability") || metadata.contains_key("method"),
        || format!("{what}: the ErrorInfo has neither `capability` nor `method`: {metadata:?}"),
    )?;
    let all = context.subject().list_all().await?;
    ensure(all.iter().all(|one| one.sandbox_id != id), || {
        format!("{what}: a sandbox was made all the same")
    })
}

fn required(context: &Context<'_>, names: &[&str]) -> v1::SandboxSpec {
    v1::SandboxSpec {
        required_capabilities: names.iter().map(|name| (*name).to_owned()).collect(),
        ..context.subject().spec()
    }
}

async fn required_refused(context: &Context<'_>) -> Result<(), Failure> {
    spec_is_refused(
        context,
        "an unknown one",
        required(context, &["no_such_feature"]),
    )
    .await?;
    let denied = context.world.denied(FEATURES);
    for name in denied.into_iter().take(5) {
        let spec = required(context, &["exec", name]);
        spec_is_refused(context, &format!("required {name}"), spec).await?;
    }
    Ok(())
}

async fn required_had(context: &Context<'_>) -> Result<(), Failure> {
    let had: Vec<&str> = FEATURES
        .iter()
        .copied()
        .filter(|name| has(context, name))
        .collect();
    let id = context.new_id();
    let made = context
        .subject()
        .create(&id, required(context, &had))
        .await?;
    same("state", made.state(), v1::SandboxState::Running)
}

/// A spec that needs the feature; nothing where a spec cannot.
fn asking(context: &Context<'_>, feature: &str) -> Option<v1::SandboxSpec> {
    let mut spec = context.subject().spec();
    let network = |mode: NetworkMode| v1::NetworkPolicy {
        mode: mode.into(),
        ..Default::default()
    };
    match feature {
        "image" => spec.source = Some(Source::Image("alpine:3.20".to_owned())),
        "template" => spec.source = Some(Source::Template("any".to_owned())),
        "snapshot" => spec.source = Some(Source::Snapshot("any".to_owned())),
        "runtime" => "any".clone_into(&mut spec.runtime),
        "exec_user" => "65534".clone_into(&mut spec.user),
        "network_none" => spec.network = Some(network(NetworkMode::None)),
        "network_private" => spec.network = Some(network(NetworkMode::Private)),
        "network_full" => spec.network = Some(network(NetworkMode::Full)),
        "allow_cidrs" => {
            spec.network = Some(v1::NetworkPolicy {
                allow_cidrs: vec!["192.0.2.0/24".to_owned()],
                ..Default::default()
            });
        }
        "allow_domains" => {
            spec.network = Some(v1::NetworkPolicy {
                allow_domains: vec!["example.com".to_owned()],
                ..Default::default()
            });
        }
        "resources" => {
            spec.resources = Some(v1::Resources {
                memory_bytes: 512 * 1024 * 1024,
                ..Default::default()
            });
        }
        _ => return None,
    }
    Some(spec)
}

async fn spec_refused(context: &Context<'_>) -> Result<(), Failure> {
    for feature in context.world.denied(FEATURES) {
        if let Some(spec) = asking(context, feature) {
            spec_is_refused(context, &format!("a spec with {feature}"), spec).await?;
        }
    }
    Ok(())
}

async fn rpcs_refused(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    for feature in context
        .world
        .denied(&["files", "archive", "git", "git_credentials", "ports"])
    {
        let answer = call(context, &place, feature).await;
        refused(answer, Code::Unimplemented, "CAPABILITY_UNSUPPORTED")
            .map_err(|failure| broken(format!("{feature} is UNSUPPORTED: {failure}")))?;
    }
    Ok(())
}
