//! What a plugin has to do to be of use to Ansatz, as cases that can be run: `ansatz plugins check`.
//!
//! Every case has an id that never changes and one sentence about what a conforming plugin does. Each runs in a
//! process of its own, so that a crash, a hang or an exit is a result like any other. `examine` is the parent: it
//! starts children, gives them a time limit and judges how they ended. `run_case` is the child: it loads the plugin,
//! carries one case out and says what it found. How a child is started, and how results are shown, is for whoever
//! calls: see the host.
//!
//! Cases see a plugin as a `Target`: what it says of itself, and how strategies and objectives are made. They do not
//! know whether it is a library in their process.
#![forbid(unsafe_code)]

mod bench;
mod case;
mod cases;
mod child;
mod driven;
mod options;
mod problems;
mod process_facts;
mod supervise;
mod target;

pub use case::{Case, Verdict};
pub use cases::all as cases;
pub use child::{CaseSetup, Subject, Told, run_case};
pub use supervise::{CaseResult, Examination, Job, Report, examine};
pub use target::{About, Given, Place, Target};
