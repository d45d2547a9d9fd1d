//! Volumes whose device the scheduler chooses, in three classes.
//!
//! A *normal* volume has a size, which is taken from one device. A *monopoly* volume wants a device that nobody uses and
//! eats it up; all of one instance share one device. An *unlimited* volume has no size and goes to the device with the
//! most room. Where a request has monopoly volumes besides others, the unused devices are divided between them.

use crate::{
    NodeSnapshot, Place, VolumeRun,
    reason::{Cause, ReasonKind},
    resource::UNLIMITED,
};
use eru_types::{Demand, Volume};

/// Most characters of volumes in an error: it travels in the header of an answer, of which clients take 16 KiB, and is in
/// there twice.
const QUOTED_CHARS_MAX: usize = 512;

/// The scheduled volumes of one instance by class: number in the demand, and bytes.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    /// The largest first.
    pub(crate) normal: Vec<(u32, u64)>,
    pub(crate) monopoly: Vec<(u32, u64)>,
    pub(crate) unlimited: Vec<u32>,
}

impl Wanted {
    /// `None` when there are none.
    pub(crate) fn of(demand: &Demand) -> Option<Self> {
        Self::of_these(demand.scheduled().map(|(number, volume)| (number as u32, volume)))
    }

    pub(crate) fn of_these<'a>(volumes: impl Iterator<Item = (u32, &'a Volume)>) -> Option<Self> {
        let mut wanted = Self::default();
        for (number, volume) in volumes {
            match (volume.is_monopoly(), volume.size()) {
                (true, size) => wanted.monopoly.push((number, size)),
                (false, 0) => wanted.unlimited.push(number),
                (false, size) => wanted.normal.push((number, size)),
            }
        }
        wanted.normal.sort_by_key(|(_, size)| std::cmp::Reverse(*size));
        let some = !(wanted.normal.is_empty() && wanted.monopoly.is_empty() && wanted.unlimited.is_empty());
        some.then_some(wanted)
    }
}

fn sum(volumes: &[(u32, u64)]) -> u64 {
    volumes.iter().fold(0, |sum, (_, size)| sum.saturating_add(*size))
}

/// A device with free bytes. Ordered by them, then by its number.
type Seat = (u64, u32);

/// Places up to `want` instances. Returns how many there is room for, at most `want`, and on which devices they are.
pub(crate) fn plan(node: &NodeSnapshot, wanted: &Wanted, want: u64) -> (u64, Vec<VolumeRun>) {
    let want = want.min(UNLIMITED);
    let (mut shared, mut unused) = (Vec::new(), Vec::new());
    for (number, (device, free)) in (0..).zip(node.parts.devices().iter().zip(&node.free.devices)) {
        let bytes = u64::try_from(free.bytes).unwrap_or(0);
        match (free.owners, free.users) {
            (0, 0) if !wanted.monopoly.is_empty() && bytes == device.bytes => unused.push((bytes, number)),
            (0, _) => shared.push((bytes, number)),
            _ => {}
        }
    }
    shared.sort_unstable();
    unused.sort_unstable();
    if wanted.monopoly.is_empty() {
        return others(wanted, shared, want);
    }
    if wanted.normal.is_empty() && wanted.unlimited.is_empty() {
        let runs = monopoly(wanted, &unused, want);
        return (runs.len() as u64, runs);
    }
    if others(wanted, shared.clone(), 1).0 == 0 {
        // Those in use do not suffice: half of the unused, the smaller ones, are shared as well.
        shared.extend(unused.drain(..unused.len().div_ceil(2)));
        shared.sort_unstable();
    }
    let alone = monopoly(wanted, &unused, want);
    let (count, together) = others(wanted, shared, alone.len() as u64);
    (count, zip(together, alone, count))
}

/// Normal and unlimited volumes on `shared`, which is sorted.
fn others(wanted: &Wanted, shared: Vec<Seat>, want: u64) -> (u64, Vec<VolumeRun>) {
    let roomiest = shared.iter().max_by_key(|(bytes, number)| (*bytes, std::cmp::Reverse(*number))).copied();
    let Some((_, device)) = roomiest.filter(|_| want > 0) else { return (0, Vec::new()) };
    let unlimited = wanted.unlimited.iter().map(|volume| Place { volume: *volume, device, bytes: 0 });
    if wanted.normal.is_empty() {
        let run = VolumeRun { times: want as u32, places: unlimited.collect() };
        return (want, vec![run]);
    }
    let mut runs = normal(&wanted.normal, shared, want);
    if !wanted.unlimited.is_empty() {
        for run in &mut runs {
            run.places = run.places.iter().copied().chain(unlimited.clone()).collect();
        }
    }
    (runs.iter().map(|run| u64::from(run.times)).sum(), runs)
}

/// Device by device, the fullest first: as many whole instances as fit, then one that is begun here and goes on on the
/// following devices. It ends where the rest of one fits nowhere.
fn normal(wanted: &[(u32, u64)], mut seats: Vec<Seat>, want: u64) -> Vec<VolumeRun> {
    let all = sum(wanted);
    let mut runs = Vec::new();
    let mut left = want;
    while left > 0 && !seats.is_empty() {
        let (mut bytes, device) = seats.remove(0);
        let place = |(volume, size): &(u32, u64), device: u32| Place { volume: *volume, device, bytes: *size };
        let times = (bytes / all).min(left);
        if times > 0 {
            runs.push(VolumeRun { times: times as u32, places: wanted.iter().map(|w| place(w, device)).collect() });
            bytes -= times * all;
            left -= times;
        }
        if left == 0 {
            break;
        }
        let mut places = Vec::with_capacity(wanted.len());
        let mut after = seats.clone();
        for one in wanted {
            if one.1 <= bytes {
                bytes -= one.1;
                places.push(place(one, device));
            } else if let Some(seat) = after.iter_mut().find(|seat| seat.0 >= one.1) {
                seat.0 -= one.1;
                places.push(place(one, seat.1));
            } else {
                return runs;
            }
        }
        if places.iter().any(|place| place.device == device) {
            runs.push(VolumeRun { times: 1, places: places.into() });
            left -= 1;
            seats = after;
            seats.sort_unstable();
        }
    }
    runs
}

/// One instance a device, which is divided by the sizes.
fn monopoly(wanted: &Wanted, unused: &[Seat], want: u64) -> Vec<VolumeRun> {
    let all = sum(&wanted.monopoly);
    let fits = unused.iter().filter(|(bytes, _)| *bytes >= all && all > 0);
    let run = |(bytes, device): &Seat| VolumeRun {
        times: 1,
        places: wanted
            .monopoly
            .iter()
            .map(|(volume, size)| Place { volume: *volume, device: *device, bytes: portion(*size, all, *bytes) })
            .collect(),
    };
    fits.take(usize::try_from(want).unwrap_or(usize::MAX)).map(run).collect()
}

/// What a monopoly volume gets of a device of `bytes`.
pub(crate) fn portion(size: u64, all: u64, bytes: u64) -> u64 {
    let portion = u128::from(size) * u128::from(bytes) / u128::from(all.max(1));
    u64::try_from(portion).expect("a part of the device is not larger than it")
}

/// Joins the places of the same instances; the runs of `alone` are of one instance each.
fn zip(together: Vec<VolumeRun>, alone: Vec<VolumeRun>, count: u64) -> Vec<VolumeRun> {
    let each = together.iter().flat_map(|run| std::iter::repeat_n(run, run.times as usize));
    let join = |(a, b): (&VolumeRun, &VolumeRun)| VolumeRun {
        times: 1,
        places: a.places.iter().chain(b.places.iter()).copied().collect(),
    };
    each.zip(&alone).take(count as usize).map(join).collect()
}

/// Why a node cannot take the volumes of one instance.
pub(super) fn cause(node: &NodeSnapshot, wanted: &Wanted) -> Cause {
    if node.parts.devices().is_empty() {
        return Cause::new(ReasonKind::Volumes, "no volumes");
    }
    let largest = |seats: &mut dyn Iterator<Item = i64>| u64::try_from(seats.max().unwrap_or(0)).unwrap_or(0);
    let free = &node.free.devices;
    let unused = node.parts.devices().iter().zip(free).filter(|(d, f)| f.users == 0 && f.bytes as u64 == d.bytes);
    let room = largest(&mut unused.map(|(_, f)| f.bytes));
    let all = sum(&wanted.monopoly);
    if room < all {
        return Cause::short(ReasonKind::Volumes, "largest unused volume", all, room);
    }
    let one = wanted.normal.first().map_or(0, |(_, size)| *size);
    let room = largest(&mut free.iter().filter(|f| f.owners == 0).map(|f| f.bytes));
    if room < one {
        return Cause::short(ReasonKind::Volumes, "largest free volume", one, room);
    }
    Cause::new(ReasonKind::Volumes, "no room for the volumes together")
}

pub(crate) fn nothing_left(demand: &Demand) -> String {
    let volumes = spelled(demand.scheduled().map(|(_, volume)| volume));
    format!("no node remains volumes for requests [{volumes}]: not enough resource")
}

/// Volumes as an error may quote them.
pub(crate) fn spelled<'a>(volumes: impl Iterator<Item = &'a Volume>) -> String {
    let mut text = String::new();
    for volume in volumes {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(&volume.to_string());
        if let Some((end, _)) = text.char_indices().nth(QUOTED_CHARS_MAX) {
            text.truncate(end);
            text.push('…');
            break;
        }
    }
    text
}
