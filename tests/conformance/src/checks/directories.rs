//! Directories and names: order, pages, and that a name is a name.

use sandgate_proto::v1::ListDirectoryRequest;
use tonic::Code;

use super::files::folder;
use crate::{
    failure::{Failure, ensure, invalid, refused, same},
    subject::{reading, writing},
    suite::Check,
    world::Context,
};

const RULE: &str = "files";
const NEEDS: &[&str] = &["files"];
/// Names that a shell, a pattern or an option would be made of.
const ODD: &[&str] = &[
    " ",
    "-rf",
    "a'b",
    "a\"b",
    "$(touch x)",
    "`x`",
    "a\nb",
    "*",
    "\\",
    "~",
    "...",
    "é漢🦀",
];

pub(crate) const CHECKS: &[Check] = &[
    Check::new(RULE, "names_odd", "Names are bytes: quotes, newlines, leading dashes and patterns mean nothing.", |context| Box::pin(odd(context))).needs(NEEDS),
    Check::new(RULE, "names_raw", "A name that is not UTF-8 is shown with U+FFFD, and its bytes are in raw_name.", |context| Box::pin(raw(context))).needs(NEEDS),
    Check::new(RULE, "directory_order", "ListDirectory is in bytewise order of paths, as deep as was asked, and follows no link.", |context| Box::pin(order(context))).needs(NEEDS),
    Check::new(RULE, "directory_pages", "Pages hold what one list would, in order; a token of another list is INVALID_FIELD.", |context| Box::pin(pages(context))).needs(NEEDS).within(120),
    Check::new(RULE, "directory_edits", "MakeDirectory, MoveFile and RemoveFile do what they say and nothing more, and refuse by reason.", |context| Box::pin(edits(context))).needs(NEEDS),
    Check::new(RULE, "workspace_stays", "Neither `/` nor workspace_path is removed.", |context| Box::pin(stays(context))).needs(NEEDS),
];

async fn odd(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    let folder = folder(&place).await?;
    for name in ODD {
        let path = format!("{folder}/{name}");
        place.write_file(writing(&path), name.as_bytes()).await?;
        let seen = place.read_file(reading(&path)).await?;
        same("content", seen.bytes, name.as_bytes().to_vec())?;
        same("name", seen.info.name.as_str(), *name)?;
        ensure(
            seen.info.raw_name.is_empty(),
            || "raw_name of a name that is UTF-8",
        )?;
    }
    let mut due: Vec<_> = ODD.iter().map(|name| (*name).to_owned()).collect();
    due.sort();
    same("names", place.names(&folder).await?, due)
}

async fn raw(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    let folder = folder(&place).await?;
    place
        .text(format!(r"cd {folder} && touch $(printf 'a\377b')"))
        .await?;
    let request = ListDirectoryRequest {
        path: folder,
        ..Default::default()
    };
    let page = place.list(request).await?;
    same("entries", page.entries.len(), 1)?;
    same("name", page.entries[0].name.as_str(), "a\u{fffd}b")?;
    same("raw_name", &page.entries[0].raw_name[..], &b"a\xffb"[..])
}

async fn order(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    let folder = folder(&place).await?;
    place
        .text(format!(
            "cd {folder} && mkdir -p a/b a-b && touch a/b/c a.txt a/x B && ln -s a link"
        ))
        .await?;
    let top = format!("{}/", place.stat(&folder).await?.path);
    for (depth, due) in [
        (0, "B a a-b a.txt link"),
        (1, "B a a-b a.txt link"),
        (2, "B a a-b a.txt a/b a/x link"),
        (64, "B a a-b a.txt a/b a/b/c a/x link"),
    ] {
        let request = ListDirectoryRequest {
            path: folder.clone(),
            depth,
            ..Default::default()
        };
        let page = place.list(request).await?;
        let paths = page
            .entries
            .iter()
            .map(|one| one.path.trim_start_matches(&top));
        same("paths", paths.collect::<Vec<_>>().join(" ").as_str(), due)?;
    }
    Ok(())
}

async fn pages(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    let folder = folder(&place).await?;
    place
        .text(format!("cd {folder} && seq -f %05g 2500 | xargs touch"))
        .await?;
    let asked = |page_size, page_token: &str| ListDirectoryRequest {
        path: folder.clone(),
        page_size,
        page_token: page_token.to_owned(),
        ..Default::default()
    };
    same(
        "entries of a default page",
        place.list(asked(0, "")).await?.entries.len(),
        50,
    )?;
    let (mut names, mut token) = (Vec::new(), String::new());
    loop {
        let page = place.list(asked(5000, &token)).await?;
        ensure(
            page.entries.len() <= 1000,
            || "a page has more than 1,000 entries",
        )?;
        names.extend(page.entries.into_iter().map(|one| one.name));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    let due: Vec<_> = (1..=2500).map(|number| format!("{number:05}")).collect();
    ensure(names == due, || {
        format!("{} names, or in another order", names.len())
    })?;
    let token = place.list(asked(10, "")).await?.next_page_token;
    let other = ListDirectoryRequest {
        path: String::new(),
        ..asked(10, &token)
    };
    invalid("page_token", place.list(other).await)
}

async fn edits(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    let top = folder(&place).await?;
    let path = |name: &str| format!("{top}/{name}");
    let missing = place.make_directory(&path("a/b"), false).await;
    refused(missing, Code::NotFound, "FILE_NOT_FOUND")?;
    place.make_directory(&path("a/b"), true).await?;
    place.make_directory(&path("a/b"), true).await?;
    let again = place.make_directory(&path("a"), false).await;
    refused(again, Code::AlreadyExists, "FILE_EXISTS")?;
    for name in ["one", "two"] {
        place
            .write_file(writing(&path(name)), name.as_bytes())
            .await?;
    }
    let (one, two) = (path("one"), path("two"));
    let taken = place.move_file((&one, &two), false).await;
    refused(taken, Code::AlreadyExists, "FILE_EXISTS")?;
    place.move_file((&one, &two), true).await?;
    same(
        "content",
        place.read_file(reading(&two)).await?.bytes,
        b"one".to_vec(),
    )?;
    let full = place.remove(&path("a"), (false, false)).await;
    refused(full, Code::FailedPrecondition, "DIRECTORY_NOT_EMPTY")?;
    place.remove(&path("a"), (true, false)).await?;
    let gone = place.remove(&path("a"), (true, false)).await;
    refused(gone, Code::NotFound, "FILE_NOT_FOUND")?;
    place.remove(&path("a"), (true, true)).await?;
    same("names", place.names(&top).await?, vec!["two".to_owned()])
}

async fn stays(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    let workspace = place.get().await?.workspace_path;
    for path in ["/", ".", &workspace] {
        invalid(path, place.remove(path, (true, true)).await)?;
    }
    place.stat(&workspace).await.map(drop)
}
