//! Getting out of a damaged journal what is intact.

use std::ops::RangeInclusive;

use tollgate_journal::sim::{Dice, SimDisk};
use tollgate_journal::{Damage, Fault, Group, Journal, JournalError, Options, Reader, Salvaged, salvage};

use crate::common::{KIND, append, compressing};
use crate::model::replace;

const N_GROUPS: u64 = 20;

fn segment(number: u64) -> String {
    format!("{number:016x}.segment")
}

/// A closed journal with groups of 2 records in four segments, some of them compressed and two segments compacted. `seed`
/// makes its records its own.
fn journal(seed: u64) -> SimDisk {
    let disk = SimDisk::new();
    let options = Options { segment_bytes_max: 1900, ..compressing() };
    let (mut journal, _) = Journal::open(disk.shared(), options).expect("open");
    let mut dice = Dice(seed);
    for group in 1..=N_GROUPS {
        let noise: String = (0..300).map(|_| char::from(b'a' + dice.below(26) as u8)).collect();
        let second = if group % 3 == 0 { "x".repeat(700) } else { noise };
        append(&mut journal, &[format!("{group:4} of {seed}"), second]);
    }
    let compactor = journal.compactor();
    assert_eq!(compactor.segments().expect("segments").len(), 3);
    for number in [1, 3] {
        compactor
            .compact(number, |position, record, buffer| {
                if position.sequence % 2 == 0 {
                    replace(position, record, buffer)
                } else {
                    tollgate_journal::Keep::Whole
                }
            })
            .expect("compact");
    }
    journal.close().expect("close");
    drop(compactor);
    disk.copy()
}

/// Where the groups of an intact journal are, and what they hold.
struct Place {
    segment: u64,
    offsets: std::ops::Range<usize>,
    records: Vec<Vec<u8>>,
}

fn places(disk: &SimDisk) -> Result<Vec<Place>, JournalError> {
    let mut places: Vec<Place> = Vec::new();
    for group in Reader::open(disk.shared())?.groups()? {
        let group = group?;
        let start = usize::try_from(group.position().offset).map_err(|_| missing())?;
        let bytes = disk.contents(&segment(group.position().segment)).ok_or_else(missing)?;
        let length = bytes.get(start + 8..start + 12).and_then(|bytes| bytes.try_into().ok());
        let length = u32::from_le_bytes(length.ok_or_else(missing)?) as usize;
        let segment = group.position().segment;
        places.push(Place { segment, offsets: start..start + 80 + length, records: records(&group) });
    }
    Ok(places)
}

fn missing() -> JournalError {
    JournalError::Missing { path: "what was there".into() }
}

fn records(group: &Group) -> Vec<Vec<u8>> {
    group.records().map(|(_, record)| record.to_vec()).collect()
}

/// Salvages, checks that the groups come in order and once, that they are those of `places`, and gives which ones came.
fn salvage_all(disk: &SimDisk, places: &[Place]) -> Result<(Vec<u64>, Salvaged), String> {
    let n_changes = disk.n_changes();
    let mut given: Vec<u64> = Vec::new();
    let mut wrong = None;
    let salvaged = salvage::<JournalError>(&*disk.shared(), |group| {
        let sequence = group.position().sequence;
        let expected = &places[sequence as usize - 1].records;
        if given.last().is_some_and(|last| sequence <= *last) || records(group) != *expected {
            wrong = Some(sequence);
        }
        given.push(sequence);
        Ok(())
    });
    let salvaged = salvaged.map_err(|error| error.to_string())?;
    if let Some(sequence) = wrong {
        return Err(format!("group {sequence} is given wrongly: {given:?}"));
    }
    let missing: Vec<u64> = salvaged.missing.iter().cloned().flatten().collect();
    let mut all = [given.clone(), missing].concat();
    all.sort_unstable();
    // The last one may be missing without anybody's knowing of it.
    if all.iter().zip(1..).any(|(sequence, expected)| *sequence != expected) {
        return Err(format!("given {given:?}, and missing {:?}", salvaged.missing));
    }
    if salvaged.n_groups != given.len() as u64 || salvaged.n_records != 2 * salvaged.n_groups {
        return Err(format!("{salvaged:?}"));
    }
    if disk.n_changes() != n_changes {
        return Err("the journal was changed".to_owned());
    }
    Ok((given, salvaged))
}

#[test]
fn an_intact_journal_is_given_whole() {
    let disk = journal(1);
    let places = places(&disk).expect("intact");
    let (given, salvaged) = salvage_all(&disk, &places).expect("all");
    assert_eq!(given, (1..=N_GROUPS).collect::<Vec<_>>());
    assert_eq!((salvaged.kind, salvaged.missing, salvaged.damage), (Some(KIND), vec![], vec![]));
}

#[test]
fn a_flipped_bit_costs_the_group_that_it_is_in_and_no_other() {
    let intact = journal(1);
    let places = places(&intact).expect("intact");
    for number in 1..=4 {
        let bytes = intact.contents(&segment(number)).expect("a file");
        for byte in 0..bytes.len() {
            let disk = intact.copy();
            let mut flipped = bytes.clone();
            flipped[byte] ^= 1 << (byte % 8);
            disk.set_contents(&segment(number), &flipped);
            let (_, salvaged) = salvage_all(&disk, &places)
                .unwrap_or_else(|violation| panic!("{number}, {byte}: {violation}"));
            let hit = |place: &&Place| place.segment == number && place.offsets.contains(&byte);
            let hit = places.iter().zip(1..).find(|(place, _)| hit(place));
            assert_eq!(salvaged.damage.len(), 1, "{number}, {byte}: {:?}", salvaged.damage);
            let damage = &salvaged.damage[0];
            assert!(damage.path.ends_with(segment(number)));
            match hit {
                Some((place, sequence)) => {
                    assert_eq!(salvaged.missing, [sequence..=sequence]);
                    let offsets = place.offsets.start as u64..place.offsets.end as u64;
                    assert_eq!((&damage.offsets, &damage.sequences), (&offsets, &Some(sequence..=sequence)));
                    let is_in_payload = place.offsets.start + 80 <= byte;
                    assert_eq!(damage.n_records, is_in_payload.then_some(2));
                }
                None => {
                    assert!(byte < 128);
                    assert_eq!(
                        (salvaged.missing, &damage.offsets, &damage.sequences),
                        (vec![], &(0..128), &None)
                    );
                }
            }
        }
    }
}

/// Changes a journal, salvages it, and gives what is missing, and the damage as text.
#[track_caller]
fn check(change: impl FnOnce(&SimDisk), expected_missing: &[RangeInclusive<u64>], expected: &[(u64, &str)]) {
    let disk = journal(1);
    let places = places(&disk).expect("intact");
    change(&disk);
    let (_, salvaged) = salvage_all(&disk, &places).expect("what is intact");
    assert_eq!(salvaged.missing, expected_missing, "{:?}", salvaged.damage);
    let text = |damage: &Damage| {
        let sequences = damage.sequences.as_ref().map(|sequences| format!("{sequences:?}: "));
        (damage.path.clone(), format!("{}{}", sequences.unwrap_or_default(), damage.fault))
    };
    let expected: Vec<_> = expected
        .iter()
        .map(|(number, text)| (std::path::Path::new("sim").join(segment(*number)), (*text).to_owned()))
        .collect();
    assert_eq!(salvaged.damage.iter().map(text).collect::<Vec<_>>(), expected);
}

#[test]
fn each_kind_of_damage_is_told() {
    let of = |disk: &SimDisk, number| disk.contents(&segment(number)).expect("a file");
    let first_of: Vec<u64> = {
        let places = places(&journal(1)).expect("intact");
        (1..=4)
            .map(|number| {
                places.iter().zip(1..).find(|(place, _)| place.segment == number).expect("a group").1
            })
            .collect()
    };
    let [_, b, c, d] = first_of[..] else { panic!("four segments: {first_of:?}") };
    let missing_text = Fault::SegmentMissing.to_string();

    check(
        |disk| disk.take_away(&segment(1)),
        &[1..=b - 1],
        &[(1, &format!("1..={}: {missing_text}", b - 1))],
    );
    check(
        |disk| disk.take_away(&segment(2)),
        &[b..=c - 1],
        &[(2, &format!("{b}..={}: {missing_text}", c - 1))],
    );
    check(
        |disk| {
            disk.take_away(&segment(2));
            disk.take_away(&segment(3));
        },
        &[b..=d - 1],
        &[(2, &format!("{b}..={}: {missing_text}", d - 1))],
    );
    // Only what is attested tells of the last one.
    check(|disk| disk.take_away(&segment(4)), &[d..=N_GROUPS], &[]);
    check(
        |disk| disk.set_contents(&segment(3), &[]),
        &[c..=d - 1],
        &[(3, &format!("{c}..={}: the file ends inside of it", d - 1))],
    );
    check(
        |disk| disk.set_contents(&segment(2), &of(disk, 2)[..200]),
        &[b..=c - 1],
        &[(2, &format!("{b}..={}: the file ends inside of it", c - 1))],
    );
    // Two groups and the beginning of a third.
    check(
        |disk| {
            let places = places(disk).expect("intact");
            let mut bytes = of(disk, 2);
            let (start, end) = (places[b as usize - 1].offsets.start, places[b as usize].offsets.end);
            bytes[start..end + 10].fill(0);
            disk.set_contents(&segment(2), &bytes);
        },
        &[b..=b + 2],
        &[(2, &format!("{b}..={}: nothing that a journal writes begins here", b + 2))],
    );
    // A header that is gone.
    check(
        |disk| {
            let mut bytes = of(disk, 2);
            bytes[..128].fill(0);
            disk.set_contents(&segment(2), &bytes);
        },
        &[],
        &[(2, "nothing that a journal writes begins here")],
    );
    // Two files that have each other's name.
    check(
        |disk| {
            let (two, three) = (of(disk, 2), of(disk, 3));
            disk.set_contents(&segment(2), &three);
            disk.set_contents(&segment(3), &two);
        },
        &[],
        &[(2, "expected segment 2, found segment 3"), (3, "expected segment 3, found segment 2")],
    );
    // A file beside its copy.
    check(
        |disk| disk.set_contents(&segment(5), &of(disk, 2)),
        &[],
        &[
            (5, "expected segment 5, found segment 2"),
            (5, &format!("{b}..={}: its groups were found elsewhere", c - 1)),
        ],
    );
    // A group that was cut out.
    check(
        |disk| {
            let place = &places(disk).expect("intact")[b as usize];
            let mut bytes = of(disk, 2);
            bytes.drain(place.offsets.clone());
            disk.set_contents(&segment(2), &bytes);
        },
        &[b + 1..=b + 1],
        &[(
            2,
            &format!(
                "{}..={}: group {} is missing, though it is known to have been durable",
                b + 1,
                b + 1,
                b + 1
            ),
        )],
    );
    // A group that was never finished, and that nothing states to have been durable.
    check(
        |disk| {
            let bytes = of(disk, 4);
            disk.set_contents(&segment(4), &bytes[..bytes.len() - 1]);
            disk.take_away("attested");
        },
        &[],
        &[(4, "20..=20: the file ends inside of it")],
    );
    // A file name that no journal has.
    check(
        |disk| disk.set_contents(&segment(u64::MAX), b"nothing"),
        &[],
        &[(5, &missing_text), (u64::MAX, "the file ends inside of it")],
    );
}

#[test]
fn of_two_forms_of_a_group_the_one_that_continues_the_chain_is_given() {
    let (disk, other) = (journal(1), journal(2));
    let places = places(&disk).expect("intact");
    let own = disk.contents(&segment(2)).expect("a file");
    // It comes first, and is intact in itself.
    disk.set_contents(&segment(2), &other.contents(&segment(2)).expect("a file"));
    disk.set_contents(&segment(5), &own);
    let (given, salvaged) = salvage_all(&disk, &places).expect("its own groups");
    assert_eq!(given.len() as u64, N_GROUPS);
    assert!(
        salvaged
            .damage
            .iter()
            .any(|damage| damage.fault == Fault::Repeated && damage.path.ends_with(segment(2)))
    );
    // Without its own, the others are given, and it is said that they do not fit.
    disk.take_away(&segment(5));
    let mut n_others = 0;
    let salvaged = salvage::<JournalError>(&*disk.shared(), |group| {
        n_others += usize::from(records(group) != places[group.position().sequence as usize - 1].records);
        Ok(())
    });
    let salvaged = salvaged.expect("salvaged");
    assert_eq!(
        (salvaged.n_groups, n_others),
        (N_GROUPS, places.iter().filter(|place| place.segment == 2).count())
    );
    let do_not_fit = salvaged.damage.iter().filter(|damage| damage.fault == Fault::Chain);
    assert_eq!(do_not_fit.count(), 2, "the first of the others, and the first behind them");
}

#[test]
fn what_is_around_a_bad_sector_is_given() {
    let disk = SimDisk::new();
    let options = Options { segment_bytes_max: 1 << 20, ..Options::for_testing(KIND) };
    let (mut journal, _) = Journal::open(disk.shared(), options).expect("open");
    for group in 0..60 {
        append(&mut journal, &[format!("{group}"), "x".repeat(1000)]);
    }
    drop(journal);
    let intact = disk.copy();
    let places = places(&intact).expect("intact");
    for block in 0..16 {
        let disk = intact.copy();
        let bad = block * 4096 + 512..block * 4096 + 1024;
        disk.fail_reads(&segment(1), bad.clone());
        let error = Reader::open(disk.shared())
            .and_then(|reader| reader.groups()?.try_for_each(|group| group.map(drop)));
        assert!(matches!(error, Err(JournalError::Disk { .. })), "{error:?}");
        let (_, salvaged) = salvage_all(&disk, &places).expect("what can be read");
        let block = block * 4096..(block + 1) * 4096;
        let is_hit = |place: &Place| place.offsets.start < block.end && block.start < place.offsets.end;
        let hit: Vec<u64> =
            places.iter().zip(1..).filter(|(place, _)| is_hit(place)).map(|(_, n)| n).collect();
        assert_eq!(salvaged.missing, [hit[0]..=hit[hit.len() - 1]]);
        assert!(
            salvaged.damage.iter().all(|damage| damage.fault == Fault::Unreadable),
            "{:?}",
            salvaged.damage
        );
    }
}

#[test]
fn an_error_of_the_visitor_ends_it() {
    let mut n_seen = 0;
    let error = salvage(&*journal(1).shared(), |_| {
        n_seen += 1;
        if n_seen == 3 { Err(missing()) } else { Ok(()) }
    });
    assert!(matches!(error, Err(JournalError::Missing { .. })));
    assert_eq!(n_seen, 3);
    assert!(matches!(salvage(&SimDisk::new(), |_| Ok(())), Err(JournalError::Missing { .. })));
}

/// Damages some files at random; what of the groups is still there in whole, under an intact header, must be given.
fn damage_at_random(seed: u64, intact: &SimDisk, places: &[Place]) -> Result<usize, String> {
    let mut dice = Dice(seed);
    let disk = intact.copy();
    for _ in 0..1 + dice.below(4) {
        let name = segment(1 + dice.below(4) as u64);
        let Some(mut bytes) = disk.contents(&name).filter(|bytes| !bytes.is_empty()) else { continue };
        let start = dice.below(bytes.len());
        let end = start + dice.below((bytes.len() - start).min(600)) + 1;
        match dice.below(9) {
            0 => bytes[start] ^= 1 << dice.below(8),
            1 => bytes[start..end].fill(0),
            2 => bytes[start..end].iter_mut().for_each(|byte| *byte = dice.below(256) as u8),
            3 => bytes.truncate(start),
            4 => drop(bytes.drain(start..end)),
            5 => {
                let copied = bytes[start..end].to_vec();
                let at = dice.below(bytes.len());
                bytes.splice(at..at, copied).for_each(drop);
            }
            6 => {
                let other = segment(1 + dice.below(6) as u64);
                disk.set_contents(&other, &bytes);
            }
            7 => {
                // One group once more, somewhere.
                let place = &places[dice.below(places.len())];
                let from = intact.contents(&segment(place.segment)).ok_or("a file")?;
                let at = dice.below(bytes.len());
                bytes.splice(at..at, from[place.offsets.clone()].iter().copied()).for_each(drop);
            }
            _ => {
                disk.take_away(&name);
                continue;
            }
        }
        disk.set_contents(&name, &bytes);
    }
    let files: Vec<Vec<u8>> = (1..=6).filter_map(|number| disk.contents(&segment(number))).collect();
    if files.is_empty() {
        return Ok(0);
    }
    let (given, _) = salvage_all(&disk, places)?;
    for (place, sequence) in places.iter().zip(1..) {
        let from = intact.contents(&segment(place.segment)).ok_or("a file")?;
        let is_there = |file: &Vec<u8>| {
            128 <= file.len()
                && file[..128] == from[..128]
                && memchr::memmem::find(&file[128..], &from[place.offsets.clone()]).is_some()
        };
        if files.iter().any(is_there) && !given.contains(&sequence) {
            return Err(format!("group {sequence} is there and not given"));
        }
    }
    Ok(given.len())
}

#[test]
fn what_is_intact_is_given_once_and_in_order_whatever_was_damaged() {
    let intact = journal(1);
    let places = places(&intact).expect("intact");
    let n_given: usize = (0..3000)
        .map(|seed| {
            damage_at_random(seed, &intact, &places)
                .unwrap_or_else(|violation| panic!("seed {seed}: {violation}"))
        })
        .sum();
    assert!(30_000 < n_given, "{n_given}");
}
