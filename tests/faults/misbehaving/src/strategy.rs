//! The strategy.

use ansatz_core::rng::Rng;
use ansatz_core::{
    Capability, Descriptor, Observation, Pending, Point, Problem, Strategy, StrategyError, Suggestion,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::hash::{BuildHasher, RandomState};

/// Options of the strategy.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// What it does wrong.
    pub misdeed: Misdeed,
    /// How many calls of ask (or tell, if that is where the misdeed is) are well-behaved before it.
    pub after: u64,
    /// Where `segfault-once` remembers, and what `panic-in-tell-later` waits for.
    pub memory: std::path::PathBuf,
}

/// What it does wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Misdeed {
    /// Nothing.
    #[default]
    None,
    /// Panics while it is made.
    PanicInNew,
    /// Panics when it is asked.
    PanicInAsk,
    /// Panics when it is told.
    PanicInTell,
    /// Panics when it is told, once there is a file: as another build might.
    PanicInTellLater,
    /// Says that it cannot go on.
    ErrorInAsk,
    /// Suggests a point with every coordinate far above its bound.
    Outside,
    /// Suggests one more than it was asked for.
    TooMany,
    /// Never suggests anything and never says that it is exhausted.
    Waits,
    /// Says that it is exhausted.
    Exhausted,
    /// Suggests other points in every process.
    Unrepeatable,
    /// Dies of a signal, as a bad pointer would have it.
    Segfault,
    /// Aborts.
    Abort,
    /// Ends the process as if all were well.
    Exit,
    /// Calls itself without end.
    OverflowStack,
    /// Takes memory without end.
    EatMemory,
    /// Never answers.
    Hang,
    /// Never comes back when it is told.
    HangInTell,
    /// Prints a line that looks like an answer, and answers.
    Prints,
    /// Dies of a signal the first time that it is asked so in a study: a file remembers.
    SegfaultOnce,
}

/// Random points, and a misdeed.
pub struct MisbehavingStrategy {
    problem: Problem,
    options: Options,
    rng: Rng,
    asked: u64,
    told: u64,
}

impl Strategy for MisbehavingStrategy {
    const DESCRIPTOR: Descriptor = Descriptor {
        name: "com.example.misbehaving-strategy",
        summary: "does what strategies should not, chosen by option",
        capabilities: &Capability::ALL,
    };

    type Options = Options;

    fn new(problem: &Problem, options: Options, rng: Rng) -> Result<Self, StrategyError> {
        if options.misdeed == Misdeed::PanicInNew {
            panic!("in new, as asked for");
        }
        Ok(Self { problem: problem.clone(), options, rng, asked: 0, told: 0 })
    }

    fn ask(&mut self, count: usize, _: &Pending<'_>) -> Result<Vec<Suggestion>, StrategyError> {
        let is_due = self.asked >= self.options.after;
        self.asked += 1;
        let misdeed = if is_due { self.options.misdeed } else { Misdeed::None };
        match misdeed {
            Misdeed::PanicInAsk => panic!("in ask, as asked for"),
            Misdeed::ErrorInAsk => Err(StrategyError::Other("it cannot go on, as asked for".into())),
            Misdeed::Outside => {
                let beyond = self.problem.space.parameters().iter().map(|p| p.domain.upper() + 1e6);
                let coordinates: Vec<f64> = beyond.collect();
                Ok(vec![Suggestion::new(Point::from_flat(&coordinates)); count])
            }
            Misdeed::TooMany => Ok(self.points(count + 1)),
            Misdeed::Waits => Ok(Vec::new()),
            Misdeed::Exhausted => Err(StrategyError::Exhausted),
            Misdeed::Unrepeatable => {
                self.rng = Rng::new(RandomState::new().hash_one(self.asked));
                Ok(self.points(count))
            }
            Misdeed::Segfault => die_of_signal(),
            Misdeed::SegfaultOnce => {
                if std::fs::File::create_new(&self.options.memory).is_ok() {
                    die_of_signal();
                }
                Ok(self.points(count))
            }
            Misdeed::Abort => std::process::abort(),
            Misdeed::Exit => std::process::exit(0),
            Misdeed::OverflowStack => {
                let depth = overflow(count as u64);
                Err(StrategyError::Other(format!("it came back from {depth}")))
            }
            Misdeed::EatMemory => {
                let mut eaten: Vec<Vec<u8>> = Vec::new();
                loop {
                    eaten.push(vec![1; 16 << 20]);
                }
            }
            Misdeed::Hang => hang(),
            Misdeed::Prints => {
                println!("{{\"suggestions\":[]}}");
                Ok(self.points(count))
            }
            Misdeed::None
            | Misdeed::PanicInNew
            | Misdeed::PanicInTell
            | Misdeed::PanicInTellLater
            | Misdeed::HangInTell => Ok(self.points(count)),
        }
    }

    fn tell(&mut self, _: &[Observation]) -> Result<(), StrategyError> {
        let is_due = self.told >= self.options.after;
        self.told += 1;
        match self.options.misdeed {
            Misdeed::PanicInTell if is_due => panic!("in tell, as asked for"),
            Misdeed::PanicInTellLater if is_due && self.options.memory.exists() => {
                panic!("in tell, as asked for")
            }
            Misdeed::HangInTell if is_due => hang(),
            _ => {}
        }
        Ok(())
    }
}

/// Sends this process the signal that a bad pointer would bring, again and again, as a bad pointer would: at the first
/// one the standard library only takes its own handler away.
pub fn die_of_signal() -> ! {
    let own = std::process::id().to_string();
    loop {
        let _ = std::process::Command::new("kill").args(["-SEGV", &own]).status();
    }
}

pub fn hang() -> ! {
    loop {
        std::thread::park();
    }
}

/// Each call needs some stack, and what follows it.
#[expect(unconditional_recursion, reason = "the stack is to overflow")]
fn overflow(depth: u64) -> u64 {
    let space = std::hint::black_box([depth; 64]);
    overflow(depth + 1) + space[(depth % 64) as usize]
}

impl MisbehavingStrategy {
    fn points(&mut self, count: usize) -> Vec<Suggestion> {
        let (space, rng) = (&self.problem.space, &mut self.rng);
        (0..count).filter_map(|_| space.sample(rng)).map(Suggestion::new).collect()
    }
}
