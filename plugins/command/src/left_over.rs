//! Programs that outlived the host that started them: a host that is killed ends nothing. Each program is noted in the folder
//! of its attempt as long as it runs, and what an earlier attempt left running is ended before the next one begins,
//! so that no point is evaluated twice at a time.
//!
//! Linux only, by `proc(5)`: elsewhere nothing is noted.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, getpgid, kill_process_group};
use serde::{Deserialize, Serialize};

/// The file in the folder of an attempt.
pub const NOTE: &str = "process.json";
/// How often a process that was told to end is looked at.
const TICK: Duration = Duration::from_millis(20);
/// How long a process may take to end after SIGKILL.
const DEATH_TIME_MAX: Duration = Duration::from_secs(2);

/// The leader of a process group. Its number alone would not do: it may be another's by now, after another start of
/// the machine, or in another container.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Identity {
    process: i32,
    /// In clock ticks since the machine started.
    started: u64,
    /// Of the machine's start.
    boot: String,
    /// In which process numbers are counted.
    namespace: String,
}

impl Identity {
    /// Of a process that runs.
    fn of(process: i32) -> Option<Identity> {
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
        // the name may hold anything; what follows its bracket is state, parent, ... and, 22nd of all, the start
        let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
        let state = fields.next()?;
        let started = fields.nth(18)?.parse().ok()?;
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?.trim().to_owned();
        let namespace = fs::read_link("/proc/self/ns/pid").ok()?.to_string_lossy().into_owned();
        (!matches!(state, "Z" | "X")).then_some(Identity { process, started, boot, namespace })
    }

    fn is_running(&self) -> bool {
        Identity::of(self.process).is_some_and(|now| now == *self)
    }
}

/// The note on a program that runs; taken back with it.
#[derive(Debug)]
pub struct Note(Option<PathBuf>);

impl Note {
    /// Notes which process it is. A note that cannot be written is no reason to stop.
    pub fn write(path: Option<&Path>, process: Pid) -> Note {
        let noted = path.and_then(|path| {
            let text = serde_json::to_string(&Identity::of(process.as_raw_nonzero().get())?).ok()?;
            fs::write(path, text).ok()?;
            Some(path.to_owned())
        });
        Note(noted)
    }
}

impl Drop for Note {
    fn drop(&mut self) {
        if let Some(path) = self.0.take() {
            drop(fs::remove_file(path));
        }
    }
}

/// Ends what an earlier attempt left running: SIGTERM to its process group, and SIGKILL after the grace time. Whether
/// there was anything.
pub fn end(folder: &Path, grace: Duration) -> bool {
    let path = folder.join(NOTE);
    let noted = fs::read_to_string(&path).ok().and_then(|text| serde_json::from_str::<Identity>(&text).ok());
    let Some(left) = noted.filter(Identity::is_running) else { return false };
    // signals go to a group: it has to be one that it leads
    let leads = |process: &Pid| getpgid(Some(*process)).is_ok_and(|group| group == *process);
    let Some(group) = Pid::from_raw(left.process).filter(leads) else { return false };
    let ends_within = |time| {
        let since = Instant::now();
        while left.is_running() && since.elapsed() < time {
            thread::sleep(TICK);
        }
        !left.is_running()
    };
    let _ = kill_process_group(group, Signal::TERM);
    let _ = kill_process_group(group, Signal::CONT);
    let has_ended = ends_within(grace);
    // its children too, which may have ignored the first signal
    let _ = kill_process_group(group, Signal::KILL);
    if !has_ended {
        ends_within(DEATH_TIME_MAX);
    }
    drop(fs::remove_file(path));
    true
}

#[cfg(all(test, target_os = "linux"))]
#[expect(clippy::unwrap_used, reason = "a test that panics has failed, in its helpers too")]
mod tests {
    use super::*;
    use std::os::unix::process::CommandExt;
    use std::process::{Child, Command};

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Folder {
            let path = std::env::temp_dir().join(format!("ansatz-left-over-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Folder(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            drop(fs::remove_dir_all(&self.0));
        }
    }

    fn start(line: &str) -> Child {
        Command::new("sh").args(["-c", line]).process_group(0).spawn().unwrap()
    }

    fn identity(child: &Child) -> Identity {
        Identity::of(i32::try_from(child.id()).unwrap()).unwrap()
    }

    fn leave(folder: &Folder, identity: &Identity) {
        fs::write(folder.0.join(NOTE), serde_json::to_string(identity).unwrap()).unwrap();
    }

    #[test]
    fn what_was_left_running_ends_with_its_children() {
        let folder = Folder::new("ends");
        // the child ignores SIGTERM, and so does its parent until the child has ended
        let mut left = start("trap '' TERM; sleep 60 & wait");
        leave(&folder, &identity(&left));
        let begun = Instant::now();
        assert!(end(&folder.0, Duration::from_millis(100)));
        assert!(begun.elapsed() < Duration::from_secs(30));
        assert!(!left.wait().unwrap().success());
        assert!(!folder.0.join(NOTE).exists());
        assert!(!end(&folder.0, Duration::from_secs(9)), "nothing is left");
    }

    #[test]
    fn a_stranger_with_the_same_number_is_left_alone() {
        let folder = Folder::new("stranger");
        let mut stranger = start("sleep 60");
        let (same, other) = (|| identity(&stranger), "elsewhere".to_owned());
        let strangers = [
            Identity { started: same().started - 1, ..same() },
            Identity { boot: other.clone(), ..same() },
            Identity { namespace: other, ..same() },
            Identity { process: -1, ..same() },
            Identity { process: 0, ..same() },
        ];
        for noted in strangers {
            leave(&folder, &noted);
            assert!(!end(&folder.0, Duration::from_secs(9)), "{noted:?}");
        }
        for damaged in ["", "{}", "null"] {
            fs::write(folder.0.join(NOTE), damaged).unwrap();
            assert!(!end(&folder.0, Duration::from_secs(9)));
        }
        // one that leads no group: signals would reach others
        let mut member = Command::new("sleep").arg("60").spawn().unwrap();
        leave(&folder, &identity(&member));
        assert!(!end(&folder.0, Duration::from_secs(9)));
        for child in [&mut stranger, &mut member] {
            assert!(child.try_wait().unwrap().is_none(), "it runs");
        }
        member.kill().unwrap();
        member.wait().unwrap();
        stranger.kill().unwrap();
        // dead and not yet reaped is not running
        while Identity::of(i32::try_from(stranger.id()).unwrap()).is_some() {
            thread::sleep(TICK);
        }
        stranger.wait().unwrap();
    }
}
