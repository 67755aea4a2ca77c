//! Making a new ledger of what is intact of a damaged one.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tollgate_journal::{Damage, Disk, Group, Journal, JournalError, RecordPosition, Records, Salvaged};
use tollgate_ledger::{LedgerError, Remedy};
use tollgate_rules::Digest;

use crate::act::StoredAct;
use crate::error::{Unusable, at_append, at_read, of_index};
use crate::index::{Added, Facts, Index, Key, Upkeep};
use crate::loss::{Loss, SalvageReport, Stretch, loss, overlap};
use crate::open::{KIND, Options, Parts, existing_folder, open_parts};
use crate::record::{Record, SetAside, encode_act};
use crate::replay::{Addition, OpenFailure, added};
use crate::target::{begin, finish, new_folder};

/// Makes a ledger in the new or empty folder `target` of everything that is intact in `dir`: in order, each batch and each
/// quarantined element once, and all acts, with the times at which they were received. Changes nothing in `dir`.
///
/// A ledger whose salvage was cut short cannot be opened. `progress` hears how many batches and elements are through.
///
/// # Errors
///
/// When there is no journal of a ledger in `dir` or a disk fails, or when `target` holds anything. Damage is no error.
pub fn salvage(
    dir: impl AsRef<Path>,
    target: impl AsRef<Path>,
    options: Options,
    progress: impl FnMut(u64),
) -> Result<SalvageReport, LedgerError> {
    let from = existing_folder(dir.as_ref())?;
    if last_segment(&*from)?.is_none() {
        let path = dir.as_ref().into();
        return Err(at_read("salvage a ledger")(JournalError::Missing { path }));
    }
    salvage_disk(&from, &new_folder(target.as_ref())?, options, progress)
}

/// As [`salvage`], on any disks.
///
/// # Errors
///
/// As [`salvage`].
pub fn salvage_disk(
    from: &Arc<dyn Disk>,
    to: &Arc<dyn Disk>,
    options: Options,
    mut progress: impl FnMut(u64),
) -> Result<SalvageReport, LedgerError> {
    begin(&**to)?;
    let mut target = Target::new(open_parts(to.clone(), options, |_| {})?);
    let visit = |group: &Group| -> Result<(), OpenFailure> {
        target.add(group, &**from)?;
        progress(target.n_batches + target.n_quarantined);
        Ok(())
    };
    let step = || format!("salvage the ledger in {}", from.folder().display());
    let salvaged = tollgate_journal::salvage(&**from, visit).map_err(|failure| match failure {
        OpenFailure::Journal(error) => at_read(step())(error),
        OpenFailure::Ledger(error) => error,
    })?;
    if let Some(kind) = salvaged.kind
        && kind != KIND
    {
        let why = format!("it is a journal of kind {:?}, not {:?}", kind.to_string(), KIND.to_string());
        return Err(LedgerError::new(Remedy::Repair, step()).because(why));
    }
    let report = target.close(&**from, salvaged)?;
    finish(&**to)?;
    Ok(report)
}

/// The ledger that is written.
struct Target {
    journal: Journal,
    index: Arc<Index>,
    upkeep: Upkeep,
    records: Records,
    n_batches: u64,
    n_quarantined: u64,
    n_acts: u64,
    n_repeated: u64,
    /// Of the elements that are in quarantine, from their ids to those in the new ledger.
    quarantine_ids: HashMap<u64, u64>,
    /// The last group that was intact.
    last: u64,
    unusable: Vec<Stretch>,
}

impl Target {
    fn new(Parts { journal, index, upkeep, .. }: Parts) -> Self {
        Self {
            journal,
            index,
            upkeep,
            records: Records::default(),
            n_batches: 0,
            n_quarantined: 0,
            n_acts: 0,
            n_repeated: 0,
            quarantine_ids: HashMap::new(),
            last: 0,
            unusable: Vec::new(),
        }
    }

    /// Records what is new of a group, as one group.
    fn add(&mut self, group: &Group, from: &dyn Disk) -> Result<(), LedgerError> {
        self.last = group.position().sequence;
        self.upkeep.make_room().map_err(of_index("write the index"))?;
        let mut decoded = Vec::with_capacity(group.records().len());
        for (position, bytes) in group.records() {
            match decode(&self.index, bytes) {
                Ok((record, addition)) => decoded.push((position, bytes, record, addition)),
                Err(why) => self.give_up(group, position, &why.to_string(), from),
            }
        }
        let keys: Vec<Key> =
            decoded.iter().filter_map(|(.., addition)| addition.id).map(|(key, _)| key).collect();
        let known = self.index.find_all(&keys).map_err(of_index("read the index"))?;
        let mut known = known.into_iter();
        let mut pending = HashMap::<Key, Digest>::new();
        let mut additions = Vec::with_capacity(decoded.len());
        let mut next_id = self.index.with_facts(Facts::next_quarantine_id);
        self.records.clear();
        for (position, bytes, record, mut addition) in decoded {
            if let Some((key, digest)) = addition.id {
                let known = known.next().flatten();
                let before = known.map(|known| known.digest).or_else(|| pending.get(&key).copied());
                if let Some(before) = before {
                    if before == digest {
                        self.n_repeated += 1;
                    } else {
                        self.give_up(group, position, "another batch with its id was recorded before", from);
                    }
                    continue;
                }
                pending.insert(key, digest);
            }
            match (record, &mut addition.added) {
                (Record::Quarantined(element), Added::Quarantined { id, .. }) => {
                    self.records.push_with(|bytes| SetAside { id: next_id, ..element }.encode(bytes));
                    self.quarantine_ids.insert(element.id, next_id);
                    *id = next_id;
                    next_id += 1;
                    self.n_quarantined += 1;
                }
                (Record::Act { received, .. }, Added::Act(act)) => {
                    if let StoredAct::Release { quarantine_id } = act {
                        // Each is released once.
                        let Some(id) = self.quarantine_ids.remove(quarantine_id) else {
                            self.leave_out(
                                group,
                                position,
                                "it releases an element that is lost",
                                Loss::Nothing,
                                from,
                            );
                            continue;
                        };
                        *quarantine_id = id;
                    }
                    self.records.push_with(|bytes| encode_act(bytes, act, received));
                    self.n_acts += 1;
                }
                _ => {
                    self.records.push(bytes);
                    self.n_batches += 1;
                }
            }
            additions.push(addition);
        }
        if self.records.is_empty() {
            return Ok(());
        }
        let written = self.journal.append(&self.records).map_err(at_append(self.records.len()))?;
        self.index
            .add(written.sequence, added(&self.index.keys, additions))
            .expect("what is known was left out, and quarantined elements were counted anew");
        self.upkeep.look_after(self.journal.end());
        Ok(())
    }

    /// Notes a record that is stored as it was written, and cannot be used.
    fn give_up(&mut self, group: &Group, position: RecordPosition, why: &str, from: &dyn Disk) {
        self.leave_out(group, position, why, Loss::Records, from);
    }

    fn leave_out(&mut self, group: &Group, position: RecordPosition, why: &str, loss: Loss, from: &dyn Disk) {
        let RecordPosition { sequence, index } = position;
        let at = group.position();
        self.unusable.push(Stretch {
            path: from.folder().join(format!("{:016x}.segment", at.segment)),
            offsets: at.offset..at.offset,
            groups: Some(sequence..=sequence),
            n_records: Some(1),
            why: format!("record {index}: {why}"),
            loss,
        });
    }

    fn close(self, from: &dyn Disk, salvaged: Salvaged) -> Result<SalvageReport, LedgerError> {
        let indexed = self.upkeep.close(self.journal.end());
        let failed = |error| LedgerError::new(Remedy::Restart, "close the salvaged ledger").because(error);
        self.journal.close().map_err(failed)?;
        indexed.map_err(of_index("close the salvaged ledger"))?;
        let end = last_segment(from)?.map(|name| end_of(from, &name)).transpose()?;
        let Salvaged { n_groups, missing, damage, .. } = salvaged;
        let judge = |damage: Damage| {
            let loss = loss(&damage, &missing, self.last, end.as_ref());
            let Damage { path, offsets, fault, sequences: groups, n_records, .. } = damage;
            Stretch { path, offsets, groups, n_records, why: fault.to_string(), loss }
        };
        let mut damage: Vec<Stretch> = damage.into_iter().map(judge).chain(self.unusable).collect();
        damage.sort_by(|one, other| (&one.path, one.offsets.start).cmp(&(&other.path, other.offsets.start)));
        let is_named = |range: &RangeInclusive<u64>| {
            let groups = damage.iter().filter_map(|stretch| stretch.groups.as_ref());
            groups.into_iter().any(|groups| overlap(groups, range))
        };
        let unnamed: Vec<_> = missing.iter().filter(|range| !is_named(range)).cloned().collect();
        damage.extend(unnamed.into_iter().map(|range| Stretch {
            path: from.folder().into(),
            offsets: 0..0,
            groups: Some(range),
            n_records: None,
            why: "the groups are in no file, though they are known to have been durable".to_owned(),
            loss: Loss::Records,
        }));
        Ok(SalvageReport {
            n_groups,
            n_batches: self.n_batches,
            n_quarantined: self.n_quarantined,
            n_acts: self.n_acts,
            n_repeated: self.n_repeated,
            lost_groups: missing,
            damage,
        })
    }
}

fn decode<'a>(index: &Index, bytes: &'a [u8]) -> Result<(Record<'a>, Addition), Unusable> {
    let record = Record::decode(bytes)?;
    let addition = Addition::of(&index.keys, &record)?;
    Ok((record, addition))
}

/// The path and the length of a file.
fn end_of(disk: &dyn Disk, name: &str) -> Result<(PathBuf, u64), LedgerError> {
    let path = disk.folder().join(name);
    let length = disk.open_to_read(name).and_then(|file| file.length());
    let failed =
        |error| LedgerError::new(Remedy::Retry, format!("measure {}", path.display())).because(error);
    let length = length.map_err(failed)?;
    Ok((path, length))
}

/// The name of the last segment; `None` when there is none.
fn last_segment(disk: &dyn Disk) -> Result<Option<String>, LedgerError> {
    let failed = |error| {
        LedgerError::new(Remedy::Retry, format!("list the files of {}", disk.folder().display()))
            .because(error)
    };
    // Their numbers all have the same length.
    let names = disk.list().map_err(failed)?.into_iter();
    Ok(names.filter(|name| name.len() == 24 && name.ends_with(".segment")).max())
}
