//! Cores of one's own: a number of whole cores, and a fraction of one more.
//!
//! A core whose free pieces are a multiple of a whole core's (over-sold cores hold several) is *whole*; any other with
//! free pieces is a *fragment*. Whole cores may be cut: then they give fractions, as fragments do. An instance takes its
//! whole cores from different ones, and its fraction from one core that is cut.
//!
//! The more cores are cut, the more fractions and the fewer whole cores there are; the best is where the two meet. The
//! smallest are cut first. Both numbers have closed forms, so that no instance is looked at.

use crate::{Share, Slice};
use eru_types::CpuQuota;

/// What one instance takes of the cores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cut {
    /// Pieces of a whole core.
    pub(crate) base: u32,
    /// Whole cores.
    pub(crate) whole: u32,
    /// Pieces of one more; 0 = none.
    pub(crate) fraction: u32,
    /// Most cores of a node that may be cut.
    pub(crate) cores_max: usize,
}

impl Cut {
    /// Takes `quota` apart. The pieces are cut off as the original's arithmetic does it: 0.29 cores are 28 pieces.
    pub(crate) fn new(quota: CpuQuota, share: Share) -> Result<Self, String> {
        let base = share.base.max(1);
        let pieces = (quota.cores() * f64::from(base)).trunc() as u64;
        if pieces == 0 {
            let text =
                format!("bad `CPU` value: {} cores are less than one of the {base} pieces of a core", quota.cores());
            return Err(text);
        }
        Ok(Self {
            base,
            whole: u32::try_from(pieces / u64::from(base)).unwrap_or(u32::MAX),
            fraction: (pieces % u64::from(base)) as u32,
            cores_max: share.cores_max.map_or(usize::MAX, |max| max as usize),
        })
    }

    /// Pieces of one instance.
    pub(crate) fn pieces(&self) -> u64 {
        u64::from(self.base) * u64::from(self.whole) + u64::from(self.fraction)
    }

    /// Whether a core with so many free pieces is a fragment.
    pub(crate) fn is_fragment(&self, free: u32) -> bool {
        free != self.base && !free.is_multiple_of(self.base)
    }
}

/// A core with free pieces. Ordered by the pieces, then by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Seat(u64);

impl Seat {
    fn new(free: u32, core: u32) -> Self {
        Self(u64::from(free) << 32 | u64::from(core))
    }

    fn free(self) -> u32 {
        (self.0 >> 32) as u32
    }

    fn core(self) -> u32 {
        self.0 as u32
    }
}

/// The cores of a pool by what they can be used for.
#[derive(Debug, Default)]
pub(crate) struct Roles {
    fragments: Vec<Seat>,
    whole: Vec<Seat>,
}

impl Roles {
    /// Sorts the cores of a pool.
    pub(crate) fn sort(&mut self, cut: &Cut, cores: impl Iterator<Item = (u32, i32)>) {
        self.fragments.clear();
        self.whole.clear();
        for (core, free) in cores {
            let Some(free) = u32::try_from(free).ok().filter(|free| *free > 0) else { continue };
            let role = if cut.is_fragment(free) { &mut self.fragments } else { &mut self.whole };
            role.push(Seat::new(free, core));
        }
        self.fragments.sort_unstable();
        self.whole.sort_unstable();
    }

    /// How many instances there is room for, when at most `cuts_max` whole cores may be cut.
    pub(crate) fn capacity(&self, cut: &Cut, cuts_max: usize) -> u64 {
        let cuttable = cuts_max.min(self.whole.len());
        let fractions = |cuts: usize| self.fractions(cut, cuts);
        match (cut.whole, cut.fraction) {
            (_, 0) => self.wholes(cut, 0),
            (0, _) => fractions(cuttable),
            _ => {
                // The first number of cuts that gives at least as many fractions as whole cores; past it, only the whole
                // cores grow fewer.
                let (mut low, mut high) = (0, cuttable);
                while low < high {
                    let middle = usize::midpoint(low, high);
                    if fractions(middle) < self.wholes(cut, middle) { low = middle + 1 } else { high = middle }
                }
                let at = |cuts: usize| fractions(cuts).min(self.wholes(cut, cuts));
                at(low).max(low.checked_sub(1).map_or(0, at))
            }
        }
    }

    /// Appends which cores `count` instances take, at most the capacity: first the whole ones, whose number of slices is
    /// returned with the number of cores that are newly cut. No more cores are cut than must be, the smallest first; the
    /// smaller cores are used up first.
    pub(crate) fn take(&self, cut: &Cut, count: u64, slices: &mut Vec<Slice>) -> (usize, usize) {
        let before = slices.len();
        let mut cuts = 0;
        if cut.fraction > 0 {
            while cuts < self.whole.len() && self.fractions(cut, cuts) < count {
                cuts += 1;
            }
        }
        let mut left = count * u64::from(cut.whole);
        for seat in &self.whole[cuts..] {
            let times = u64::from(seat.free() / cut.base).min(count).min(left);
            if times == 0 {
                break;
            }
            slices.push(Slice { core: seat.core(), times: times as u32 });
            left -= times;
        }
        let whole_len = slices.len() - before;
        let mut left = if cut.fraction > 0 { count } else { 0 };
        for seat in self.fragments.iter().chain(&self.whole[..cuts]) {
            let times = u64::from(seat.free().checked_div(cut.fraction).unwrap_or(0)).min(left);
            if times > 0 {
                slices.push(Slice { core: seat.core(), times: times as u32 });
            }
            left -= times;
        }
        (whole_len, cuts)
    }

    /// Fractions that the fragments and the `cuts` smallest whole cores give.
    fn fractions(&self, cut: &Cut, cuts: usize) -> u64 {
        fractions(&self.fragments, cut) + fractions(&self.whole[..cuts], cut)
    }

    /// How many times the whole cores without the `cuts` smallest give their number for one instance.
    fn wholes(&self, cut: &Cut, cuts: usize) -> u64 {
        let seats = &self.whole[cuts..];
        let (Some(first), Some(last), need) = (seats.first(), seats.last(), u64::from(cut.whole)) else { return 0 };
        let units = |seat: &Seat| u64::from(seat.free() / cut.base);
        let len = seats.len() as u64;
        if len < need {
            return 0;
        }
        if first.free() == last.free() {
            return len * units(last) / need;
        }
        let sum: u64 = seats.iter().map(units).sum();
        if need == 1 {
            return sum;
        }
        // `times` instances find `need` different cores each when the cores, each used at most `times` times, suffice. That
        // holds up to some number and not beyond.
        let suffices = |times: u64| seats.iter().map(|s| units(s).min(times)).sum::<u64>() >= times * need;
        let (mut low, mut high) = (0, sum / need + 1);
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if suffices(middle) { low = middle } else { high = middle }
        }
        low
    }
}

/// Fractions that sorted cores give.
fn fractions(seats: &[Seat], cut: &Cut) -> u64 {
    let (Some(first), Some(last)) = (seats.first(), seats.last()) else { return 0 };
    if first.free() == last.free() {
        return seats.len() as u64 * u64::from(first.free() / cut.fraction);
    }
    seats.iter().map(|seat| u64::from(seat.free() / cut.fraction)).sum()
}
