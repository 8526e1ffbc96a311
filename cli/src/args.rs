//! The command line.

use crate::error::Exit;
use clap::{Parser, Subcommand, ValueEnum};
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
        /// Keep the study in this journal instead of the manifest's.
        #[arg(long, value_name = "FILE")]
        journal: Option<PathBuf>,
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
        output: RunOutput,
    },
    /// Check a manifest, its plugins and their options without running a trial. This loads the plugins.
    Check {
        /// The manifest.
        manifest: PathBuf,
        #[command(flatten)]
        overrides: Overrides,
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
    /// Write all trials of a study as a table.
    Export {
        #[command(flatten)]
        study: StudyRef,
        /// The format.
        #[arg(long, short, value_enum, default_value_t = Format::Csv)]
        format: Format,
        /// The file to write, instead of standard output.
        #[arg(long, short)]
        output: Option<PathBuf>,
    },
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
        /// Keep the study in this journal instead of the manifest's.
        #[arg(long, value_name = "FILE")]
        journal: Option<PathBuf>,
    },
    /// Print the JSON Schema of manifests, for editors that complete them.
    Schema,
    /// Run one case of `plugins check` in this process, which a plugin may take down.
    #[command(hide = true)]
    PluginCase(PluginCase),
    /// Print completions for a shell.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
}

/// Changes to a manifest from the command line.
#[derive(Debug, clap::Args)]
pub struct Overrides {
    /// Set a key of the manifest, for example --set budget.trials=50; may be given several times.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
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

/// A journal.
#[derive(Debug, clap::Args)]
pub struct JournalRef {
    /// The journal.
    #[arg(long, value_name = "FILE", default_value = crate::manifest::DEFAULT_JOURNAL)]
    pub journal: PathBuf,
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
    /// List every plugin of the search path. This loads them, which runs their code.
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
        /// The plugin's name, such as `bayesian` or `com.acme.cma`.
        name: String,
        /// Search this folder first; may be given several times.
        #[arg(long, value_name = "FOLDER")]
        path: Vec<PathBuf>,
        /// Print the result as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Check whether a plugin does what plugins should, case by case. This runs its code, in processes of their own.
    Check(CheckPlugin),
}

/// What to check of a plugin.
#[derive(Debug, clap::Args)]
pub struct CheckPlugin {
    /// The plugin, a library.
    #[arg(required_unless_present = "list")]
    pub path: Option<PathBuf>,
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
    /// The plugin, a library.
    #[arg(long)]
    pub library: PathBuf,
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
