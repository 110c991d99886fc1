//! Faults of the disk under the server: one that fails on order, and one that is small.

mod faulty_disk;
mod small_disk;

pub use faulty_disk::FaultyDisk;
pub use small_disk::SmallDisk;
