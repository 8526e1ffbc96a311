//! Which file systems a store may be on: WAL needs memory that all its users share, and locks that hold,
//! so all of them must be on one machine, and the file system too.

use super::{JournalError, JournalErrorKind};
use std::path::Path;

/// What to do with a store on a network file system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NetworkFolder {
    /// Refuse it.
    #[default]
    Refuse,
    /// Use it: whoever says so knows that only one machine ever opens it, and that locks work there.
    Allow,
}

/// Refuses a path on a network file system. `path` must exist.
pub fn refuse_network(path: &Path) -> Result<(), JournalError> {
    match network_file_system(path) {
        None => Ok(()),
        Some(name) => Err(JournalError::new(
            JournalErrorKind::Network,
            format!(
                "{} is on {name}, where SQLite can neither lock nor share memory reliably; keep the journal on a \
                 local disk of the machine that runs the study, for example [journal] path = \
                 \"/var/tmp/ansatz.db\", and copy it when the study is done",
                path.display()
            ),
        )),
    }
}

/// The name of the network file system that a path is on; `None` where it is local, or where we cannot tell.
#[cfg(target_os = "linux")]
fn network_file_system(path: &Path) -> Option<String> {
    // the type's width and sign differ between machines; the magic numbers have 32 bits
    let magic = rustix::fs::statfs(path).ok()?.f_type as u32;
    match by_magic(magic)? {
        FileSystem::Network(name) => Some(name.to_owned()),
        FileSystem::Fuse => {
            let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
            let path = path.canonicalize().ok()?;
            network_fuse(mount_type(&mounts, &path))
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn network_file_system(_: &Path) -> Option<String> {
    None
}

/// A file system that is not simply local.
#[cfg(target_os = "linux")]
#[derive(Debug, PartialEq)]
enum FileSystem {
    Network(&'static str),
    /// A program: which one, only the mount table knows.
    Fuse,
}

/// By the number that `statfs` gives: linux/magic.h, and the sources of those that are not in there.
#[cfg(target_os = "linux")]
fn by_magic(magic: u32) -> Option<FileSystem> {
    Some(FileSystem::Network(match magic {
        0x6573_5546 => return Some(FileSystem::Fuse),
        0x0000_6969 => "a network file system (NFS)",
        0x0000_517b | 0xff53_4d42 | 0xfe53_4d42 => "a network file system (SMB/CIFS)",
        0x0bd0_0bd0 => "a network file system (Lustre)",
        0x4750_4653 => "a network file system (GPFS)",
        0x00c3_6400 => "a network file system (Ceph)",
        0x1983_0326 => "a network file system (BeeGFS)",
        0x2003_0528 => "a network file system (OrangeFS)",
        0xaad7_aaea => "a network file system (PanFS)",
        0x5346_414f | 0x6b41_4653 => "a network file system (AFS)",
        0x7375_7245 => "a network file system (Coda)",
        0x0000_564c => "a network file system (NCP)",
        0x0116_1970 => "a cluster file system (GFS2)",
        0x7461_636f => "a cluster file system (OCFS2)",
        0x0102_1997 => "a folder shared with another system (9p)",
        0x786f_4256 => "a folder shared with another system (VirtualBox)",
        0xbacb_acbc => "a folder shared with another system (VMware)",
        _ => return None,
    }))
}

/// Local programs that pass locks and shared memory through to a disk; any other is taken for remote.
#[cfg(target_os = "linux")]
fn network_fuse(mount_type: Option<&str>) -> Option<String> {
    let local =
        ["fuseblk", "fuse.fuse-overlayfs", "fuse.mergerfs", "fuse.bindfs", "fuse.gocryptfs", "fuse.encfs"];
    match mount_type {
        Some(name) if local.contains(&name) => None,
        Some(name) => Some(format!("a file system that may be remote ({name})")),
        None => Some("a file system that may be remote (FUSE)".to_owned()),
    }
}

/// The type of the mount that a canonical path is in, from the text of /proc/self/mountinfo: the one with
/// the longest mount point, and of these the last.
#[cfg(target_os = "linux")]
fn mount_type<'a>(mounts: &'a str, path: &Path) -> Option<&'a str> {
    let mut best: Option<(usize, &str)> = None;
    for line in mounts.lines() {
        let Some((before, after)) = line.split_once(" - ") else { continue };
        let (Some(point), Some(name)) = (before.split(' ').nth(4), after.split(' ').next()) else { continue };
        // blanks and the like are written in octal
        let point =
            point.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\");
        if path.starts_with(&point) && best.is_none_or(|(length, _)| point.len() >= length) {
            best = Some((point.len(), name));
        }
    }
    best.map(|(_, name)| name)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn network_file_systems_are_told_by_their_numbers() {
        let network = |magic| matches!(by_magic(magic), Some(FileSystem::Network(_)));
        for magic in [0x6969, 0xff53_4d42, 0xfe53_4d42, 0x0bd0_0bd0, 0x4750_4653, 0x0102_1997] {
            assert!(network(magic), "{magic:#x}");
        }
        // ext4, xfs, btrfs, tmpfs, overlayfs, zfs, f2fs
        for magic in [0xef53, 0x5846_5342, 0x9123_683e, 0x0102_1994, 0x794c_7630, 0x2fc1_2fc1, 0xf2f5_2010] {
            assert_eq!(by_magic(magic), None, "{magic:#x}");
        }
        assert_eq!(by_magic(0x6573_5546), Some(FileSystem::Fuse));
    }

    #[test]
    fn a_program_is_taken_for_remote_unless_it_is_known() {
        let mounts = "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n\
                      40 22 0:50 / /home/eva/my\\040cluster rw - fuse.sshfs cluster: rw\n\
                      41 22 0:51 / /media/disk rw - fuseblk /dev/sdb1 rw\n\
                      42 22 0:52 / /media/disk/deep rw - virtiofs shared rw\n";
        let judge = |path: &str| network_fuse(mount_type(mounts, Path::new(path)));
        assert!(judge("/home/eva/my cluster/study").is_some_and(|name| name.contains("fuse.sshfs")));
        assert_eq!(judge("/media/disk/study"), None);
        assert!(judge("/media/disk/deep/study").is_some_and(|name| name.contains("virtiofs")));
        assert_eq!(mount_type(mounts, Path::new("/home/eva/my clusters")), Some("ext4"));
        assert!(network_fuse(None).is_some());
    }

    #[test]
    fn a_refusal_says_where_to_keep_it() {
        // whatever the folder of this test is on, the root of a Linux system's processes is local
        assert_eq!(refuse_network(Path::new("/proc")), Ok(()));
    }
}
