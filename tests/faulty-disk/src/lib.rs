//! A disk that fails on order. Loaded into a process by `LD_PRELOAD`, this stands in for the C library's functions that
//! write files and make them durable; what is not about a file below `FAULTY_DISK_DIR` passes through untouched.
//!
//! The file that `FAULTY_DISK_ORDERS` names is read at every call, so that a test changes its mind at any time. It holds
//! words, of which an empty file has none:
//!
//! * `sync=fail`: syncs fail with EIO
//! * `hold=TEXT`: syncs of files with TEXT in them wait until the order is gone
//! * `write=fail`, `write=full`: writes fail with EIO or ENOSPC
//! * `sync=kill`, `rename=kill`, `remove=kill`: the process is killed right before the next one
//! * `torn=N`: the next write of more than N bytes writes N of them, and the process is killed
//!
//! With `FAULTY_DISK_SYNCED`, that folder holds what would be left after a power cut at any moment: a copy of each file
//! as of its last sync, and in `names` the folder's entries as of the folder's last sync.
//!
//! The second crate that exists for `unsafe`: symbols of the C library cannot be replaced without it. It replaces what the
//! standard library calls; system calls that a library makes by itself are not seen.

#[cfg(all(target_os = "linux", target_env = "gnu", target_pointer_width = "64"))]
mod orders;
#[cfg(all(target_os = "linux", target_env = "gnu", target_pointer_width = "64"))]
mod symbols;
#[cfg(all(target_os = "linux", target_env = "gnu", target_pointer_width = "64"))]
mod synced;
