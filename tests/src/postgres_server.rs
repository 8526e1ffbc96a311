//! A PostgreSQL server of the tests' own: in a folder of its own, reached by a socket in it, and gone with the test
//! process however that ends. Also part of the unit tests of the host, which cannot depend on this package.
//!
//! A server refuses to run as root; for root it runs as the user `postgres`.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a helper that cannot help ends the test")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Longer than a server takes to start on a slow and busy machine, also after a crash.
const PATIENCE: Duration = Duration::from_secs(60);
const USER: &str = "tests";

/// A server, running or not.
pub struct PostgresServer {
    folder: TempDir,
    programs: PathBuf,
    /// Its standard input is ours: when it closes, the server is ended.
    keeper: Mutex<Option<Child>>,
    database_count: AtomicU64,
}

/// The server that the tests of a process share; `None`, with the reason printed, where none is installed.
pub fn shared() -> Option<&'static PostgresServer> {
    static SERVER: OnceLock<Option<PostgresServer>> = OnceLock::new();
    SERVER.get_or_init(PostgresServer::start).as_ref()
}

impl PostgresServer {
    /// A new server; `None`, with the reason printed, where none is installed.
    pub fn start() -> Option<Self> {
        let Some(programs) = programs() else {
            println!("skipped: no PostgreSQL server is installed (initdb was not found)");
            return None;
        };
        let folder = tempfile::Builder::new().prefix("ansatz-postgres-").tempdir().unwrap();
        if is_root() {
            run(Command::new("chown").arg("postgres").arg(folder.path()));
        }
        let server = Self { folder, programs, keeper: Mutex::new(None), database_count: AtomicU64::new(0) };
        let place = server.folder.path().display();
        let initdb = server.programs.join("initdb");
        run(&mut server.shell(&format!(
            "'{}' -D '{place}/data' -A trust -U {USER} --no-sync --locale=C.UTF-8 -E UTF8 >'{place}/initdb.log' 2>&1 &&
             printf \"listen_addresses=''\\nunix_socket_directories='{place}'\\nmax_connections=200\\n\
             shared_buffers=32MB\\n\" >>'{place}/data/postgresql.conf'",
            initdb.display()
        )));
        server.launch();
        Some(server)
    }

    /// A new, empty database: its address.
    pub fn database(&self) -> String {
        let number = self.database_count.fetch_add(1, Ordering::Relaxed);
        let name = format!("tests_{number}");
        self.sql("postgres", &format!("CREATE DATABASE {name}"));
        let host = self.folder.path().display().to_string().replace('/', "%2F");
        format!("postgres://{USER}@{host}/{name}")
    }

    /// What `psql` prints for a statement in a database, by its name or its address.
    pub fn sql(&self, database: &str, sql: &str) -> String {
        let name = database.rsplit('/').next().unwrap_or(database);
        let output = Command::new(self.programs.join("psql"))
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", USER, "-d", name, "-c", sql, "-h"])
            .arg(self.folder.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// From here on this user needs a password.
    pub fn require_password(&self, user: &str) {
        let path = self.folder.path().join("data/pg_hba.conf");
        let rules = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, format!("local all {user} scram-sha-256\n{rules}")).unwrap();
        self.sql("postgres", "SELECT pg_reload_conf()");
    }

    /// Kills the server and all of its processes by SIGKILL, in the middle of whatever they do.
    pub fn kill(&self) {
        let Some(mut keeper) = self.keeper.lock().unwrap().take() else { return };
        let lock = std::fs::read_to_string(self.folder.path().join("data/postmaster.pid")).unwrap();
        let head: u32 = lock.lines().next().unwrap().parse().unwrap();
        std::fs::write(self.folder.path().join("keep"), "").unwrap();
        // the head first, so that it starts nobody anew
        for process in std::iter::once(head).chain(children(head)) {
            let _ = Command::new("kill").args(["-KILL", &process.to_string()]).stderr(Stdio::null()).status();
        }
        drop(keeper.stdin.take());
        let _ = keeper.wait();
    }

    /// Starts it again after `kill`: it recovers from its log.
    pub fn restart(&self) {
        let _ = std::fs::remove_file(self.folder.path().join("keep"));
        self.launch();
    }

    fn launch(&self) {
        let place = self.folder.path().display();
        let postgres = self.programs.join("postgres");
        let script = format!(
            "'{}' -D '{place}/data' >>'{place}/log' 2>&1 </dev/null & server=$!
             cat >/dev/null; kill -QUIT $server 2>/dev/null; wait $server; [ -e keep ] || rm -rf '{place}'",
            postgres.display()
        );
        let mut command = self.shell(&script);
        let keeper = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        *self.keeper.lock().unwrap() = Some(keeper);
        let ready = self.programs.join("pg_isready");
        let started = Instant::now();
        let is_ready = || {
            let mut command = Command::new(&ready);
            command.args(["-q", "-U", USER, "-d", "postgres", "-h"]).arg(self.folder.path());
            command.status().is_ok_and(|status| status.success())
        };
        while !is_ready() {
            let log = || std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            assert!(started.elapsed() < PATIENCE, "the server does not start:\n{}", log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// A shell as the user whom a server may run as.
    fn shell(&self, script: &str) -> Command {
        let mut command = match is_root() {
            true => {
                let mut command = Command::new("runuser");
                command.args(["-u", "postgres", "--", "sh", "-c", script]);
                command
            }
            false => {
                let mut command = Command::new("sh");
                command.args(["-c", script]);
                command
            }
        };
        command.current_dir(self.folder.path());
        command
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        if let Some(mut keeper) = self.keeper.lock().unwrap().take() {
            drop(keeper.stdin.take());
            let _ = keeper.wait();
        }
    }
}

#[track_caller]
fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The folder of the newest server's programs: where Debian puts them, else on the path.
fn programs() -> Option<PathBuf> {
    let version = |path: &PathBuf| -> u32 {
        let number = path.parent().and_then(Path::file_name).map(|name| name.to_string_lossy().parse());
        number.and_then(Result::ok).unwrap_or(0)
    };
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = debian.map(|entry| entry.path().join("bin")).collect();
    folders.sort_by_key(version);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path: Vec<PathBuf> = std::env::split_paths(&path).collect();
    folders.into_iter().rev().chain(on_path).find(|folder| folder.join("initdb").is_file())
}

fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output();
    output.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

/// The processes that a process started and that have not ended.
fn children(parent: u32) -> Vec<u32> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(number) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let text = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        // the name, in brackets, may hold anything; after it come the state and the parent
        let parent_text = text.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1));
        if parent_text.and_then(|text| text.parse().ok()) == Some(parent) {
            found.push(number);
        }
    }
    found
}
