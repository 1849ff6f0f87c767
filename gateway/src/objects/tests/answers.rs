//! Object stores that do not answer as they should.

use sandgate_proto::{Problem, Reason};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    sync::mpsc,
};

use super::*;

const KEY_ID: &str = "AKIAOFTHEOPERATOR";
const SECRET: &str = "the-operators-secret";

/// A store that gives everybody this answer, or none, and tells who comes.
async fn answering(answer: Option<String>) -> (Objects, mpsc::UnboundedReceiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let (told, came) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut asked = Vec::new();
            while !is_whole(&asked) && stream.read_buf(&mut asked).await.unwrap() > 0 {}
            let _ = told.send(());
            match &answer {
                Some(answer) => stream.write_all(answer.as_bytes()).await.unwrap(),
                None => open.push(stream),
            }
        }
    });
    let options = [
        ("access_key_id", KEY_ID),
        ("secret_access_key", SECRET),
        ("region", "eu-west-1"),
        ("allow_http", "true"),
        ("endpoint", &endpoint),
    ];
    let place = FilesPlace::Store {
        url: "s3://bucket".to_owned(),
        options: options
            .map(|(name, value)| (name.to_owned(), value.into()))
            .into(),
    };
    (Objects::open(&place).unwrap(), came)
}

/// A request with all of its body.
fn is_whole(asked: &[u8]) -> bool {
    let end: &[u8] = match asked.get(..3) {
        Some(b"PUT") => b"hello",
        Some(b"POS") => b"</Delete>",
        _ => b"\r\n\r\n",
    };
    asked.ends_with(end)
}

fn answer(status: &str, code: &str) -> Option<String> {
    let body =
        format!("<Error><Code>{code}</Code><AWSAccessKeyId>{KEY_ID}</AWSAccessKeyId></Error>");
    let length = body.len();
    Some(format!(
        "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    ))
}

async fn put(objects: &Objects) -> ObjectsError {
    let put = objects.put(KEY, Bytes::from_static(b"hello"));
    put.await.expect_err("it was put")
}

/// What the caller is told: that nothing was done, and when to come again.
fn told(error: &ObjectsError) -> String {
    let problem = Problem::from(error);
    assert_eq!(problem.reason(), Reason::StoreUnavailable);
    assert!(problem.retry_delay().is_some(), "{problem}");
    let said = format!("{error} {error:?} {problem}");
    assert!(!said.contains(KEY_ID) && !said.contains(SECRET), "{said}");
    problem.to_string()
}

#[tokio::test]
async fn a_refusal_is_told_with_what_to_correct_and_without_the_key() {
    for code in [
        "SignatureDoesNotMatch",
        "InvalidAccessKeyId",
        "AccessDenied",
    ] {
        let (objects, _) = answering(answer("403 Forbidden", code)).await;
        let error = put(&objects).await;
        assert!(matches!(error, ObjectsError::Refused(_)), "{error:?}");
        assert!(error.to_string().contains(code), "{error}");
        assert!(told(&error).contains("SANDGATE_FILES_OPTIONS"));
    }
}

#[tokio::test]
async fn a_bucket_that_is_not_there_is_no_damage() {
    let (objects, _) = answering(answer("404 Not Found", "NoSuchBucket")).await;
    let error = put(&objects).await;
    assert!(matches!(error, ObjectsError::NoPlace(_)), "{error:?}");
    assert!(told(&error).contains("SANDGATE_FILES_URL"));
    let error = objects.get(KEY, 0..1).await.unwrap_err();
    assert!(matches!(error, ObjectsError::NoPlace(_)), "{error:?}");
    let gone = objects.remove(vec![KEY.to_owned()]).await;
    assert!(gone.is_empty(), "nobody knows whether it is there");
}

#[tokio::test]
async fn a_store_that_fails_is_asked_again_and_then_told() {
    for status in ["503 Service Unavailable", "500 Internal Server Error"] {
        let (objects, mut came) = answering(answer(status, "SlowDown")).await;
        let error = put(&objects).await;
        assert!(matches!(error, ObjectsError::Store(_)), "{error:?}");
        told(&error);
        let mut asked = 0;
        while came.try_recv().is_ok() {
            asked += 1;
        }
        assert_eq!(asked, 4, "{status}");
    }
}

#[tokio::test]
async fn a_store_that_is_not_there_is_told() {
    let options = [("endpoint", "http://127.0.0.1:1"), ("allow_http", "true")];
    let place = FilesPlace::Store {
        url: "s3://bucket".to_owned(),
        options: options
            .into_iter()
            .chain([("access_key_id", KEY_ID), ("secret_access_key", SECRET)])
            .map(|(name, value)| (name.to_owned(), value.into()))
            .collect(),
    };
    let error = put(&Objects::open(&place).unwrap()).await;
    assert!(matches!(error, ObjectsError::Store(_)), "{error:?}");
    told(&error);
}

/// The clock stands still but for those who wait.
#[tokio::test(start_paused = true)]
async fn a_store_that_says_nothing_is_waited_for_a_minute_at_most() {
    let (objects, mut came) = answering(None).await;
    let begin = tokio::time::Instant::now();
    let error = put(&objects).await;
    assert!(begin.elapsed() <= PATIENCE + Duration::from_secs(1));
    assert!(
        matches!(error, ObjectsError::Late | ObjectsError::Store(_)),
        "{error:?}"
    );
    told(&error);
    came.recv().await.expect("it was never asked");
}
