//! The browser that the pages are tried in.

use crate::tool::{Step, command};

/// What browsers are called.
const NAMES: [&str; 4] = ["chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"];
/// Debian's packages with one.
const PACKAGES: [&str; 2] = ["chromium-headless-shell", "chromium"];

/// Makes sure that there is a Chromium. Where none can be had, says so, and gives what the tests are to be told.
#[expect(clippy::print_stderr, reason = "a tool for a terminal")]
pub(crate) fn ready() -> Option<(&'static str, &'static str)> {
    if is_there() {
        return None;
    }
    // Its lists may be as old as the machine.
    let _ = Step::new("looking for a browser to try the pages in")
        .run(command("apt-get").args(["update", "-qq"]));
    for package in PACKAGES {
        let mut install = command("apt-get");
        install.args(["install", "-y", "-qq", "--no-install-recommends", package]);
        if Step::new("installing a browser").run(&mut install).is_ok() && is_there() {
            return None;
        }
    }
    eprintln!("\n*** there is no Chromium on this machine, and it cannot be installed:");
    eprintln!("*** THE PAGES WILL NOT BE TRIED IN A BROWSER; everything else will be tested\n");
    Some(("WFLO_TEST_BROWSER", "none"))
}

fn is_there() -> bool {
    NAMES
        .iter()
        .any(|name| command(name).arg("--version").output().is_ok_and(|output| output.status.success()))
}
