//! One budget of bytes for the windows of all resources together. When they pass it, the largest are cut down to a common
//! level, so that one busy resource does not take the history of the quiet ones.

use std::sync::{Arc, atomic::Ordering};

use super::{Shared, resource::Resource};

/// By this part of the budget more is freed than is needed, so that not every batch has to free again.
const SLACK: usize = 8;

/// Cuts windows when they are above the budget. Only the feed calls this.
pub(super) fn shrink(shared: &Shared) {
    let budget = shared.options.total_window_bytes;
    if shared.window_bytes.load(Ordering::Relaxed) <= shared.window_limit.load(Ordering::Relaxed) {
        return;
    }
    let mut windows: Vec<(usize, Arc<Resource>)> = Vec::new();
    for resource in shared.registry.all().values() {
        windows.push((resource.state().event_bytes, resource.clone()));
    }
    let level = level(windows.iter().map(|(bytes, _)| *bytes).collect(), budget - budget / SLACK);
    let mut total = 0;
    for (bytes, resource) in windows {
        total += if bytes > level { cut(&resource, level) } else { bytes };
    }
    shared.window_bytes.store(total, Ordering::Relaxed);
    // What every window keeps may be above the budget already: then there is nothing to do until there is more.
    shared.window_limit.store(budget.max(total + budget / SLACK), Ordering::Relaxed);
}

fn cut(resource: &Resource, level: usize) -> usize {
    let mut state = super::resource::State::clone(&resource.state());
    state.trim(usize::MAX, level);
    let bytes = state.event_bytes;
    resource.publish(state);
    bytes
}

/// The level to which the largest of `sizes` have to be cut so that all together are at most `target`.
fn level(mut sizes: Vec<usize>, target: usize) -> usize {
    sizes.sort_unstable();
    let mut left = target;
    for (index, size) in sizes.iter().enumerate() {
        let share = left / (sizes.len() - index);
        if *size > share {
            return share;
        }
        left -= size;
    }
    usize::MAX
}

#[cfg(test)]
mod tests {
    use super::level;

    #[test]
    fn the_largest_are_cut_to_one_level_and_the_small_are_left() {
        for (sizes, target, expected) in [
            (vec![10, 20, 30], 60, usize::MAX),
            (vec![30, 10, 20], 50, 20),
            (vec![100, 100, 1], 51, 25),
            (vec![5, 5], 0, 0),
            (vec![], 0, usize::MAX),
        ] {
            let level = level(sizes.clone(), target);
            assert_eq!(level, expected, "{sizes:?} {target}");
            assert!(sizes.iter().map(|size| size.min(&level)).sum::<usize>() <= target);
        }
    }
}
