//! DownloadArchive and UploadArchive: compression, what is left out, and what is said of it.

use std::io::{Read as _, Write as _};

use flate2::{read::GzDecoder, write::GzEncoder};
use sandgate_proto::{
    Reason,
    v1::{ArchiveSummary, Compression, DownloadArchiveRequest},
};
use sandgate_system::assert_reason;

use crate::{
    calls::packing,
    each::on_each,
    stand::{Kind, Stand},
};

#[tokio::test(flavor = "multi_thread")]
async fn archives_hold_what_was_asked_for() {
    on_each(|stand| {
        Box::pin(async move {
            compressions(stand).await;
            names(stand).await;
            left_out(stand).await;
            limits(stand).await;
            what_is_no_file(stand).await;
            refusals(stand).await;
        })
    })
    .await;
}

/// Names in an archive, in order; a directory's with a slash.
fn listed(archive: &[u8]) -> String {
    let mut archive = tar::Archive::new(archive);
    let entries = archive.entries().unwrap().map(|entry| {
        let entry = entry.unwrap();
        let name = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
        let slash = if entry.header().entry_type().is_dir() {
            "/"
        } else {
            ""
        };
        format!("{}{slash}", name.trim_end_matches('/'))
    });
    entries.collect::<Vec<_>>().join(" ")
}

fn skipped(summary: &ArchiveSummary) -> String {
    let all = summary
        .skipped
        .iter()
        .map(|one| format!("{} {}", one.path, one.reason));
    all.collect::<Vec<_>>().join(", ")
}

async fn compressions(stand: &Stand) {
    stand
        .sh("mkdir -p z/in; printf small >z/in/a; seq 200000 >z/b; : >z/empty")
        .await;
    let compressed = |compression: Compression| DownloadArchiveRequest {
        compression: compression.into(),
        ..packing("z")
    };
    let mut all = Vec::new();
    for how in [
        Compression::Unspecified,
        Compression::None,
        Compression::Gzip,
        Compression::Zstd,
    ] {
        let (archive, summary) = stand.download(compressed(how)).await.unwrap();
        assert_eq!((summary.entries, summary.bytes), (4, 1_288_900), "{how:?}");
        assert_eq!(summary.skipped_count, 0);
        // By its first bytes it is known again.
        stand.sh("rm -rf z2").await;
        let back = stand.upload("z2", &archive).await.unwrap();
        assert_eq!(back, summary, "{how:?}");
        stand.sh("diff -r z z2").await;
        all.push(archive);
    }
    assert!(all[0] == all[1]);
    assert!(all[2].starts_with(b"\x1f\x8b") && all[3].starts_with(b"\x28\xb5\x2f\xfd"));
    let mut plain = Vec::new();
    GzDecoder::new(&all[2][..]).read_to_end(&mut plain).unwrap();
    assert!(plain == all[0]);
    assert!(all[2].len() < plain.len() / 2 && all[3].len() < plain.len() / 2);
    // One that another program made.
    let mut zip = GzEncoder::new(Vec::new(), flate2::Compression::best());
    zip.write_all(&plain).unwrap();
    let zip = zip.finish().unwrap();
    assert_eq!(stand.upload("z3", &zip).await.unwrap().entries, 4);
    let unknown = DownloadArchiveRequest {
        compression: 99,
        ..packing("z")
    };
    let refused = stand.download(unknown).await.unwrap_err();
    assert_reason(&refused, Reason::InvalidField, "compression");
}

/// They are relative to the deepest directory that holds all.
async fn names(stand: &Stand) {
    stand
        .sh("mkdir -p p/a/1 p/b; touch p/a/1/x p/a/y p/b/z")
        .await;
    let workspace = &stand.workspace;
    let (absolute, other) = (format!("{workspace}/p/a/1"), format!("{workspace}/p/b/z"));
    for (paths, due) in [
        (&["p"][..], "a/ a/1/ a/1/x a/y b/ b/z"),
        (&["p/a"], "1/ 1/x y"),
        (&["p/a/y"], "y"),
        (&["p/a/1", "p/b/z"], "a/1/ a/1/x b/z"),
        (&[&absolute, &other], "a/1/ a/1/x b/z"),
    ] {
        let paths = paths.iter().map(|path| (*path).to_owned()).collect();
        let asked = DownloadArchiveRequest {
            paths,
            ..DownloadArchiveRequest::default()
        };
        let (archive, _) = stand.download(asked).await.unwrap();
        assert_eq!(listed(&archive), due);
    }
    // Nothing named: the workspace.
    let (archive, _) = stand
        .download(DownloadArchiveRequest::default())
        .await
        .unwrap();
    assert!(listed(&archive).contains(" p/a/1/x "));
}

async fn left_out(stand: &Stand) {
    stand.sh("mkdir -p e/node_modules/m e/src/deep; touch e/node_modules/m/x e/a.o e/src/b.o e/src/deep/c.o e/src/b.c").await;
    for (excludes, due) in [
        (&["node_modules", "*.o"][..], "src/ src/b.c src/deep/"),
        (
            &["src/*.o"],
            "a.o node_modules/ node_modules/m/ node_modules/m/x src/ src/b.c src/deep/ src/deep/c.o",
        ),
        (&["**/*.o", "node_*"], "src/ src/b.c src/deep/"),
        (
            &["src/**"],
            "a.o node_modules/ node_modules/m/ node_modules/m/x src/",
        ),
    ] {
        let excludes = excludes.iter().map(|one| (*one).to_owned()).collect();
        let asked = DownloadArchiveRequest {
            excludes,
            ..packing("e")
        };
        let (archive, summary) = stand.download(asked).await.unwrap();
        assert_eq!(listed(&archive), due);
        // Excluded paths are not listed.
        assert_eq!(summary.skipped_count, 0);
    }
}

async fn limits(stand: &Stand) {
    stand
        .sh("mkdir q; for name in a b c d; do printf 1234567890 >q/$name; done; printf 1 >q/e")
        .await;
    let asked = DownloadArchiveRequest {
        max_bytes: Some(25),
        ..packing("q")
    };
    let (archive, summary) = stand.download(asked).await.unwrap();
    assert_eq!(listed(&archive), "a b e");
    assert_eq!((summary.bytes, summary.skipped_count), (21, 2));
    assert_eq!(skipped(&summary), "c LIMIT, d LIMIT");
    let asked = DownloadArchiveRequest {
        max_entries: Some(2),
        ..packing("q")
    };
    let (archive, summary) = stand.download(asked).await.unwrap();
    assert_eq!(listed(&archive), "a b");
    assert_eq!(skipped(&summary), "c LIMIT, d LIMIT, e LIMIT");
    stand
        .sh("mkdir t; cd t; seq -f %05g 3000 | xargs touch")
        .await;
    let asked = DownloadArchiveRequest {
        max_entries: Some(0),
        ..packing("t")
    };
    let (_, summary) = stand.download(asked).await.unwrap();
    assert_eq!((summary.entries, summary.skipped_count), (0, 3000));
    assert_eq!(summary.skipped.len(), 1000);
}

async fn what_is_no_file(stand: &Stand) {
    stand.sh("mkdir -p s/closed; mkfifo s/pipe; touch s/file; printf x >s/secret; chmod 0 s/secret; touch s/closed/x; chmod 0 s/closed").await;
    let (archive, summary) = stand.download(packing("s")).await.unwrap();
    // Who is root in a container may read all.
    let (due, left) = match stand.kind {
        Kind::Container => ("closed/ closed/x file secret", "pipe NOT_REGULAR"),
        Kind::Local | Kind::E2b => (
            "closed/ file",
            "closed NOT_READABLE, pipe NOT_REGULAR, secret NOT_READABLE",
        ),
    };
    assert_eq!(listed(&archive), due);
    assert_eq!(skipped(&summary), left);
    stand.sh("chmod 700 s/closed").await;
}

async fn refusals(stand: &Stand) {
    let of = |paths: &[String]| DownloadArchiveRequest {
        paths: paths.to_vec(),
        ..DownloadArchiveRequest::default()
    };
    let pattern = |one: String| DownloadArchiveRequest {
        excludes: vec![one],
        ..packing("z")
    };
    for (request, reason) in [
        (packing("none"), Reason::FileNotFound),
        (of(&vec!["z".to_owned(); 1001]), Reason::InvalidField),
        (of(&[String::new()]), Reason::InvalidField),
        (pattern(String::new()), Reason::InvalidField),
        (pattern("x".repeat(1025)), Reason::InvalidField),
    ] {
        let refused = stand.download(request).await.unwrap_err();
        assert_reason(&refused, reason, "");
    }
    let refused = stand.upload("z/b", b"").await.unwrap_err();
    assert_reason(&refused, Reason::NotADirectory, "");
}
