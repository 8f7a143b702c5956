//! The pages of a list that a read has received, no two alike, and what they tell together.

use super::env::Env;
use super::read_quorum::Copies;
use crate::record::{Item, ItemRange, Record, Stamp};
use crate::store::{RecordId, RecordStore};
use crate::wire::{Items, Page, PageSummary, Request, Response, Want};
use crate::{Address, Now, Shape};

/// All that was received of a stretch of one list.
pub(super) struct PageCopies {
    id: RecordId,
    range: ItemRange,
    with_base: bool,
    /// The pages received so far, no two alike.
    pages: Vec<(PageSummary, Page)>,
}

impl PageCopies {
    pub(super) fn new(id: RecordId, range: ItemRange, with_base: bool) -> Self {
        Self { id, range, with_base, pages: Vec::new() }
    }

    pub(super) fn range(&self) -> &ItemRange {
        &self.range
    }

    /// Where the next page begins, if there is one: as far as all pages reach.
    pub(super) fn next(&self) -> Option<Stamp> {
        let nexts = self.pages.iter().filter_map(|(told, _)| told.next);
        nexts.reduce(|one, other| self.range.earlier(one, other))
    }

    /// The stamp of the newest base.
    pub(super) fn base_stamp(&self) -> Stamp {
        self.pages.iter().map(|(told, _)| told.base_stamp).max().unwrap_or(Stamp::MIN)
    }

    /// What is there, as those say that have the newest base.
    pub(super) fn shape(&self) -> Option<Shape> {
        let base_stamp = self.base_stamp();
        let newest = self.pages.iter().filter(|(told, _)| told.base_stamp == base_stamp);
        newest.filter_map(|(_, page)| page.shape).max()
    }

    /// What the pages tell together, as far as all of them reach.
    pub(super) fn merged(&self) -> Record {
        let told = self.next().map_or(self.range, |next| self.range.ending_before(next));
        let base_stamp = self.base_stamp();
        let mut merged = Record::default();
        for (_, page) in &self.pages {
            merged.merge(page.part.clone());
        }
        let (base, items) = merged.into_parts();
        let is_told =
            |item: &Item| item.field.is_none() && item.stamp > base_stamp && told.contains(item.stamp);
        Record::from_parts(base.filter(|base| base.stamp == base_stamp), items.filter(is_told))
    }

    /// What a replica lacks of the merged page.
    pub(super) fn lacking(&self, told: &PageSummary, merged: &Record) -> Option<Record> {
        let page = self.pages.iter().find(|(known, _)| is_same_page(known, told));
        let delta = page.map_or_else(|| merged.clone(), |(_, page)| merged.difference(&page.part));
        (!delta.is_empty()).then_some(delta)
    }

    fn add(&mut self, page: Page) -> PageSummary {
        let summary = page.summary();
        if self.lacks(&summary) {
            self.pages.push((summary.clone(), page));
        }
        summary
    }
}

impl Copies for PageCopies {
    type Told = PageSummary;

    fn record_id(&self) -> &RecordId {
        &self.id
    }

    fn is_empty(&self) -> bool {
        self.pages.is_empty()
    }

    /// Whether the page of a replica that said so is not here. The rest of its record does not matter.
    fn lacks(&self, told: &PageSummary) -> bool {
        let same = |(known, _): &(PageSummary, Page)| is_same_page(known, told);
        !Self::is_nothing(told) && !self.pages.iter().any(same)
    }

    fn is_nothing(told: &PageSummary) -> bool {
        told.record.is_absent()
    }

    fn request(&self, want: Want) -> Request {
        Request::Items(Items { want, ..Items::new(&self.id, &self.range, self.with_base) })
    }

    fn take_in_own<S: RecordStore, A: Address>(
        &mut self,
        env: &mut Env<S, A>,
        now: Now,
    ) -> Option<PageSummary> {
        if env.is_syncing {
            return None;
        }
        let page = env.page_here(now, &self.id, &self.range, self.with_base).ok()?;
        Some(self.add(page))
    }

    fn take_in<A>(&mut self, _: Now, response: Response<A>) -> Option<PageSummary> {
        match response {
            Response::Page(page) if goes_on(&self.range, page.next) => Some(self.add(page)),
            Response::PageSummary(summary) if goes_on(&self.range, summary.next) => Some(summary),
            _ => None,
        }
    }
}

/// Whether a page that ends here brings its reader on: whoever would have it ask for the same page for ever is not heard.
fn goes_on(range: &ItemRange, next: Option<Stamp>) -> bool {
    let start = if range.newest_first { range.to } else { range.from };
    next.is_none_or(|next| next != start && range.contains(next))
}

/// Whether two replicas have the same page, whatever else their records hold.
fn is_same_page(one: &PageSummary, other: &PageSummary) -> bool {
    (one.page, one.base_stamp, one.next) == (other.page, other.base_stamp, other.next)
        && one.record.is_absent() == other.record.is_absent()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_would_have_a_page_asked_for_again_and_again_is_not_heard() {
        let at = |time| Stamp { time, writer: 1 };
        let forward = ItemRange { from: at(3), to: at(9), ..ItemRange::default() };
        let backward = ItemRange { newest_first: true, ..forward };
        let heard = |range: &ItemRange| -> Vec<u64> {
            (2..11).filter(|&time| goes_on(range, Some(at(time)))).collect()
        };
        assert_eq!(heard(&forward), [4, 5, 6, 7, 8, 9]);
        assert_eq!(heard(&backward), [3, 4, 5, 6, 7, 8]);
        assert!(goes_on(&forward, None) && goes_on(&backward, None));
    }
}
