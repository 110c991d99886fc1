//! The replaced functions. Each passes on with the system call itself, and so needs no way to find the function it stands
//! in for.

#![allow(unsafe_code, reason = "symbols of the C library are replaced, and their arguments are raw pointers")]

use std::ffi::{CStr, OsStr};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use libc::{
    AT_FDCWD, SYS_fdatasync, SYS_fsync, SYS_pwrite64, SYS_renameat2, SYS_unlinkat, SYS_write, SYS_writev,
};
use libc::{c_char, c_int, c_long, c_void, iovec, off64_t, size_t, ssize_t};

use crate::orders::{self, Sync, Write, ours};
use crate::synced;

// SAFETY, for all functions here: they are called as the C library's own of the same name, so that descriptors, pointers
// and lengths are what the system call wants; nothing here looks behind a pointer but `writev`, within its length, and what takes a path, which ends
// with a zero.

#[unsafe(no_mangle)]
unsafe extern "C" fn write(fd: c_int, buffer: *const c_void, length: size_t) -> ssize_t {
    // SAFETY: see above.
    faulty(fd, length, |length| unsafe { libc::syscall(SYS_write, fd, buffer, length) })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn pwrite64(fd: c_int, buffer: *const c_void, length: size_t, offset: off64_t) -> ssize_t {
    // SAFETY: see above.
    faulty(fd, length, |length| unsafe { libc::syscall(SYS_pwrite64, fd, buffer, length, offset) })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn pwrite(fd: c_int, buffer: *const c_void, length: size_t, offset: off64_t) -> ssize_t {
    // SAFETY: see above.
    unsafe { pwrite64(fd, buffer, length, offset) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn writev(fd: c_int, parts: *const iovec, count: c_int) -> ssize_t {
    // SAFETY: see above; with no part, the first is not looked at.
    let first = usize::try_from(count).ok().filter(|count| *count > 0).map(|_| unsafe { *parts });
    let whole = first.map_or(0, |part| part.iov_len);
    faulty(fd, whole, |length| match first {
        // A write may take less than it was given, and a torn one ends in the first part.
        // SAFETY: see above.
        Some(part) if length < whole => unsafe { libc::syscall(SYS_write, fd, part.iov_base, length) },
        // SAFETY: see above.
        _ => unsafe { libc::syscall(SYS_writev, fd, parts, count) },
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fsync(fd: c_int) -> c_int {
    sync(fd, SYS_fsync)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fdatasync(fd: c_int) -> c_int {
    sync(fd, SYS_fdatasync)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn rename(from: *const c_char, to: *const c_char) -> c_int {
    // SAFETY: see above.
    unsafe {
        kill_before("rename", to);
        libc::syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0) as c_int
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn unlink(path: *const c_char) -> c_int {
    // SAFETY: see above.
    unsafe {
        kill_before("remove", path);
        libc::syscall(SYS_unlinkat, AT_FDCWD, path, 0) as c_int
    }
}

/// Kills the process when that is ordered for what it is about to do to this path.
///
/// # Safety
/// The path is one that the C library's functions take.
unsafe fn kill_before(what: &str, path: *const c_char) {
    // SAFETY: the caller's.
    let path = Path::new(OsStr::from_bytes(unsafe { CStr::from_ptr(path) }.to_bytes()));
    if orders::kills(what, path) {
        kill();
    }
}

/// Ends the process as `kill -9` does.
fn kill() -> c_long {
    // SAFETY: signals need nothing from memory; the process ends with the call.
    unsafe { libc::kill(libc::getpid(), libc::SIGKILL) }.into()
}

/// A write of `length` bytes, which `pass` does for as many as it is told.
fn faulty(fd: c_int, length: usize, pass: impl Fn(usize) -> c_long) -> ssize_t {
    let ordered = if ours(fd).is_some() { orders::write(length) } else { Write::Pass };
    let written = match ordered {
        Write::Pass => pass(length),
        Write::Fail(code) => fail(code),
        Write::Torn(some) => {
            pass(some);
            kill()
        }
    };
    written as ssize_t
}

fn sync(fd: c_int, call: c_long) -> c_int {
    let ours = ours(fd);
    match ours.as_deref().map(orders::sync) {
        Some(Sync::Fail) => return fail(libc::EIO) as c_int,
        Some(Sync::Kill) => return kill() as c_int,
        Some(Sync::Pass) | None => {}
    }
    // SAFETY: see the top.
    let synced = unsafe { libc::syscall(call, fd) };
    if let (Some(path), 0) = (ours, synced) {
        synced::keep(fd, &path);
    }
    synced as c_int
}

fn fail(code: c_int) -> c_long {
    // SAFETY: the C library gives a pointer to the thread's own number.
    unsafe { *libc::__errno_location() = code };
    -1
}
