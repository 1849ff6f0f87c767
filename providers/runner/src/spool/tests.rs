//! The spool against a model that keeps everything.

use std::{cell::Cell, io, rc::Rc};

use proptest::prelude::*;

use super::*;

/// A store in memory that fails on demand, now and then after half of the bytes.
#[derive(Debug, Default)]
struct Faulty {
    bytes: Vec<u8>,
    full: Rc<Cell<bool>>,
}

impl Store for Faulty {
    fn write_at(&mut self, bytes: &[u8], place: u64) -> io::Result<usize> {
        if self.full.get() && (!place.is_multiple_of(3) || bytes.len() < 2) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let size = if self.full.get() {
            bytes.len() / 2
        } else {
            bytes.len()
        };
        let place = place as usize;
        if self.bytes.len() < place + size {
            self.bytes.resize(place + size, 0xee);
        }
        self.bytes[place..place + size].copy_from_slice(&bytes[..size]);
        Ok(size)
    }

    fn read_at(&self, bytes: &mut [u8], place: u64) -> io::Result<()> {
        let place = place as usize;
        let found = self
            .bytes
            .get(place..place + bytes.len())
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        bytes.copy_from_slice(found);
        Ok(())
    }

    fn clear(&mut self) {
        self.bytes.clear();
    }
}

/// Reads from a byte to the end; every byte is the model's or in a gap. Says how many were there.
fn check(spool: &Spool<Faulty>, model: &[u8], from: u64, most: u64) -> u64 {
    let (mut at, mut held) = (from, 0);
    while at < model.len() as u64 {
        match spool.read(at, u64::MAX, most) {
            Piece::Bytes(bytes) => {
                assert!(!bytes.is_empty() && bytes.len() as u64 <= most);
                assert_eq!(
                    bytes,
                    &model[at as usize..at as usize + bytes.len()],
                    "at {at}"
                );
                at += bytes.len() as u64;
                held += bytes.len() as u64;
            }
            Piece::Gap(end, _) => {
                assert!(end > at && end <= model.len() as u64);
                at = end;
            }
            Piece::Nothing => panic!("nothing at {at} of {}", model.len()),
        }
    }
    assert_eq!(spool.read(at, u64::MAX, most), Piece::Nothing);
    held
}

proptest! {
    /// Whatever fails and however it is cut, a reader gets the true byte or is told of a gap.
    #[test]
    fn true_bytes_or_gaps(
        limit in 4u64..4000,
        memory in 0u64..300,
        total in 0u64..6000,
        pieces in prop::collection::vec((1usize..900, any::<bool>()), 1..40),
        from in any::<prop::sample::Index>(),
        most in 1u64..500,
    ) {
        let full = Rc::new(Cell::new(false));
        let store = Faulty { bytes: Vec::new(), full: full.clone() };
        let mut spool = Spool::new(store, limit, memory);
        let mut budget = Budget::new(total, 100);
        let mut model = Vec::new();
        let mut failed = false;
        for (size, fails) in pieces {
            full.set(fails);
            failed |= fails;
            let bytes: Vec<u8> = (0..size).map(|at| ((model.len() + at) * 31 % 251) as u8).collect();
            let growth = spool.growth(size as u64);
            let before = budget.left();
            spool.append(&bytes, &mut budget);
            prop_assert!(before - budget.left() <= growth);
            model.extend(bytes);
            prop_assert_eq!(spool.total(), model.len() as u64);
            check(&spool, &model, from.index(model.len() + 1) as u64, most);
        }
        let held = check(&spool, &model, 0, most);
        prop_assert!(held <= limit.min(total));
        prop_assert_eq!(spool.is_truncated(), held < model.len() as u64);
        if !failed && total >= limit {
            prop_assert_eq!(held, limit.min(model.len() as u64));
        }
        spool.finish(&mut budget);
        prop_assert_eq!(check(&spool, &model, 0, most), held);
        spool.drop_bytes(&mut budget);
        prop_assert_eq!(budget.left(), total);
        prop_assert_eq!(check(&spool, &model, 0, most), 0);
    }

    /// The list of what is missing stays short, and only grows what it covers.
    #[test]
    fn missing_is_bounded(steps in prop::collection::vec((1u64..9, 1u64..9), 1..300)) {
        let (mut missing, mut at, mut lost) = (Missing::default(), 0, Vec::new());
        for (kept, gone) in steps {
            at += kept;
            missing.add(at, at + gone, Reason::DiskFull);
            lost.push(at);
            at += gone;
            prop_assert!(missing.ranges().len() <= 64);
        }
        for byte in lost {
            prop_assert!(missing.at(byte).is_some());
        }
    }
}

#[test]
fn a_ring_without_budget_stays_small_and_keeps_the_newest() {
    let mut spool = Spool::new(Faulty::default(), 4 << 20, 0);
    let mut budget = Budget::new((1 << 20) + 100_000, 0);
    let model: Vec<u8> = (0..3_000_000u32).map(|at| (at % 253) as u8).collect();
    model
        .chunks(64_000)
        .for_each(|chunk| spool.append(chunk, &mut budget));
    assert_eq!(spool.sizes(), (1 << 20, 100_000));
    assert_eq!(check(&spool, &model, 0, 65_536), (1 << 20) + 100_000);
    let Piece::Gap(end, reason) = spool.read(1 << 20, u64::MAX, 1) else {
        panic!()
    };
    assert_eq!((end, reason), (2_900_000, Reason::SandboxLimit));
}

#[test]
fn files_without_and_with_a_name() {
    let folder = tempfile::tempdir().unwrap();
    let named = folder.path().join("stdout");
    for (store, memory) in [
        (FileStore::unnamed(folder.path()), MEMORY),
        (FileStore::named(named.clone()), 0),
    ] {
        let mut spool = Spool::new(store, 1 << 20, memory);
        let mut budget = Budget::new(1 << 20, 1 << 20);
        let model: Vec<u8> = (0..200_000u32).map(|at| (at % 253) as u8).collect();
        spool.append(&model, &mut budget);
        let mut seen = Vec::new();
        while let Piece::Bytes(bytes) = spool.read(seen.len() as u64, u64::MAX, 50_000) {
            seen.extend_from_slice(&bytes);
        }
        assert!(seen == model);
    }
    let files: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(files.len(), 1);
    assert_eq!(std::fs::metadata(named).unwrap().len(), 200_000);
}
