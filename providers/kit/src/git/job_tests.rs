//! What becomes of a CloneRepository.

use sandgate_proto::provider::v1::{GatewayPayload, GitCredential};

use super::*;

fn request() -> CloneRepositoryRequest {
    CloneRepositoryRequest {
        session_id: "s".to_owned(),
        execution_id: "e".to_owned(),
        repository: "o/r".to_owned(),
        ..Default::default()
    }
}

fn with_token(token: &str) -> CloneRepositoryRequest {
    let git = GitCredential {
        username: "oauth2".to_owned(),
        token: Bytes::copy_from_slice(token.as_bytes()),
        hosts: vec!["github.com".to_owned()],
        ..Default::default()
    };
    let payload = GatewayPayload {
        git: Some(git),
        ..Default::default()
    };
    CloneRepositoryRequest {
        gateway_payload: payload.encode_to_vec().into(),
        ..request()
    }
}

#[test]
fn a_renewed_token_makes_no_other_request() {
    let of = |request| clone(request).unwrap().fingerprint;
    let first = of(with_token("one"));
    assert_eq!(first, of(with_token("two")));
    assert_eq!(first, of(request()));
    let elsewhere = CloneRepositoryRequest {
        session_id: "other".to_owned(),
        ..request()
    };
    assert_eq!(first, of(elsewhere));
    let others: [fn(&mut CloneRepositoryRequest); 5] = [
        |request| request.r#ref = "x".to_owned(),
        |request| request.path = "x".to_owned(),
        |request| request.depth = Some(1),
        |request| request.submodules = true,
        |request| request.repository = "o/x".to_owned(),
    ];
    for change in others {
        let mut request = request();
        change(&mut request);
        assert_ne!(first, of(request));
    }
}

#[test]
fn the_token_is_in_the_input_alone() {
    let start = clone(with_token("sesame-open")).unwrap();
    let holds = |bytes: &[u8]| bytes.windows(11).any(|bytes| bytes == b"sesame-open");
    assert!(holds(&start.stdin));
    let without = Start {
        stdin: Bytes::new(),
        ..start
    };
    assert!(!holds(&without.encode_to_vec()));
    assert!(without.env.is_empty());
}

#[test]
fn what_is_not_said_is_filled_in() {
    let start = clone(request()).unwrap();
    assert_eq!(start.timeout_ms, 15 * 60 * 1000);
    let job = CloneJob::decode(start.stdin).unwrap();
    assert_eq!((job.path.as_str(), job.depth), ("o/r", 1));
    let all = CloneRepositoryRequest {
        depth: Some(0),
        path: "-x y".to_owned(),
        ..request()
    };
    let job = CloneJob::decode(clone(all).unwrap().stdin).unwrap();
    assert_eq!((job.path.as_str(), job.depth), ("-x y", 0));
}

#[test]
fn names_that_are_none_are_refused() {
    for good in [
        "",
        "main",
        "feature/a-b",
        "v1.0",
        "refs/heads/x",
        &"a".repeat(40),
    ] {
        assert!(check_ref(good).is_ok(), "{good}");
    }
    for wrong in [
        "-x",
        "--upload-pack=x",
        "a b",
        "a..b",
        "a:b",
        "a~1",
        "a^",
        "a\n",
        "x.lock",
        "@{1}",
        "/x",
        "x/",
        "a//b",
        "a/.b",
        "a?",
        "a*",
        "a[",
        "a\\b",
        &"a".repeat(256),
    ] {
        assert!(check_ref(wrong).is_err(), "{wrong:?}");
    }
}
