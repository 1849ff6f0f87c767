//! The token goes to its host, and to no other that a repository, a server or a name leads to.

use sandgate_system::GitServer;

use crate::{
    kinds::Kind,
    stand::{Stand, TOKEN, code},
    tokens::in_folder,
};

/// Whether a server has been told a password.
fn was_told(server: &GitServer) -> bool {
    server.asked().iter().any(|asked| asked.password.is_some())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_to_a_lookalike_is_not_followed() {
    let stand = Stand::start(Kind::Local).await;
    stand.repositories.small("r.git");
    // Another port is another host; it would give the repository to anybody, and keep the password.
    let lookalike = GitServer::start(stand.repositories.root()).await;
    for way in ["open", "closed"] {
        lookalike.takes(TOKEN);
        stand
            .server
            .leads_to(&format!("http://127.0.0.1:{}/{way}", lookalike.port));
        let moved = in_folder(stand.request("/moved/r.git"), "moved");
        let moved = stand.clone(moved).await.unwrap();
        assert!(code(&moved).unwrap() > 0, "{moved:?}");
        assert!(moved.output_tail.contains("has moved"), "{moved:?}");
        assert!(!was_told(&lookalike));
        assert_eq!(stand.said("ls -A").await, "");
    }
    assert_eq!(lookalike.asked().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_name_is_another_host() {
    let stand = Stand::start(Kind::Local).await;
    stand.repositories.small("r.git");
    let other = GitServer::start(stand.repositories.root()).await;
    other.takes(TOKEN);
    let port = stand.server.port;
    for url in [
        format!("http://127.0.0.1:{}/closed/r.git", other.port),
        format!("http://localhost:{port}/closed/r.git"),
    ] {
        let mut request = in_folder(stand.request(""), "other");
        request.repository = url;
        let cloned = stand.clone(request).await.unwrap();
        assert!(
            code(&cloned).unwrap() > 0 && !cloned.authenticated,
            "{cloned:?}"
        );
    }
    assert!(!was_told(&other) && !was_told(&stand.server));
}

/// What the sandbox's user has configured must not lead the token elsewhere, nor have it stored.
#[tokio::test(flavor = "multi_thread")]
async fn the_users_own_configuration_does_not_see_the_token() {
    let stand = Stand::start(Kind::Local).await;
    stand.repositories.small("r.git");
    let other = GitServer::start(stand.repositories.root()).await;
    other.takes(TOKEN);
    let (origin, elsewhere) = (&stand.origin, format!("http://127.0.0.1:{}", other.port));
    stand
        .said(&format!(
            "git config --global credential.helper '!cat >>/tmp/helper; true' && \
             git config --global credential.{origin}.helper 'store --file=/tmp/stored' && \
             git config --global core.hooksPath /tmp/hooks && \
             git config --global init.templateDir /tmp/template && \
             git config --global url.{elsewhere}/.insteadOf {origin}/ && \
             git config --global http.proxy {elsewhere} && \
             mkdir -p /tmp/hooks /tmp/template/hooks && \
             printf '#!/bin/sh\\ntouch /tmp/hooked\\n' > /tmp/hooks/post-checkout && \
             chmod +x /tmp/hooks/post-checkout && cp /tmp/hooks/post-checkout /tmp/template/hooks"
        ))
        .await;
    let cloned = stand.cloned(stand.request("/closed/r.git")).await;
    assert!(cloned.authenticated);
    assert_eq!(other.asked().len(), 0);
    let left = stand
        .said("ls /tmp/helper /tmp/stored /tmp/hooked 2>/dev/null; true")
        .await;
    assert_eq!(left, "");
    let hooks = stand
        .said(&format!("ls {}/.git/hooks 2>/dev/null; true", cloned.path))
        .await;
    assert_eq!(hooks, "");
}
