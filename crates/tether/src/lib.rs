//! A child process on a line: when its parent is gone, however it ended, the kernel kills the child.
//!
//! The one crate that exists for `unsafe`: what happens between fork and exec cannot be said without it.

use std::process::Command;

/// Lets the process that `command` starts be killed when the thread that starts it ends, and so with this process, even
/// by SIGKILL. Must be called in the process that spawns; the command then fails to spawn when that process is gone.
///
/// On Linux only; elsewhere nothing is done, and the child has to watch its parent itself.
///
/// Caution: the kernel looks at the *thread* that forked. Spawn from a thread that lives as long as the child may: from
/// a runtime's worker, never from `spawn_blocking`, whose threads end when they are idle.
///
/// The line is the child's alone: its own children do not inherit it, and an executable that changes its user or group
/// (set-user-ID, file capabilities) loses it.
///
/// Source: `PR_SET_PDEATHSIG(2const)` of the Linux manual pages.
pub fn tether(command: &mut Command) {
    #[cfg(target_os = "linux")]
    linux::tether(command, rustix::process::getpid());
    #[cfg(not(target_os = "linux"))]
    let _ = command;
}

#[cfg(target_os = "linux")]
mod linux {
    use std::io;
    use std::os::unix::process::CommandExt as _;
    use std::process::Command;

    use rustix::io::Errno;
    use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};

    #[allow(
        unsafe_code,
        reason = "`pre_exec` is the only way to act in the child before it becomes the program"
    )]
    pub(super) fn tether(command: &mut Command, parent: Pid) {
        // SAFETY: between fork and exec only async-signal-safe work is allowed. `hold` makes two system calls, and
        // neither allocates nor locks; an error is a bare number.
        unsafe { command.pre_exec(move || hold(parent)) };
    }

    /// In the child. A parent that ended before the signal was asked for sends none, hence the second look.
    fn hold(parent: Pid) -> io::Result<()> {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        match getppid() {
            Some(now) if now == parent => Ok(()),
            _ => Err(Errno::SRCH.into()),
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_child_whose_parent_is_gone_already_does_not_start() {
            let mut command = Command::new("true");
            tether(&mut command, Pid::INIT);
            let fault = command.spawn().expect_err("its parent is this process, not the first one");
            assert_eq!(fault.raw_os_error(), Some(Errno::SRCH.raw_os_error()));
        }
    }
}
