//! The table of features that newcomers read, against what a provider answers.

use sandgate_proto::v1::{GetCapabilitiesRequest, Support};
use sandgate_system::Client;

const PAGE: &str = include_str!("../../../../docs/providers/README.md");

/// Compares the column of a provider.
pub(crate) async fn is_true(client: &Client, provider: &str) {
    let request = GetCapabilitiesRequest {
        provider: provider.to_owned(),
        ..Default::default()
    };
    let answer = client.sandboxes().get_capabilities(request).await;
    let features = answer.unwrap().into_inner().capabilities.unwrap().features;
    let column = cells("feature")
        .iter()
        .position(|cell| *cell == provider)
        .unwrap();
    for feature in features {
        let word = match feature.support() {
            Support::Native => "native",
            Support::Emulated => "emulated",
            _ => "—",
        };
        let said = cells(&format!("`{}`", feature.name))[column];
        // One that depends on the host says both.
        let is_said = said.split(" or ").any(|one| one == word);
        assert!(is_said, "{provider} {}: {word}, not {said}", feature.name);
    }
}

/// The row that begins so.
fn cells(first: &str) -> Vec<&'static str> {
    let rows = PAGE.lines().map(|line| line.split('|').map(str::trim));
    let mut rows = rows.map(Iterator::collect::<Vec<_>>);
    let found = rows.find(|cells| cells.get(1) == Some(&first));
    found.unwrap_or_else(|| panic!("the table has no row {first}"))
}
