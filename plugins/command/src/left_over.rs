//! Programs that outlived the host that started them: a host that is killed ends nothing. Each program is noted in the folder
//! of its attempt as long as it runs, and what runs there although its host is gone is ended before the next attempt begins,
//! so that the two do not run beside each other.
//!
//! Linux only, by `proc(5)`: elsewhere nothing is noted.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use serde::{Deserialize, Serialize};

/// The file in the folder of an attempt.
pub const NOTE: &str = ".ansatz-process.json";
/// How often processes that were told to end are looked at.
const TICK: Duration = Duration::from_millis(20);
/// How long they may take to end after SIGKILL.
const DEATH_TIME_MAX: Duration = Duration::from_secs(2);

/// What became of what an earlier attempt left running.
#[derive(Debug, PartialEq, Eq)]
pub enum LeftOver {
    /// Nothing was left, or somebody else looks after it.
    Nothing,
    /// It was ended.
    Ended,
    /// It could not be ended: the process group with this number is still there.
    StillRuns(i32),
}

/// A process. Its number alone would not do: it may be another's by now, after another start of the machine, or in
/// another container.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Identity {
    process: i32,
    /// In clock ticks since the machine started.
    started_ticks: u64,
    /// Of the machine's start.
    boot: String,
    /// In which process numbers are counted.
    namespace: String,
}

/// What `/proc/PROCESS/stat` says of a process that runs.
struct Stat {
    group: i32,
    started_ticks: u64,
}

impl Stat {
    fn of(process: i32) -> Option<Stat> {
        // the name may hold anything, cut anywhere
        let bytes = fs::read(format!("/proc/{process}/stat")).ok()?;
        let text = String::from_utf8_lossy(&bytes);
        // what follows its bracket is state, parent, group and, 22nd of all, the start
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_ascii_whitespace().collect();
        // dead, and at most not yet waited for
        if matches!(*fields.first()?, "Z" | "X") {
            return None;
        }
        Some(Stat { group: fields.get(2)?.parse().ok()?, started_ticks: fields.get(19)?.parse().ok()? })
    }
}

impl Identity {
    /// Of a process that runs.
    fn of(process: i32) -> Option<Identity> {
        let started_ticks = Stat::of(process)?.started_ticks;
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?.trim().to_owned();
        let namespace = fs::read_link("/proc/self/ns/pid").ok()?.to_string_lossy().into_owned();
        Some(Identity { process, started_ticks, boot, namespace })
    }

    fn is_running(&self) -> bool {
        Identity::of(self.process).is_some_and(|now| now == *self)
    }
}

/// The leader of a process group, and the process that looks after it.
#[derive(Debug, Serialize, Deserialize)]
struct Content {
    /// `None`: it was about to be started.
    leader: Option<Identity>,
    host: Identity,
}

/// The note on a program that runs; taken back with it.
#[derive(Debug)]
pub struct Note(Option<PathBuf>);

impl Note {
    /// Notes that a program is about to be started: a host may be killed at any moment. A note that cannot be written is no
    /// reason to stop.
    pub fn announce(path: Option<&Path>) -> Note {
        let note = Note(path.map(Path::to_owned));
        note.write(None);
        note
    }

    /// Notes which process it is.
    pub fn complete(&self, leader: Pid) {
        if let Some(leader) = Identity::of(leader.as_raw_nonzero().get()) {
            self.write(Some(leader));
        }
    }

    fn write(&self, leader: Option<Identity>) {
        let own = i32::try_from(std::process::id()).ok().and_then(Identity::of);
        let (Some(path), Some(host)) = (&self.0, own) else { return };
        let Ok(text) = serde_json::to_string(&Content { leader, host }) else { return };
        // in one step: half a note is none
        let new = path.with_extension("new");
        drop(fs::write(&new, text).and_then(|()| fs::rename(&new, path)));
    }
}

impl Drop for Note {
    fn drop(&mut self) {
        if let Some(path) = self.0.take() {
            drop(fs::remove_file(path));
        }
    }
}

/// The processes of an attempt that still run.
struct Members<'a> {
    leader: Option<&'a Identity>,
    /// What the environment of each has.
    mark: Vec<u8>,
}

impl Members<'_> {
    /// The groups that they are in: that of the leader, where one is known. Where it is gone, its number may be that of another
    /// group; what was started for this attempt has its folder in the environment.
    fn groups(&self) -> BTreeSet<i32> {
        let Ok(entries) = fs::read_dir("/proc") else { return BTreeSet::new() };
        let numbers = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        let group_of = |process: i32| {
            let stat = Stat::of(process)?;
            let is_marked = || {
                let environment = fs::read(format!("/proc/{process}/environ")).unwrap_or_default();
                environment.split(|byte| *byte == 0).any(|variable| variable == self.mark)
            };
            let is_member = match self.leader {
                Some(leader) if stat.group != leader.process => false,
                Some(leader) if (process, stat.started_ticks) == (leader.process, leader.started_ticks) => {
                    true
                }
                _ => is_marked(),
            };
            // 1 would be everybody's, and what is below no group at all
            (is_member && stat.group > 1).then_some(stat.group)
        };
        numbers.filter_map(group_of).collect()
    }

    fn signal(&self, signal: Signal) {
        for group in self.groups() {
            if let Some(group) = Pid::from_raw(group) {
                let _ = kill_process_group(group, signal);
            }
        }
    }
}

/// Ends what runs for the attempt of this folder although its host is gone: SIGTERM to its process group, and SIGKILL
/// to what is left after the grace time, or as soon as there is no time for that.
pub fn end(folder: &Path, grace: Duration, mut is_urgent: impl FnMut() -> bool) -> LeftOver {
    let path = folder.join(NOTE);
    let noted = fs::read_to_string(&path).ok().and_then(|text| serde_json::from_str::<Content>(&text).ok());
    let Some(Content { leader, host }) = noted else { return LeftOver::Nothing };
    let is_here = i32::try_from(std::process::id()).ok().and_then(Identity::of).is_some_and(|own| {
        let is_same = |noted: &Identity| (&own.boot, &own.namespace) == (&noted.boot, &noted.namespace);
        is_same(&host) && leader.as_ref().is_none_or(is_same)
    });
    if !is_here || host.is_running() {
        return LeftOver::Nothing;
    }
    let mark = format!("ANSATZ_OUTPUT={}", folder.display()).into_bytes();
    let members = Members { leader: leader.as_ref(), mark };
    if members.groups().is_empty() {
        return LeftOver::Nothing;
    }
    let mut ends_within = |time, may_hurry: bool| {
        let since = Instant::now();
        while !members.groups().is_empty() {
            if since.elapsed() >= time || (may_hurry && is_urgent()) {
                return false;
            }
            thread::sleep(TICK);
        }
        true
    };
    members.signal(Signal::TERM);
    members.signal(Signal::CONT);
    if !ends_within(grace, true) {
        members.signal(Signal::KILL);
        if !ends_within(DEATH_TIME_MAX, false) {
            return members.groups().first().map_or(LeftOver::Ended, |group| LeftOver::StillRuns(*group));
        }
    }
    drop(fs::remove_file(path));
    LeftOver::Ended
}

#[cfg(all(test, target_os = "linux"))]
#[expect(clippy::unwrap_used, reason = "a test that panics has failed, in its helpers too")]
mod tests {
    use super::*;
    use std::os::unix::process::CommandExt;
    use std::process::{Child, Command};

    const LONG: Duration = Duration::from_secs(60);

    /// A folder of an attempt that is gone after the test.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Folder {
            let path = std::env::temp_dir().join(format!("ansatz-left-over-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Folder(path)
        }

        /// Starts a line of shell as a program of this attempt, and waits until it has written `ready`.
        fn start(&self, line: &str) -> Child {
            let mut command = Command::new("sh");
            command.args(["-c", line]).process_group(0).current_dir(&self.0).env("ANSATZ_OUTPUT", &self.0);
            let child = command.spawn().unwrap();
            wait_until(|| self.0.join("ready").exists());
            child
        }

        fn leave(&self, leader: impl Into<Option<Identity>>, host: Identity) {
            let leader = leader.into();
            let text = serde_json::to_string(&Content { leader, host }).unwrap();
            fs::write(self.0.join(NOTE), text).unwrap();
        }

        fn number(&self, file: &str) -> i32 {
            fs::read_to_string(self.0.join(file)).unwrap().trim().parse().unwrap()
        }

        fn end(&self, grace: Duration) -> LeftOver {
            end(&self.0, grace, || false)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            drop(fs::remove_dir_all(&self.0));
        }
    }

    fn wait_until(mut is_so: impl FnMut() -> bool) {
        let since = Instant::now();
        while !is_so() {
            assert!(since.elapsed() < LONG);
            thread::sleep(TICK);
        }
    }

    fn identity(child: &Child) -> Identity {
        Identity::of(i32::try_from(child.id()).unwrap()).unwrap()
    }

    fn kill(mut child: Child) {
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// A host that ran once.
    fn gone() -> Identity {
        let child = Command::new("sleep").arg("60").spawn().unwrap();
        let identity = identity(&child);
        kill(child);
        identity
    }

    #[test]
    fn what_was_left_running_has_its_grace_time_and_then_ends_with_its_children() {
        let folder = Folder::new("ends");
        // the leader ends at once; one child saves something first, the other will not end
        let child = folder.start(
            "(trap 'sleep 0.2; touch saved; exit' TERM; touch saves; while :; do sleep 0.01; done) &\n\
             (trap '' TERM; touch stubborn; exec sleep 60) &\n\
             echo $! > last; while ! [ -e saves -a -e stubborn ]; do sleep 0.01; done; touch ready; wait",
        );
        folder.leave(identity(&child), gone());
        assert_eq!(folder.end(Duration::from_secs(2)), LeftOver::Ended);
        assert!(folder.0.join("saved").exists(), "it had the time that it needed");
        assert!(Stat::of(folder.number("last")).is_none());
        assert!(!folder.0.join(NOTE).exists());
        assert_eq!(folder.end(LONG), LeftOver::Nothing);
        kill(child);
    }

    /// A host that was killed between the start of a program and the note on it.
    #[test]
    fn a_program_that_was_only_announced_is_found_by_its_folder() {
        let folder = Folder::new("announced");
        let mut child = folder.start("touch ready; exec sleep 60");
        folder.leave(None, gone());
        assert_eq!(folder.end(LONG), LeftOver::Ended);
        assert!(!child.wait().unwrap().success() && !folder.0.join(NOTE).exists());
        // and the note itself: who announces is running
        let path = folder.0.join(NOTE);
        let note = Note::announce(Some(&path));
        assert!(path.exists());
        assert_eq!(folder.end(LONG), LeftOver::Nothing);
        drop(note);
        assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 1, "ready");
    }

    #[test]
    fn children_of_a_leader_that_is_gone_are_found_and_nobody_waits_who_has_no_time() {
        let folder = Folder::new("orphans");
        let mut leader = folder.start("(trap '' TERM; touch ready; exec sleep 60) & echo $! > child; exit 0");
        let noted = Identity { process: i32::try_from(leader.id()).unwrap(), ..gone() };
        leader.wait().unwrap();
        folder.leave(noted, gone());
        let since = Instant::now();
        assert_eq!(end(&folder.0, LONG, || true), LeftOver::Ended);
        assert!(since.elapsed() < LONG && Stat::of(folder.number("child")).is_none());
    }

    #[test]
    fn a_stranger_with_the_same_number_is_left_alone_and_so_is_what_has_a_host() {
        let folder = Folder::new("stranger");
        fs::write(folder.0.join("ready"), "").unwrap();
        let own = Identity::of(i32::try_from(std::process::id()).unwrap()).unwrap();
        let running = folder.start("exec sleep 60");
        folder.leave(identity(&running), own);
        assert_eq!(folder.end(LONG), LeftOver::Nothing, "its host is there");

        // a group of the same number, of another attempt
        let elsewhere = Folder::new("elsewhere");
        fs::write(elsewhere.0.join("ready"), "").unwrap();
        let mut stranger = elsewhere.start("exec sleep 60");
        // the leader of no group: signals to its number would reach nobody, or others
        let mut member = Command::new("sleep").arg("60").spawn().unwrap();
        let same = || identity(&stranger);
        let other = || "elsewhere".to_owned();
        for noted in [
            Identity { started_ticks: same().started_ticks - 1, ..same() },
            Identity { boot: other(), ..same() },
            Identity { namespace: other(), ..same() },
            Identity { process: -1, ..same() },
            Identity { process: 0, ..same() },
            Identity { process: 1, ..Identity::of(1).unwrap_or_else(same) },
            identity(&member),
        ] {
            folder.leave(noted.clone(), gone());
            assert_eq!(folder.end(LONG), LeftOver::Nothing, "{noted:?}");
        }
        for damaged in ["", "{}", "null"] {
            fs::write(folder.0.join(NOTE), damaged).unwrap();
            assert_eq!(folder.end(LONG), LeftOver::Nothing);
        }
        for child in [&mut stranger, &mut member] {
            assert!(child.try_wait().unwrap().is_none(), "it runs");
        }
        [running, stranger, member].into_iter().for_each(kill);
    }

    #[test]
    fn a_process_is_known_whatever_it_is_called() {
        let folder = Folder::new("name");
        // cut after fifteen bytes, in the middle of a letter
        let program = folder.0.join("оптимизация) Z 1");
        // a link and no copy: while a file is written, another test may fork, and what it starts holds the file open for
        // writing until it runs; nobody can run the file meanwhile
        std::os::unix::fs::symlink("/bin/sleep", &program).unwrap();
        let child = Command::new(&program).arg0("sleep").arg("60").spawn().unwrap();
        wait_until(|| fs::read(format!("/proc/{}/comm", child.id())).is_ok_and(|name| name[0] == 0xd0));
        assert!(identity(&child).is_running());
        kill(child);
    }
}
