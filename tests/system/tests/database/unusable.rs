//! A gateway that cannot use its database says why, and what to do, and does not start.

use std::{fs, fs::OpenOptions, os::unix::fs::FileExt as _, path::Path, time::Duration};

use sandgate_system::World;

use crate::{
    disk::Disk,
    files::{self, DATABASE},
};

/// What it says.
async fn refusal(world: &World, data: &Path) -> String {
    match world.beside_on(data).await {
        Ok(_) => panic!("it starts"),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn what_is_no_database_is_refused() {
    let world = World::start().await;
    files::settle(&world).await;
    let copy = files::as_after_a_crash(&world);
    let path = copy.path().join(DATABASE);
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    file.write_all_at(&[0xa5; 100], 0).unwrap();
    let said = refusal(&world, copy.path()).await;
    assert!(said.contains("is no SQLite database"), "{said}");
    assert!(said.contains(path.to_str().unwrap()), "{said}");

    let text = tempfile::tempdir().unwrap();
    fs::write(text.path().join(DATABASE), "my notes\n".repeat(1000)).unwrap();
    let said = refusal(&world, text.path()).await;
    assert!(said.contains("SANDGATE_DATABASE_URL"), "{said}");
    let kept = fs::read_to_string(text.path().join(DATABASE)).unwrap();
    assert!(kept.starts_with("my notes\n"), "what it was is gone");
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_refused_and_left_as_it_is() {
    let world = World::start().await;
    files::settle(&world).await;
    let copy = files::as_after_a_crash(&world);
    let mut connection = files::open(&copy.path().join(DATABASE)).await;
    files::run(
        &mut connection,
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (99999999, 'later', TRUE, x'00', 1)",
    )
    .await;
    let said = refusal(&world, copy.path()).await;
    assert!(said.contains("a newer version of Sandgate"), "{said}");
    files::run(
        &mut connection,
        "DELETE FROM _sqlx_migrations WHERE version = 99999999",
    )
    .await;
    let running = world.beside_on(copy.path()).await.unwrap();
    running.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn a_folder_that_cannot_be_used_is_refused() {
    let world = World::start().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    let said = refusal(&world, &file.path().join("data")).await;
    assert!(said.contains("check that its folder is there"), "{said}");

    let disk = Disk::mount();
    disk.protect();
    let said = refusal(&world, disk.path()).await;
    assert!(said.contains("mount the disk for writing"), "{said}");
}

#[tokio::test]
async fn a_full_disk_is_refused_until_there_is_room() {
    let world = World::start().await;
    let disk = Disk::mount();
    disk.fill();
    let said = refusal(&world, disk.path()).await;
    assert!(said.contains("make room there"), "{said}");
    disk.free();
    let running = world.beside_on(disk.path()).await.unwrap();
    running.stop(Duration::ZERO).await;
}
