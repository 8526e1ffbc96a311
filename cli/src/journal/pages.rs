//! The entries of a study, read some at a time, so that a long one need not be in memory.

use super::{JournalError, Stored};
use std::collections::VecDeque;

/// How many rows are read at once.
pub(super) const PAGE_ROWS: i64 = 256;

/// Entries that have been read, and perhaps the error that follows them.
pub(super) type Page = VecDeque<Result<Stored, JournalError>>;

/// A journal that pages are read from.
pub(super) trait PageSource {
    /// Adds up to [`PAGE_ROWS`] entries to an empty page, from a number on and in their order without a gap; fewer only at the
    /// end.
    ///
    /// # Errors
    /// Whatever keeps the next entry from being read; those before it are in the page.
    fn read_page(&self, from: u64, page: &mut Page) -> Result<(), JournalError>;
}

/// All entries from a number on; after an error there is nothing more.
pub(super) struct Pages<'a, S> {
    source: &'a S,
    next_number: u64,
    page: Page,
    is_over: bool,
}

impl<'a, S: PageSource> Pages<'a, S> {
    pub(super) fn new(source: &'a S, from: u64) -> Self {
        Self { source, next_number: from, page: Page::new(), is_over: false }
    }

    fn turn(&mut self) {
        let read = self.source.read_page(self.next_number, &mut self.page);
        self.next_number += self.page.len() as u64;
        self.is_over = read.is_err() || self.page.len() < PAGE_ROWS as usize;
        if let Err(error) = read {
            // after what was read before it
            self.page.push_back(Err(error));
        }
    }
}

impl<S: PageSource> Iterator for Pages<'_, S> {
    type Item = Result<Stored, JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.page.is_empty() && !self.is_over {
            self.turn();
        }
        self.page.pop_front()
    }
}
