//! An open file of a simulated disk.

use std::io;
use std::sync::MutexGuard;

use super::SimDisk;
use super::image::Change;
use super::state::{Course, FULL, OTHER, State, dead, failed};
use crate::DiskFile;

#[derive(Debug)]
pub(super) struct SimFile {
    pub(super) disk: SimDisk,
    pub(super) file: usize,
    pub(super) life: u64,
}

impl SimFile {
    fn state(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.disk.state();
        if state.is_dead || state.life != self.life { Err(dead()) } else { Ok(state) }
    }
}

impl DiskFile for SimFile {
    fn length(&self) -> io::Result<u64> {
        Ok(self.state()?.files[self.file].bytes.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let state = self.state()?;
        let bytes = &state.files[self.file].bytes;
        let start = usize::try_from(offset).map_or(bytes.len(), |offset| offset.min(bytes.len()));
        let n_read = buffer.len().min(bytes.len() - start);
        let unreadable = &state.files[self.file].unreadable;
        if start < unreadable.end && unreadable.start < start + n_read {
            return Err(failed(OTHER));
        }
        buffer[..n_read].copy_from_slice(&bytes[start..start + n_read]);
        Ok(n_read)
    }

    fn write_at(&self, parts: &[&[u8]], offset: u64) -> io::Result<usize> {
        let bytes = parts.concat();
        let mut state = self.state()?;
        let offset = usize::try_from(offset).map_err(io::Error::other)?;
        let course = state.next_course();
        let mut n_bytes = match course {
            Course::Succeeds => bytes.len(),
            Course::Dies(part) => bytes.len() * part / 256,
            Course::WritesHalf | Course::WritesHalfAndFails => bytes.len() / 2,
            Course::Fails(refusal) => return Err(failed(refusal)),
        };
        if let Some(capacity) = state.capacity_bytes {
            let length = state.files[self.file].bytes.len();
            let free =
                usize::try_from(capacity.saturating_sub(state.used_bytes())).map_err(io::Error::other)?;
            n_bytes = n_bytes.min((length + free).saturating_sub(offset));
            if n_bytes == 0 && !bytes.is_empty() {
                return Err(failed(FULL));
            }
        }
        if 0 < n_bytes {
            state.files[self.file].change(Change::Write { offset, bytes: bytes[..n_bytes].to_vec() });
        }
        match state.is_dead {
            true => Err(dead()),
            false if matches!(course, Course::WritesHalfAndFails) => Err(failed(FULL)),
            false if state.lies.hides_short_writes => Ok(bytes.len()),
            false => Ok(n_bytes),
        }
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        let mut state = self.state()?;
        let length = usize::try_from(length).map_err(io::Error::other)?;
        state.next_course().whole_or_not()?;
        state.files[self.file].change(Change::Truncate { length });
        if state.is_dead { Err(dead()) } else { Ok(()) }
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.state()?;
        let result = state.sync_file(self.file);
        if result.is_err() && state.lies.retries_failed_sync && !state.is_dead {
            return state.sync_file(self.file);
        }
        result
    }
}
