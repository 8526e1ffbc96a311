//! A journal that keeps nothing, for studies whose records nobody will want.

use super::{Entries, Journal, JournalError, Stamped, StudyHeader};

/// Takes entries and forgets them.
pub struct NoJournal {
    header: StudyHeader,
}

impl NoJournal {
    /// Of a study.
    pub fn new(header: StudyHeader) -> Self {
        Self { header }
    }
}

impl Journal for NoJournal {
    fn header(&self) -> &StudyHeader {
        &self.header
    }

    fn entry_count(&self) -> Result<u64, JournalError> {
        Ok(0)
    }

    fn entries(&self, _: u64) -> Entries<'_> {
        Box::new(std::iter::empty())
    }

    fn delete(self: Box<Self>) -> Result<(), JournalError> {
        Ok(())
    }

    fn append(&mut self, _: &[Stamped]) -> Result<(), JournalError> {
        Ok(())
    }

    fn close(self: Box<Self>) -> Result<(), JournalError> {
        Ok(())
    }
}
