//! Which crate of the workspace may depend on which, and that every crate takes the common lints.

use crate::{assert_none, source};

/// A folder of crates (the first that fits counts) and the crates of ours that it may name, also for
/// its tests. deploy/ and tests/ may name all.
const MAY_DEPEND_ON: &[(&str, &[&str])] = &[
    ("proto/service/", &["sandgate-proto"]),
    ("proto/", &[]),
    ("gateway/", &["sandgate-proto", "sandgate-service"]),
    ("providers/kit/fuzz/", &["sandgate-kit"]),
    (
        "providers/kit/",
        &[
            "sandgate-proto",
            "sandgate-runner-proto",
            "sandgate-service",
        ],
    ),
    ("providers/runner/fuzz/", &["sandgate-runner-proto"]),
    // The bundle has the runner's program in it and names no crate for that.
    ("providers/runner/bundle/", &[]),
    ("providers/runner/", &["sandgate-runner-proto"]),
    ("providers/e2b/envd/", &[]),
    (
        "providers/e2b/",
        &[
            "sandgate-e2b-envd",
            "sandgate-kit",
            "sandgate-proto",
            "sandgate-runner-bundle",
            "sandgate-service",
        ],
    ),
    (
        "providers/",
        &[
            "sandgate-kit",
            "sandgate-proto",
            "sandgate-runner-bundle",
            "sandgate-runner-proto",
            "sandgate-service",
        ],
    ),
];

fn manifests() -> Vec<(String, toml::Table)> {
    let parsed = |path: String| {
        let table = source::read(&path)
            .parse()
            .unwrap_or_else(|error| panic!("{path}: {error}"));
        (path, table)
    };
    source::files("/Cargo.toml")
        .into_iter()
        .map(parsed)
        .collect()
}

/// The crates of ours that a manifest names, for whatever purpose.
fn own_dependencies(manifest: &toml::Table) -> Vec<String> {
    let mut found = Vec::new();
    for (section, value) in manifest {
        let Some(entries) = value.as_table() else {
            continue;
        };
        if section == "target" {
            found.extend(
                entries
                    .values()
                    .filter_map(toml::Value::as_table)
                    .flat_map(own_dependencies),
            );
        } else if section.ends_with("dependencies") {
            found.extend(entries.iter().map(|(name, entry)| {
                let package = entry.get("package").and_then(toml::Value::as_str);
                package.unwrap_or(name).to_owned()
            }));
        }
    }
    found.retain(|name| name.starts_with("sandgate-"));
    found
}

#[test]
fn dependencies_point_one_way() {
    let mut findings = Vec::new();
    for (path, manifest) in manifests() {
        let Some((_, allowed)) = MAY_DEPEND_ON
            .iter()
            .find(|(folder, _)| path.starts_with(folder))
        else {
            continue;
        };
        for name in own_dependencies(&manifest) {
            if !allowed.contains(&name.as_str()) {
                findings.push(format!("{path}: {name}"));
            }
        }
    }
    assert_none(
        "gateway → proto ← kit ← providers; only deploy/ and tests/ link more:",
        &findings,
    );
}

#[test]
fn every_crate_takes_the_common_lints() {
    let findings: Vec<_> = manifests()
        .into_iter()
        .filter(|(_, manifest)| manifest.contains_key("package"))
        .filter(|(_, manifest)| {
            let lints = manifest
                .get("lints")
                .and_then(|lints| lints.get("workspace"));
            lints.and_then(toml::Value::as_bool) != Some(true)
        })
        .map(|(path, _)| path)
        .collect();
    assert_none("add `[lints]` with `workspace = true`:", &findings);
}
