//! Opens the container's own terminal. The caller's is never passed on, so the container cannot type into the caller's
//! shell (TIOCSTI).

use linux_raw_sys::general::{ONLCR, termios, winsize};

use super::report::Report;
use super::sys::*;
use super::tree::{self, Top};
use super::{steps, wire};

/// Opens a terminal in the container's devpts, sends its master to the caller, and makes the other side the controlling
/// terminal and the standard descriptors.
pub fn open(report: &Report, multiplexer: Top, dev: Top, step: &steps::Terminal) -> Result<()> {
    let master = open_master(multiplexer, step.multiplexer.path.as_str())?;
    let result = take(report, dev, master, step);
    close(master);
    result
}

fn open_master(top: Top, path: Str) -> Result<i32> {
    let master = tree::open(top, path, O_RDWR | O_NOCTTY)?;
    // The image may have replaced the file (CVE-2025-52565): it must be a multiplexer of a real devpts.
    let genuine = filesystem(master)?.kind == DEVPTS_SUPER_MAGIC && is_device(&stat(master)?, S_IFCHR, 5, 2);
    if genuine {
        return Ok(master);
    }
    close(master);
    Err(ENODEV)
}

fn take(report: &Report, dev: Top, master: i32, step: &steps::Terminal) -> Result<()> {
    let unlock = 0i32;
    ioctl(master, TIOCSPTLCK, &raw const unlock as usize)?;
    let slave = ioctl(master, TIOCGPTPEER, (O_RDWR | O_NOCTTY | O_CLOEXEC) as usize)? as i32;
    if step.rows | step.columns != 0 {
        let size = winsize { ws_row: step.rows, ws_col: step.columns, ws_xpixel: 0, ws_ypixel: 0 };
        ioctl(slave, TIOCSWINSZ, &raw const size as usize)?;
    }
    if step.plain_newlines {
        keep_newlines(slave)?;
    }
    chown(slave, step.uid, u32::MAX)?;
    if step.console {
        bind_console(dev, step.dev.path.as_str(), slave)?;
    }
    ioctl(slave, TIOCSCTTY, 0)?;
    for standard in 0..3 {
        dup_onto(slave, standard)?;
    }
    close(slave);
    report.send(wire::TERMINAL, 0, Some(master))
}

/// Clears ONLCR: the terminal does not turn newlines in the program's output into carriage returns and newlines.
fn keep_newlines(terminal: i32) -> Result<()> {
    // SAFETY: all-zero is a valid termios, and the kernel fills it.
    let mut settings: termios = unsafe { core::mem::zeroed() };
    ioctl(terminal, TCGETS, &raw mut settings as usize)?;
    settings.c_oflag &= !ONLCR;
    ioctl(terminal, TCSETS, &raw const settings as usize).map(|_| ())
}

fn bind_console(top: Top, dev: Str, slave: i32) -> Result<()> {
    let dev = tree::open(top, dev, O_PATH | O_DIRECTORY)?;
    let console = tree::make_file_at(dev, Str::literal(c"console"));
    close(dev);
    let console = console?;
    let result = open_tree(slave, EMPTY, OPEN_TREE_CLONE | AT_EMPTY_PATH).and_then(|tree| {
        let result = attach(tree, console);
        close(tree);
        result
    });
    close(console);
    result
}
