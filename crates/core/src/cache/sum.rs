//! Sums of resources that can be taken back exactly.

use eru_types::{CpuQuota, MemoryBytes, Resources};

/// The resources of many placements. Wide enough that no number of them overflows it, so that what was added can always
/// be taken away again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Sum([u128; 6]);

fn parts(r: &Resources) -> [u64; 6] {
    [r.cpu_request.0, r.cpu_limit.0, r.memory_request.0, r.memory_limit.0, r.storage_request.0, r.storage_limit.0]
}

impl Sum {
    pub(crate) fn add(&mut self, resources: &Resources) {
        for (sum, part) in self.0.iter_mut().zip(parts(resources)) {
            *sum += u128::from(part);
        }
    }

    pub(crate) fn take(&mut self, resources: &Resources) {
        for (sum, part) in self.0.iter_mut().zip(parts(resources)) {
            *sum = sum.checked_sub(u128::from(part)).expect("only what was added is taken away");
        }
    }

    /// The sum; what does not fit is the largest that does.
    pub(crate) fn resources(&self) -> Resources {
        let [cpu_request, cpu_limit, memory_request, memory_limit, storage_request, storage_limit] =
            self.0.map(|sum| u64::try_from(sum).unwrap_or(u64::MAX));
        Resources {
            cpu_request: CpuQuota(cpu_request),
            cpu_limit: CpuQuota(cpu_limit),
            memory_request: MemoryBytes(memory_request),
            memory_limit: MemoryBytes(memory_limit),
            storage_request: MemoryBytes(storage_request),
            storage_limit: MemoryBytes(storage_limit),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_can_be_taken_away() {
        let small = Resources { memory_request: MemoryBytes(5), ..Resources::default() };
        let huge = Resources { memory_request: MemoryBytes(u64::MAX), ..Resources::default() };
        let mut sum = Sum::default();
        sum.add(&small);
        sum.add(&huge);
        sum.add(&huge);
        assert_eq!(sum.resources(), huge, "what does not fit is the largest that does");
        sum.take(&huge);
        sum.take(&huge);
        assert_eq!(sum.resources(), small);
    }
}
