//! The command line.

use crate::digest::Freshness;
use crate::error::{Error, Exit};
use crate::journal::Location;
use crate::manifest::{DEFAULT_JOURNAL, duration};
use crate::plugins::Locking;
use crate::simulate::AskTime;
use clap::{Parser, Subcommand, ValueEnum};
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

/// Tunes anything that runs: finds good hyperparameters, with strategies loaded as plugins.
#[derive(Debug, Parser)]
#[command(name = "ansatz", version, about, after_help = after_help(), propagate_version = true, max_term_width = 100)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

fn after_help() -> String {
    let codes: Vec<String> =
        Exit::ALL.iter().map(|(exit, meaning)| format!("  {:>3}  {meaning}", *exit as u8)).collect();
    format!("Exit codes:\n{}", codes.join("\n"))
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start a study from a manifest and run it.
    Run {
        /// The manifest, a TOML file (`ansatz init` writes one).
        manifest: PathBuf,
        #[command(flatten)]
        overrides: Overrides,
        #[command(flatten)]
        lock: LockArgs,
        #[command(flatten)]
        journal: JournalChange,
        #[command(flatten)]
        placement: Placement,
        /// Go on with the study if its store has it already: the same command may then be given again and again.
        #[arg(long)]
        resume: bool,
        #[command(flatten)]
        output: RunOutput,
    },
    /// Go on with a study that was interrupted, or that got a larger budget with --set.
    Resume {
        #[command(flatten)]
        study: StudyRef,
        #[command(flatten)]
        overrides: Overrides,
        #[command(flatten)]
        lock: LockArgs,
        #[command(flatten)]
        placement: Placement,
        /// Wait while another process runs the study, and take over when it is gone; with --on.
        #[arg(long, requires = "on")]
        standby: bool,
        #[command(flatten)]
        output: RunOutput,
    },
    /// Run trials of a study that another process asks for, until it has ended. Start as many as there are machines.
    Worker(WorkArgs),
    /// See in virtual time what many workers would do for a study: how busy they are, and what it costs to know less.
    Simulate(SimulateArgs),
    /// Print manifests for Kubernetes that run a study with workers there. They are not applied.
    Kubernetes(KubernetesArgs),
    /// Have more or fewer workers for a study that is run with --on. Those that are too many finish what they run.
    Scale {
        /// The study's name.
        study: String,
        /// How many workers it is to have.
        #[arg(value_parser = clap::value_parser!(u32).range(0..=100_000))]
        workers: u32,
        #[command(flatten)]
        journal: JournalRef,
    },
    /// End the run of a study with --on, from any machine that reaches its store; `ansatz resume` goes on with it.
    Cancel {
        /// The study's name.
        study: String,
        /// Stop the trials that run, instead of waiting for them; they are run again later.
        #[arg(long)]
        now: bool,
        #[command(flatten)]
        journal: JournalRef,
    },
    /// Have points of your own evaluated in a study: as soon as a slot is free, or when the study is resumed. Without any
    /// point, print those that wait.
    Enqueue(EnqueueArgs),
    /// Check a manifest, its plugins and their options without running a trial. This loads the plugins.
    Check {
        /// The manifest.
        manifest: PathBuf,
        #[command(flatten)]
        overrides: Overrides,
        #[command(flatten)]
        lock: LockArgs,
        /// Print the result as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Write a commented manifest to start from.
    Init {
        /// Where to write it; an existing file is never overwritten.
        #[arg(default_value = "study.toml")]
        path: PathBuf,
        /// What to tune: `command` (any program) or `digits` (the neural network that ships with Ansatz).
        #[arg(long, default_value = "command")]
        objective: String,
    },
    /// List the studies of a journal.
    List {
        #[command(flatten)]
        journal: JournalRef,
        #[command(flatten)]
        exact: ExactArg,
        /// Print the result as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show a study with its trials, or one trial in full.
    Show {
        #[command(flatten)]
        study: StudyRef,
        /// The number of one trial.
        #[arg(long, short)]
        trial: Option<u64>,
        #[command(flatten)]
        exact: ExactArg,
        /// Print the result as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Explain a trial: what its strategy predicted, what came of it, and what was known when it was asked for.
    #[command(allow_missing_positional = true)]
    Explain {
        #[command(flatten)]
        study: StudyRef,
        /// The number of the trial.
        trial: u64,
        /// Print the result as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print the best trial of a study, or its Pareto front.
    Best {
        #[command(flatten)]
        study: StudyRef,
        /// Print the result as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print the point that each strategy would choose for good by its model. Loads the strategies, runs no trial and
    /// writes nothing.
    Recommend {
        #[command(flatten)]
        study: StudyRef,
        #[command(flatten)]
        lock: LockArgs,
        /// Print the result as JSON, with every point that was recommended.
        #[arg(long)]
        json: bool,
    },
    /// Ask the strategies of a study again, in the order on record, and compare. Runs no trial and writes nothing.
    Replay {
        #[command(flatten)]
        study: StudyRef,
        #[command(flatten)]
        lock: LockArgs,
        /// Print the result as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Write all trials of a study as a table.
    Export {
        #[command(flatten)]
        study: StudyRef,
        /// Write what trials reported on their way instead, a line for each report: their learning curves.
        #[arg(long)]
        reports: bool,
        /// The format.
        #[arg(long, short, value_enum, default_value_t = Format::Csv)]
        format: Format,
        /// Leave out what differs each time a study is run: how long trials took, and how often they were tried.
        #[arg(long)]
        repeatable: bool,
        /// The file to write, instead of standard output.
        #[arg(long, short)]
        output: Option<PathBuf>,
    },
    /// Delete a study that nobody is running from its store. Without --yes it only says what that would be. Files that trials wrote
    /// stay.
    Delete {
        /// The study's name.
        study: String,
        /// Do it. There is no way back but a copy made before (`ansatz backup`).
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        journal: JournalRef,
    },
    /// Check a store: the file, its tables, and every study, replayed record by record. Writes nothing, and may be used
    /// while studies run. The exit code is 0 where all is sound and 5 where something is damaged.
    Fsck {
        #[command(flatten)]
        store: StoreRef,
        /// Print the result as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Mend a store, after a copy of it was made: what makes no sense is taken out of the journals into a table of its own,
    /// and nothing is deleted that is not kept. No study of the store may be running. The exit code is 0 where all is
    /// sound afterwards and 5 where something cannot be mended.
    Repair {
        #[command(flatten)]
        store: StoreRef,
        /// Where the copy goes, instead of FILE.before-repair-1 beside the store.
        #[arg(long, value_name = "FILE")]
        backup: Option<PathBuf>,
        /// End trials that nobody works on as lost, also where resuming their study would run them again.
        #[arg(long)]
        close_orphans: bool,
    },
    /// Copy a store as it is at one moment, also while studies in it are being run.
    Backup {
        /// The file to write.
        to: PathBuf,
        #[command(flatten)]
        store: StoreRef,
        /// Replace the file if it exists.
        #[arg(long)]
        overwrite: bool,
    },
    /// Compare strategies on many problems with many seeds. What is done is kept: run it again to go on.
    Bench(BenchArgs),
    /// What strategies and objectives there are.
    Plugins {
        #[command(subcommand)]
        command: PluginsCommand,
    },
    /// Drive a study from any program: ask and tell as JSON lines on standard input and output.
    AskTell {
        /// The manifest; its [objective] may be left out.
        manifest: PathBuf,
        #[command(flatten)]
        overrides: Overrides,
        #[command(flatten)]
        lock: LockArgs,
        #[command(flatten)]
        journal: JournalChange,
    },
    /// Print the JSON Schema of manifests, for editors that complete them.
    Schema {
        /// Print the JSON Schema of the plugin protocol instead, one line of which is a message.
        #[arg(long)]
        protocol: bool,
        /// Print the JSON Schema of arenas (`ansatz bench`) instead.
        #[arg(long, conflicts_with = "protocol")]
        arena: bool,
    },
    /// Serve a plugin to a host; started by hosts only.
    #[command(name = crate::plugins::WORKER_SUBCOMMAND, hide = true)]
    PluginWorker(WorkerArgs),
    /// Run one case of `plugins check` in this process, which a plugin may take down.
    #[command(hide = true)]
    PluginCase(PluginCase),
    /// Print completions for a shell.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
}

/// Points for a study.
#[derive(Debug, clap::Args)]
pub struct EnqueueArgs {
    /// The study's name.
    pub study: String,
    /// A point, such as learning_rate=1e-3 optimizer=adam. What it leaves out is drawn.
    #[arg(value_name = "NAME=VALUE", value_parser = assignment)]
    pub values: Vec<(String, String)>,
    /// Points as JSON objects of names and values, one to a line; - is standard input.
    #[arg(long, short, value_name = "FILE", conflicts_with = "values")]
    pub file: Option<PathBuf>,
    /// How much of a full evaluation to use, if the study has a fidelity. Default: all of it.
    #[arg(long, value_name = "AMOUNT")]
    pub fidelity: Option<f64>,
    #[command(flatten)]
    pub journal: JournalRef,
    /// Print the result as JSON.
    #[arg(long)]
    pub json: bool,
}

fn assignment(text: &str) -> Result<(String, String), String> {
    let parts = text.split_once('=').filter(|(name, _)| !name.is_empty());
    parts
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .ok_or_else(|| "it is not NAME=VALUE".to_owned())
}

/// Changes to a manifest from the command line.
#[derive(Debug, clap::Args)]
pub struct Overrides {
    /// Set a key of the manifest, for example --set budget.trials=50; may be given several times.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

/// An arena, and what of it is meant.
#[derive(Debug, clap::Args)]
pub struct BenchArgs {
    /// The arena, a TOML file, or `several`, which comes with Ansatz; without it the one of one metric that does.
    #[arg(value_name = "FILE")]
    pub arena: Option<PathBuf>,
    /// Only these strategies, with commas between; a plugin that the arena does not name competes as it is.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub strategies: Vec<String>,
    /// Only these problems or families of problems, with commas between.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub problems: Vec<String>,
    /// How often each strategy meets each problem.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub seeds: Option<u64>,
    /// How many trials each run has; smaller budgets of the arena are still compared.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub budget: Option<u64>,
    /// How many runs go on at the same time.
    #[arg(long, value_name = "N", value_parser = at_once)]
    pub jobs: Option<usize>,
    /// How many trials a strategy has under way at a time; the oldest ends first.
    #[arg(long, value_name = "N", value_parser = at_once)]
    pub slots: Option<usize>,
    /// Where results and report are kept, instead of bench/NAME.
    #[arg(long, short, value_name = "FOLDER")]
    pub output: Option<PathBuf>,
    /// Run again what another build of a plugin did.
    #[arg(long)]
    pub rerun: bool,
    /// Print the report as JSON.
    #[arg(long)]
    pub json: bool,
}

fn at_once(text: &str) -> Result<usize, String> {
    let count = text.parse().ok().filter(|count| (1..=1_024).contains(count));
    count.ok_or_else(|| "a whole number from 1 to 1024".to_owned())
}

/// How much of a long journal is read.
#[derive(Debug, clap::Args)]
pub struct ExactArg {
    /// Read the whole journal, also where it is long and the study runs: without, it may be shown as it was seconds ago.
    #[arg(long)]
    exact: bool,
}

impl ExactArg {
    /// Whether an older digest will do.
    pub fn freshness(&self) -> Freshness {
        if self.exact { Freshness::Exact } else { Freshness::Recent }
    }
}

/// Which plugins are meant.
#[derive(Debug, clap::Args)]
pub struct LockArgs {
    /// Refuse plugins that differ from ansatz.lock beside the manifest (see `ansatz plugins lock`).
    #[arg(long)]
    pub locked: bool,
}

impl LockArgs {
    /// What the lock means for the command.
    pub fn locking(&self) -> Locking {
        if self.locked { Locking::Refuse } else { Locking::Warn }
    }
}

/// What a worker serves.
#[derive(Debug, clap::Args)]
pub struct WorkerArgs {
    /// How many bytes of address space it may use.
    #[arg(long)]
    pub memory: Option<u64>,
    /// A library to load and serve.
    #[arg(long, conflicts_with = "program", required_unless_present = "program")]
    pub library: Option<PathBuf>,
    /// The folder of a program to become.
    #[arg(long)]
    pub program: Option<PathBuf>,
}

/// Where trials run, if not in this process.
#[derive(Debug, clap::Args)]
pub struct Placement {
    /// Run trials at workers: started here (`local`), by a cluster (`slurm`, `ray`), or by somebody else (`board`).
    #[arg(long, value_enum)]
    pub on: Option<On>,
    /// How many workers to start, for `local`, `slurm` and `ray`.
    #[arg(short = 'n', long, value_name = "N", default_value_t = 1, requires = "on", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub workers: u32,
    /// How many trials each of them runs at the same time.
    #[arg(long, value_name = "K", default_value_t = 1, requires = "on", value_parser = clap::value_parser!(u32).range(1..=1_024))]
    pub worker_slots: u32,
    /// How long a worker may give no sign of life before its trials are run elsewhere, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 30, requires = "on", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub lease: u64,
}

/// Who starts workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum On {
    /// This process, on this machine.
    Local,
    /// Slurm, as a job array.
    Slurm,
    /// Ray, as a job whose driver keeps the workers.
    Ray,
    /// Somebody else, by `ansatz worker`.
    Board,
}

/// What is simulated.
#[derive(Debug, clap::Args)]
pub struct SimulateArgs {
    /// The manifest of the study. Its objective is evaluated, and takes no virtual time.
    pub manifest: PathBuf,
    #[command(flatten)]
    pub overrides: Overrides,
    /// How many workers of one slot; several numbers are compared.
    #[arg(long, value_name = "N,N,...", value_delimiter = ',', default_value = "1,10,100,1000", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub workers: Vec<u32>,
    /// The median time of a trial, such as 30s or 1h30min.
    #[arg(long, value_name = "TIME", default_value = "1min", value_parser = virtual_seconds)]
    pub median: f64,
    /// Standard deviation of the logarithm of the time of a trial; 0: all take the same.
    #[arg(long, value_name = "S", default_value_t = 0.5, value_parser = not_negative)]
    pub spread: f64,
    /// The share of trials that take longer by the factor of --straggler-factor.
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share)]
    pub stragglers: f64,
    /// How many times as long stragglers take.
    #[arg(long, value_name = "K", default_value_t = 10.0, value_parser = not_negative)]
    pub straggler_factor: f64,
    /// The share of attempts of median length in which the worker dies.
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share)]
    pub crashes: f64,
    /// After this time a dead worker's trial is run elsewhere.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = virtual_seconds)]
    pub lease: f64,
    /// After this time another worker takes the place of a dead one.
    #[arg(long, value_name = "TIME", default_value = "1min", value_parser = virtual_seconds)]
    pub recovery: f64,
    /// What it costs to ask for a trial: a time, with which a simulation repeats bit for bit, or `measured`.
    #[arg(long, value_name = "TIME", default_value = "5ms", value_parser = ask_time)]
    pub ask_time: AskTime,
    /// What a turn of the asker costs besides: to write it down, and the board.
    #[arg(long, value_name = "TIME", default_value = "5ms", value_parser = virtual_seconds)]
    pub turn_time: f64,
    /// How many seeds, from the study's on; medians are shown.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    pub seeds: u64,
    /// Print every run as JSON.
    #[arg(long)]
    pub json: bool,
}

fn virtual_seconds(text: &str) -> Result<f64, String> {
    match text {
        "0" => Ok(0.0),
        text => duration::seconds(text),
    }
}

fn ask_time(text: &str) -> Result<AskTime, String> {
    match text {
        "measured" => Ok(AskTime::Measured),
        text => virtual_seconds(text).map(AskTime::Each),
    }
}

fn not_negative(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|error| format!("{error}"))?;
    if number.is_finite() && number >= 0.0 { Ok(number) } else { Err("must be a number from 0 on".into()) }
}

fn share(text: &str) -> Result<f64, String> {
    not_negative(text).and_then(|share| match share < 1.0 {
        true => Ok(share),
        false => Err("must be below 1".into()),
    })
}

/// What is to run on Kubernetes.
#[derive(Debug, clap::Args)]
pub struct KubernetesArgs {
    /// The manifest of the study.
    pub manifest: PathBuf,
    #[command(flatten)]
    pub journal: JournalChange,
    /// A container image with ansatz, its plugins and all that the objective needs.
    #[arg(long)]
    pub image: String,
    /// How many pods work.
    #[arg(short = 'n', long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub workers: u32,
    /// How many trials each of them runs at the same time; it asks for as many processors.
    #[arg(long, value_name = "K", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_024))]
    pub worker_slots: u32,
    /// The Secret whose key `password` is the password of the server.
    #[arg(long, value_name = "NAME")]
    pub secret: Option<String>,
}

/// What a worker is to do.
#[derive(Debug, clap::Args)]
pub struct WorkArgs {
    /// The study's name.
    #[arg(long)]
    pub study: String,
    #[command(flatten)]
    pub journal: JournalRef,
    /// How many trials to run at the same time.
    #[arg(long, value_name = "K", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_024))]
    pub slots: u32,
    /// How long to wait while nobody asks for anything, or the store is down, before ending; in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub patience: u64,
    /// Show errors only.
    #[arg(long, short)]
    pub quiet: bool,
    #[command(flatten)]
    pub lock: LockArgs,
}

/// How a run reports.
#[derive(Debug, clap::Args)]
pub struct RunOutput {
    /// Show warnings and the summary only.
    #[arg(long, short)]
    pub quiet: bool,
    /// Print the summary as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Where a study is kept, instead of where its manifest says.
#[derive(Debug, clap::Args)]
pub struct JournalChange {
    /// Keep the study in this journal instead of the manifest's: a file, or postgres://user@host/database.
    #[arg(long, visible_alias = "store", value_name = "STORE")]
    journal: Option<OsString>,
}

impl JournalChange {
    /// Which journal is meant, if any is.
    pub fn location(&self) -> Result<Option<Location>, Error> {
        self.journal.as_deref().map(location).transpose()
    }
}

/// A journal.
#[derive(Debug, clap::Args)]
pub struct JournalRef {
    /// The journal: a file, or postgres://user@host/database. Without it what ANSATZ_STORE names, else ansatz.db.
    #[arg(long, visible_alias = "store", value_name = "STORE")]
    journal: Option<OsString>,
}

impl JournalRef {
    /// Which journal is meant.
    pub fn location(&self) -> Result<Location, Error> {
        match &self.journal {
            Some(text) => location(text),
            None => Ok(Location::of_environment()
                .map_err(Error::Usage)?
                .unwrap_or_else(|| Location::File(DEFAULT_JOURNAL.into()))),
        }
    }
}

/// Read after the command line, whose messages repeat what they refuse: an address may hold a password. Names of files
/// need not be Unicode.
fn location(text: &OsStr) -> Result<Location, Error> {
    match text.to_str() {
        Some(text) => text.parse().map_err(Error::Usage),
        None => Ok(Location::File(text.into())),
    }
}

/// A store of journals.
#[derive(Debug, clap::Args)]
pub struct StoreRef {
    /// The store: the journal of one study or of many.
    #[arg(long, visible_alias = "journal", value_name = "FILE", default_value = crate::manifest::DEFAULT_JOURNAL)]
    store: OsString,
}

impl StoreRef {
    /// Which file is meant: a store on a server has tools of its own.
    pub fn path(&self) -> Result<PathBuf, Error> {
        match location(&self.store)? {
            Location::File(path) => Ok(path),
            Location::Server(_) => Err(Error::Usage(
                "this is for files: a server's journal is copied by pg_dump --schema ansatz, and checked by its own \
                 tools"
                    .to_owned(),
            )),
        }
    }
}

/// A study in a journal.
#[derive(Debug, clap::Args)]
pub struct StudyRef {
    /// The study's name; may be left out where the journal holds one study only.
    pub study: Option<String>,
    #[command(flatten)]
    pub journal: JournalRef,
}

/// What to know about plugins.
#[derive(Debug, Subcommand)]
pub enum PluginsCommand {
    /// List every plugin of the search path. What did not ship with Ansatz is looked at from a process of its own.
    List {
        /// Search this folder first; may be given several times.
        #[arg(long, value_name = "FOLDER")]
        path: Vec<PathBuf>,
        /// Print the result as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show what one plugin can do, and its options with types, defaults and documentation.
    Inspect {
        /// The plugin's name, such as `bayesian` or `com.acme.cma`, or the path of a library or program.
        name: String,
        /// Search this folder first; may be given several times.
        #[arg(long, value_name = "FOLDER")]
        path: Vec<PathBuf>,
        /// Print the result as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Write a plugin to start from: a crate in Rust, or a program in Python.
    New {
        /// Its name, such as com.acme.walk; the last part names the folder.
        name: String,
        /// What it is.
        #[arg(long, value_enum, default_value_t = PluginKind::Strategy)]
        kind: PluginKind,
        /// What it is written in.
        #[arg(long, value_enum, default_value_t = Language::Rust)]
        language: Language,
        /// The folder to write; by default the last part of the name, here.
        #[arg(long, value_name = "FOLDER")]
        to: Option<PathBuf>,
        /// Where the crate ansatz-core is, for Rust; by default where this ansatz was built.
        #[arg(long, value_name = "FOLDER")]
        core: Option<PathBuf>,
    },
    /// Put a plugin where studies find it: a library, the folder of a program, or a crate, which is built first.
    Install {
        /// The library, program folder or crate folder.
        source: PathBuf,
        /// Where to put it; by default the user's plugin folder.
        #[arg(long, value_name = "FOLDER")]
        to: Option<PathBuf>,
    },
    /// Take a plugin away that was installed. Studies that use it can be looked at, and not resumed.
    Uninstall {
        /// Its name, as `ansatz plugins list` prints it.
        name: String,
        /// Where it is; by default the user's plugin folder.
        #[arg(long, value_name = "FOLDER")]
        from: Option<PathBuf>,
    },
    /// Pin the plugins of a manifest, by version and fingerprint, in ansatz.lock beside it.
    Lock {
        /// The manifest.
        manifest: PathBuf,
        #[command(flatten)]
        overrides: Overrides,
    },
    /// Check whether a plugin does what plugins should, case by case. This runs its code, in processes of their own.
    Check(CheckPlugin),
}

/// What a plugin is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PluginKind {
    /// Proposes points.
    Strategy,
    /// Evaluates points.
    Objective,
    /// Says which running trials to end.
    EarlyStopping,
}

/// What a plugin is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Language {
    /// A crate that becomes a library.
    Rust,
    /// A program with a helper of one file.
    Python,
}

/// What to check of a plugin.
#[derive(Debug, clap::Args)]
pub struct CheckPlugin {
    /// The plugin: a library, or the folder of a program.
    #[arg(required_unless_present = "list")]
    pub path: Option<PathBuf>,
    /// Check a library in a process of its own, as studies run what did not ship with Ansatz.
    #[arg(long)]
    pub isolated: bool,
    /// Run only this case; may be given several times.
    #[arg(long, value_name = "ID")]
    pub only: Vec<String>,
    /// Check only the component of this name.
    #[arg(long, value_name = "NAME")]
    pub component: Option<String>,
    /// A manifest whose [objective] or [[strategy]] names the plugin: its options are used, and an objective is
    /// checked with its problem.
    #[arg(long, value_name = "FILE")]
    pub problem: Option<PathBuf>,
    /// Every random number comes from this seed.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// How long each case may take, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub timeout: u64,
    /// List the cases, and run none.
    #[arg(long)]
    pub list: bool,
    /// Print the result as JSON.
    #[arg(long)]
    pub json: bool,
}

/// One case of one component, in this process.
#[derive(Debug, clap::Args)]
pub struct PluginCase {
    /// The plugin: a library, or the folder of a program.
    #[arg(long)]
    pub plugin: PathBuf,
    /// Its code runs in a process of its own.
    #[arg(long)]
    pub isolated: bool,
    /// What the component does: strategy or objective.
    #[arg(long, requires = "name")]
    pub role: Option<String>,
    /// The component; left out for the plugin as a whole.
    #[arg(long, requires = "role")]
    pub name: Option<String>,
    /// The id of the case.
    #[arg(long)]
    pub case: String,
    /// Every random number comes from this seed.
    #[arg(long)]
    pub seed: u64,
    /// When the process is ended, in seconds from its start.
    #[arg(long)]
    pub timeout: f64,
    /// A manifest that names the plugin.
    #[arg(long)]
    pub problem: Option<PathBuf>,
}

/// A format of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Comma-separated values with a header line (RFC 4180).
    Csv,
    /// A list of objects, one per trial.
    Json,
}

/// A word as a shell reads it back.
pub fn quoted(word: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./:@%=,+".contains(letter);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}
