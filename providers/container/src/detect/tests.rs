//! Which engine is chosen, from files and variables made up.

use std::collections::HashMap;

use super::*;

/// Files of a made-up `/home/a/.docker`.
#[derive(Default)]
struct Files(HashMap<PathBuf, String>);

impl Files {
    fn with(mut self, path: &str, text: impl Into<String>) -> Self {
        self.0
            .insert(Path::new("/home/a/.docker").join(path), text.into());
        self
    }

    fn context(self, name: &str, host: &str) -> Self {
        let path = format!("contexts/meta/{}/meta.json", hex(&Sha256::digest(name)));
        let meta = format!(
            r#"{{"Name":"{name}","Metadata":{{}},"Endpoints":{{"docker":{{"Host":"{host}","SkipTLSVerify":false}}}}}}"#
        );
        self.with(&path, meta)
    }

    fn current(self, name: &str) -> Self {
        self.with(
            "config.json",
            format!(r#"{{"auths":{{}},"currentContext":"{name}"}}"#),
        )
    }

    fn detect(&self, inputs: Inputs) -> Result<Endpoint, DetectError> {
        let inputs = Inputs {
            config_dir: Some("/home/a/.docker".into()),
            ..inputs
        };
        detect(&inputs, |path| {
            self.0.get(path).map(|text| text.clone().into_bytes())
        })
    }
}

fn host(text: &str) -> Inputs {
    Inputs {
        host: Some(text.into()),
        ..Inputs::default()
    }
}

fn unix(path: &str) -> Result<Endpoint, DetectError> {
    Ok(Endpoint::Unix(path.into()))
}

fn plain(address: &str) -> Result<Endpoint, DetectError> {
    Ok(Endpoint::Plain(address.into()))
}

#[test]
fn without_anything_it_is_the_default_socket() {
    assert_eq!(
        Files::default().detect(Inputs::default()),
        unix("/var/run/docker.sock")
    );
    assert_eq!(
        detect(&Inputs::default(), |_| None),
        unix("/var/run/docker.sock")
    );
    let empty = Inputs {
        host: Some(" ".into()),
        cli_host: Some(String::new()),
        ..Inputs::default()
    };
    assert_eq!(Files::default().detect(empty), unix("/var/run/docker.sock"));
}

#[test]
fn the_first_of_address_variable_context_wins() {
    let files = Files::default()
        .current("b")
        .context("a", "unix:///a")
        .context("b", "unix:///b");
    let mut inputs = Inputs {
        host: Some("unix:///own".into()),
        cli_host: Some("unix:///cli".into()),
        cli_context: Some("a".into()),
        ..Inputs::default()
    };
    assert_eq!(files.detect(inputs.clone()), unix("/own"));
    inputs.host = None;
    assert_eq!(files.detect(inputs.clone()), unix("/cli"));
    inputs.cli_host = None;
    assert_eq!(files.detect(inputs.clone()), unix("/a"));
    inputs.cli_context = None;
    assert_eq!(files.detect(inputs), unix("/b"));
}

#[test]
fn the_default_context_is_the_default_socket() {
    let files = Files::default()
        .current("remote")
        .context("remote", "tcp://10.0.0.3:2375");
    let inputs = Inputs {
        cli_context: Some("default".into()),
        ..Inputs::default()
    };
    assert_eq!(files.detect(inputs), unix("/var/run/docker.sock"));
}

#[test]
fn the_folder_of_a_context_is_the_hash_of_its_name() {
    // printf %s foo | sha256sum
    let known = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae";
    let meta = r#"{"Endpoints":{"docker":{"Host":"unix:///foo"}}}"#;
    let files = Files::default()
        .current("foo")
        .with(&format!("contexts/meta/{known}/meta.json"), meta);
    assert_eq!(files.detect(Inputs::default()), unix("/foo"));
}

#[test]
fn a_context_with_certificates_uses_them() {
    let folder = format!("contexts/tls/{}/docker", hex(&Sha256::digest("prod")));
    let files = Files::default()
        .current("prod")
        .context("prod", "tcp://10.0.0.3:2376")
        .with(&format!("{folder}/ca.pem"), "x");
    let Ok(Endpoint::Tls(address, files)) = files.detect(Inputs::default()) else {
        panic!("no TLS")
    };
    assert_eq!(address, "10.0.0.3:2376");
    assert_eq!(
        files.key,
        Path::new("/home/a/.docker").join(folder).join("key.pem")
    );
}

#[test]
fn a_context_that_skips_verification_is_refused() {
    let id = hex(&Sha256::digest("lax"));
    let meta = r#"{"Endpoints":{"docker":{"Host":"tcp://h:1","SkipTLSVerify":true}}}"#;
    let files = Files::default()
        .current("lax")
        .with(&format!("contexts/meta/{id}/meta.json"), meta)
        .with(&format!("contexts/tls/{id}/docker/ca.pem"), "x");
    assert_eq!(
        files.detect(Inputs::default()),
        Err(DetectError::Unverified("lax".into()))
    );
}

#[test]
fn missing_and_broken_contexts_are_named() {
    let gone = Files::default().current("gone");
    assert_eq!(
        gone.detect(Inputs::default()),
        Err(DetectError::NoContext("gone".into()))
    );
    let broken = Files::default().with("config.json", "{");
    let path = PathBuf::from("/home/a/.docker/config.json");
    assert_eq!(
        broken.detect(Inputs::default()),
        Err(DetectError::Unreadable(path))
    );
}

#[test]
fn addresses_are_read_as_the_cli_reads_them() {
    let read = |text| Files::default().detect(host(text));
    assert_eq!(
        read("unix:///run/user/1000/docker.sock"),
        unix("/run/user/1000/docker.sock")
    );
    assert_eq!(read("tcp://10.0.0.3:2375"), plain("10.0.0.3:2375"));
    assert_eq!(read("tcp://10.0.0.3"), plain("10.0.0.3:2375"));
    assert_eq!(read("http://localhost:2375/"), plain("localhost:2375"));
    assert_eq!(read("tcp://[::1]"), plain("[::1]:2375"));
    assert_eq!(read("tcp://[::1]:99"), plain("[::1]:99"));
    assert_eq!(read("engine:2375"), plain("engine:2375"));
}

#[test]
fn tls_comes_from_https_or_from_the_variable() {
    let certificates = certificates(Path::new("/certs"));
    let read = |text: &str, tls_verify| {
        Files::default().detect(Inputs {
            tls_verify,
            cert_path: Some("/certs".into()),
            ..host(text)
        })
    };
    let tls = |address: &str| Ok(Endpoint::Tls(address.into(), certificates.clone()));
    assert_eq!(read("https://e", false), tls("e:2376"));
    assert_eq!(read("tcp://e:1", true), tls("e:1"));
    assert_eq!(read("tcp://e:1", false), plain("e:1"));
    assert_eq!(read("http://e:1", true), plain("e:1"));
    let bare = Inputs {
        tls_verify: true,
        ..host("tcp://e")
    };
    assert_eq!(detect(&bare, |_| None), Err(DetectError::NoCertificates));
}

#[test]
fn what_cannot_be_spoken_says_what_to_do_and_no_password() {
    let read = |text| Files::default().detect(host(text)).unwrap_err().to_string();
    assert!(read("ssh://me:hunter2@host").contains("ssh -NL"));
    for text in [
        "ssh://me:hunter2@host",
        "npipe:////./pipe/hunter2",
        "tcp://me:hunter2@host",
    ] {
        assert!(!read(text).contains("hunter2"), "{text}");
    }
    for text in ["unix://relative", "tcp://", "tcp://h:port", "tcp://h/path"] {
        assert!(read(text).contains("malformed"), "{text}");
    }
}
