//! Opening a spool, whatever happened to it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use tollgate_journal::{
    Claim, Damage, Disk, Group, Journal, JournalError, Progress, Records, Renewal, Tail, Visitor, salvage,
    write_whole,
};

use crate::SpoolError;
use crate::core::{Core, each_pending};
use crate::ranges::Ranges;
use crate::record::{Event, Record};
use crate::spool::{KIND, Open, Opened, SpoolOptions, journal_options};
use crate::state::{Fold, SetAside, State};

/// The folder in which damaged stretches are kept.
const SET_ASIDE: &str = "set-aside";

/// Bytes of one group of a new beginning, at least, unless there are fewer.
const GROUP_BYTES: u64 = 1 << 20;

/// Opens the spool on `disk`. Where it is damaged, that is set aside first.
pub(crate) fn open(disk: Arc<dyn Disk>, options: SpoolOptions) -> Result<(Core, Opened), SpoolError> {
    // IMPORTANT: from the first look to the end. Who mends what somebody else has mended meanwhile would put it in the place of what was
    // recorded since.
    let claim = Claim::take(disk.clone())?;
    let (fold, journal, damaged) = match open_journal(&claim, &options) {
        Ok((fold, journal)) => (fold, journal, None),
        Err(SpoolError::Journal(JournalError::Damaged { .. })) => {
            let damaged = begin_anew(&disk, &claim)?;
            let (fold, journal) = open_journal(&claim, &options)?;
            (fold, journal, Some(damaged))
        }
        Err(error) => return Err(error),
    };
    let (journal, recovery) = journal;
    let (state, places) = fold.into();
    let opened = Opened {
        n_pending: state.n_pending(),
        damaged,
        dropped_bytes: recovery.dropped.map_or(0, |tail| tail.bytes),
    };
    Ok((Core { disk, journal, options, state, places, idle_bytes: 0, hooked: 0, is_failed: false }, opened))
}

fn open_journal(claim: &Claim, options: &SpoolOptions) -> Result<(Fold, Open), SpoolError> {
    let mut fold = Fold::default();
    let journal = Journal::open_claimed(claim.clone(), journal_options(options), &mut fold)?;
    Ok((fold, journal))
}

impl Visitor for Fold {
    type Error = SpoolError;

    fn visit(&mut self, group: &Group, _: Progress) -> Result<(), SpoolError> {
        self.take_in(group, |_, _, _| {})
    }

    fn before_cut(&mut self, _: &Tail) {}
}

/// Writes what is intact into a new beginning, with the damaged stretches kept beside it.
///
/// Batches whose acknowledgement was in what is damaged are sent once more; the collector knows them by their ids.
fn begin_anew(disk: &Arc<dyn Disk>, claim: &Claim) -> Result<SetAside, SpoolError> {
    let mut fold = Fold::default();
    let mut last_sequence = 0;
    let mut numbers = Ranges::default();
    let mut notes = Notes::default();
    let salvaged = salvage(&**disk, |group| {
        last_sequence = group.position().sequence;
        notes.take_in(group)?;
        fold.take_in(group, |number, _, _| numbers.add(number, number))
    });
    let (kind, damage) = match salvaged {
        Ok(salvaged) => (salvaged.kind, salvaged.damage),
        // All files are gone, and only the attestation is left to say that there were some.
        Err(SpoolError::Journal(JournalError::Missing { .. })) => (None, Vec::new()),
        Err(error) => return Err(error),
    };
    if let Some(found) = kind.filter(|&kind| kind != KIND) {
        let (path, found, expected) = (disk.folder().into(), found.to_string(), KIND.to_string());
        return Err(JournalError::OtherKind { path, found, expected }.into());
    }
    let set_aside = SetAside {
        n_records: damage.iter().filter_map(|damage| damage.n_records).sum(),
        n_stretches: damage.len().max(1) as u64,
    };
    keep_damaged(&**disk, &damage)?;

    // What was lost waits no longer.
    let lost = numbers.missing_in(1, fold.state.next_number - 1);
    fold.state.finish(&lost);
    notes.forget_old(&mut fold.state);
    fold.state.apply(Event::SetAside(set_aside));
    write_anew((disk, claim), &fold, last_sequence)?;
    Ok(set_aside)
}

/// Tells which notes may be older than readings that were kept with a later one.
///
/// When readings cannot be read any more and are in a batch all the same, a note that was kept with them is lost, and an earlier one stands in
/// its place: who goes on from there makes the same readings again.
#[derive(Debug, Default)]
struct Notes {
    n_groups: u64,
    /// Up to this one the readings were seen, or known to be missing.
    last_reading: u64,
    /// The first of missing readings, and the group that showed that they are.
    missing: Vec<(u64, u64)>,
    /// In which group each note was written last.
    written: BTreeMap<String, u64>,
}

impl Notes {
    fn take_in(&mut self, group: &Group) -> Result<(), SpoolError> {
        self.n_groups += 1;
        for (_, record) in group.records() {
            let Record::Event(event) = Record::decode(record)? else { continue };
            match event {
                Event::Readings { first, readings } => {
                    self.reach(first.saturating_sub(1));
                    self.last_reading = self.last_reading.max(first + readings.len() as u64 - 1);
                }
                Event::Batched { last } | Event::Answered { last_batched: last, .. } => self.reach(last),
                Event::Note { key, .. } => {
                    self.written.insert(key, self.n_groups);
                }
                // All that was before it is in it, whatever of that can still be read.
                Event::Snapshot(state) => {
                    let n_groups = self.n_groups;
                    self.last_reading = state.next_reading.saturating_sub(1);
                    self.missing.clear();
                    self.written = state.notes.into_keys().map(|key| (key, n_groups)).collect();
                }
                Event::Link(_)
                | Event::Standings(_)
                | Event::Released { .. }
                | Event::HookBegins { .. }
                | Event::HookEnded { .. }
                | Event::SetAside(_) => {}
            }
        }
        Ok(())
    }

    /// Takes note that there were readings up to `last`.
    fn reach(&mut self, last: u64) {
        if self.last_reading < last {
            self.missing.push((self.last_reading + 1, self.n_groups));
            self.last_reading = last;
        }
    }

    /// Forgets notes that may be too old.
    fn forget_old(&self, state: &mut State) {
        let batched = self.missing.iter().rfind(|&&(first, _)| first <= state.last_batched);
        let Some(&(_, shown_in)) = batched else { return };
        state.notes.retain(|key, _| self.written.get(key).is_some_and(|&group| shown_in <= group));
    }
}

fn write_anew(
    (disk, claim): (&Arc<dyn Disk>, &Claim),
    fold: &Fold,
    last_sequence: u64,
) -> Result<(), SpoolError> {
    let mut renewal = Renewal::begin(claim.clone(), KIND, last_sequence)?;
    let mut records = Records::default();
    let written = salvage(&**disk, |group| {
        each_pending((&fold.state, &fold.places), group, &mut |_, number, body| {
            records.push_with(|buffer| body.encode_carried(number, buffer));
        })?;
        if GROUP_BYTES <= records.n_bytes() {
            renewal.add(&records)?;
            records.clear();
        }
        Ok(())
    });
    match written {
        Ok(_) | Err(SpoolError::Journal(JournalError::Missing { .. })) => {}
        Err(error) => return Err(error),
    }
    records.push_with(|buffer| Event::Snapshot(Box::new(fold.state.clone())).encode(buffer));
    renewal.add(&records)?;
    Ok(renewal.finish()?)
}

/// Copies the damaged stretches to where nobody removes them.
fn keep_damaged(disk: &dyn Disk, damage: &[Damage]) -> Result<(), SpoolError> {
    let failed = |step| {
        let path = disk.folder().join(SET_ASIDE);
        move |source| SpoolError::Folder { step, path, source }
    };
    let stretches = damage.iter().filter(|damage| damage.offsets.start < damage.offsets.end);
    let mut stretches = stretches.peekable();
    if stretches.peek().is_none() {
        return Ok(());
    }
    let folder = disk.subfolder(SET_ASIDE).map_err(failed("make"))?;
    for Damage { path, offsets: Range { start, end }, .. } in stretches {
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        let file = disk.open_to_read(name).map_err(failed("read what is damaged for"))?;
        let mut bytes = vec![0; usize::try_from(end - start).unwrap_or(usize::MAX)];
        // Of what the disk does not read there is nothing to keep.
        let n_read = file.read_at(&mut bytes, *start).unwrap_or(0);
        let copy = folder.create(&format!("{name}-{start}")).map_err(failed("write to"))?;
        write_whole(&*copy, &[&bytes[..n_read]], 0).map_err(failed("write to"))?;
        copy.sync_data().map_err(failed("sync"))?;
    }
    folder.sync_folder().map_err(failed("sync"))
}
