//! Rollups in memory: those of one request, or the newest of all until they are enough for a run.

use std::collections::HashMap;

use tollgate_rules::{Point, Rollup};

use super::cell::Cell;

/// The rollups of some series, each series with a number; the numbers are close together.
#[derive(Debug, Default)]
pub(super) struct Rollups {
    rows: Vec<Row>,
    /// Of each cell, where its row is.
    places: HashMap<Cell, u32>,
    /// Of each series, where its row is that was added last.
    newest: Vec<u32>,
}

#[derive(Debug)]
struct Row {
    cell: Cell,
    /// Where the row of the same series is that was added before.
    before: u32,
    rollup: Rollup,
}

/// Where there is no row.
const NOWHERE: u32 = u32::MAX;

impl Rollups {
    /// Adds a reading.
    pub(super) fn add(&mut self, series: u32, point: Point) {
        let cell = Cell::new(series, point.hour());
        match self.find(cell) {
            Some(row) => row.rollup.add(point),
            None => self.insert(cell, Rollup::of(point)),
        }
    }

    /// Adds what other readings come to.
    pub(super) fn merge(&mut self, cell: Cell, rollup: &Rollup) {
        match self.find(cell) {
            Some(row) => row.rollup.merge(rollup),
            None => self.insert(cell, *rollup),
        }
    }

    fn find(&mut self, cell: Cell) -> Option<&mut Row> {
        let newest = *self.newest.get(cell.series() as usize)?;
        // Nearly every reading is of the hour that the one before it was of.
        let place = match self.rows.get(newest as usize) {
            Some(row) if row.cell == cell => newest,
            Some(_) => *self.places.get(&cell)?,
            None => return None,
        };
        self.rows.get_mut(place as usize)
    }

    fn insert(&mut self, cell: Cell, rollup: Rollup) {
        let place = u32::try_from(self.rows.len()).ok().filter(|place| *place != NOWHERE);
        let place = place.expect("there is no memory for so many rows");
        let series = cell.series() as usize;
        if self.newest.len() <= series {
            self.newest.resize(series + 1, NOWHERE);
        }
        let before = std::mem::replace(&mut self.newest[series], place);
        self.rows.push(Row { cell, before, rollup });
        self.places.insert(cell, place);
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// All of them, in the order in which their cells were first seen.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Cell, &Rollup)> {
        self.rows.iter().map(|row| (row.cell, &row.rollup))
    }

    /// All of them without what finds them, in that order.
    pub(super) fn into_rows(self) -> Box<[(Cell, Rollup)]> {
        self.rows.into_iter().map(|row| (row.cell, row.rollup)).collect()
    }

    /// Those of a series with their hours, the newest first.
    pub(super) fn of_series(&self, series: u32) -> impl Iterator<Item = (i64, &Rollup)> {
        let mut place = self.newest.get(series as usize).copied().unwrap_or(NOWHERE);
        std::iter::from_fn(move || {
            let row = self.rows.get(place as usize)?;
            place = row.before;
            Some((row.cell.hour(), &row.rollup))
        })
    }

    /// In the order of the cells.
    pub(super) fn sorted(&self) -> Vec<(Cell, &Rollup)> {
        let mut rows: Vec<_> = self.iter().collect();
        rows.sort_unstable_by_key(|(cell, _)| *cell);
        rows
    }
}
