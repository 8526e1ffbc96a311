//! Samplers of the crate `optimizer` as a strategy program: docs/plugin-protocol.md on standard input and output.

#![forbid(unsafe_code)]

mod peers;
mod space;

use std::collections::{HashMap, HashSet};
use std::io::{BufRead, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};

use optimizer::Trial;
use serde_json::{Value, json};

use crate::peers::{NAMES, Peer};
use crate::space::{Point, Space};

const NAME: &str = "peers.optimizer";
const PROTOCOL: u64 = 1;

/// An answer that is no result.
pub struct Fault {
    kind: &'static str,
    message: String,
}

impl Fault {
    pub fn invalid(message: impl Into<String>) -> Self {
        Self { kind: "invalid", message: message.into() }
    }

    pub fn unsupported(message: impl Into<String>) -> Self {
        Self { kind: "unsupported", message: message.into() }
    }
}

impl From<optimizer::Error> for Fault {
    fn from(error: optimizer::Error) -> Self {
        Self { kind: "other", message: error.to_string() }
    }
}

/// What `create` makes.
struct Strategy {
    space: Space,
    peer: Peer,
    /// The library's own trials that are open, by tag.
    open: HashMap<u64, Trial>,
    asked: u64,
    heard: HashSet<u64>,
    worst: Option<f64>,
    /// Failed trials that want a loss while none is known.
    waiting: Vec<(Point, Option<Trial>)>,
}

impl Strategy {
    fn new(body: &Value) -> Result<Self, Fault> {
        if body["name"] != NAME {
            return Err(Fault::invalid(format!("there is no {} here, only {NAME}", body["name"])));
        }
        let space = Space::read(&body["problem"]["space"])?;
        if let Some(name) =
            body["options"].as_object().and_then(|options| options.keys().find(|k| *k != "peer"))
        {
            return Err(Fault::invalid(format!("there is no option {name}; there is: peer")));
        }
        let name = match &body["options"]["peer"] {
            Value::Null => NAMES[0],
            Value::String(name) => name,
            other => return Err(Fault::invalid(format!("option peer must be a string, found {other}"))),
        };
        let peer = Peer::new(name, &space, body["seed"].as_u64().unwrap_or_default())?;
        Ok(Self {
            space,
            peer,
            open: HashMap::new(),
            asked: 0,
            heard: HashSet::new(),
            worst: None,
            waiting: Vec::new(),
        })
    }

    fn ask(&mut self, body: &Value) -> Result<Value, Fault> {
        let mut suggestions = Vec::new();
        for _ in 0..body["count"].as_u64().unwrap_or(1) {
            let (x, trial) = self.peer.propose(&self.space)?;
            self.asked += 1;
            self.open.extend(trial.map(|trial| (self.asked, trial)));
            suggestions.push(json!({"x": x, "tag": self.asked}));
        }
        Ok(json!({"suggestions": suggestions}))
    }

    fn hear(&self, seen: &Value) -> Result<Heard, Fault> {
        let number = seen["trial"].as_u64().ok_or_else(|| Fault::invalid("an observation of no trial"))?;
        let x: Point = seen["x"].as_array().into_iter().flatten().map(Value::as_f64).collect();
        if x.len() != self.space.parameters.len() {
            return Err(Fault::invalid(format!("trial {number} has a point of another space")));
        }
        let loss = seen["losses"][0].as_f64().filter(|loss| loss.is_finite());
        let is_completed = seen["status"] == "completed";
        if is_completed && loss.is_none() {
            return Err(Fault::invalid(format!("trial {number} is completed and has no finite loss")));
        }
        let tag = seen["tag"].as_u64().filter(|_| seen["own"] == true);
        Ok(Heard { number, tag, x, loss: loss.filter(|_| is_completed) })
    }

    fn tell(&mut self, body: &Value) -> Result<Value, Fault> {
        // all of it, or nothing
        let seen = body["observations"].as_array().into_iter().flatten();
        let heard: Vec<Heard> = seen.map(|seen| self.hear(seen)).collect::<Result<_, _>>()?;
        for Heard { number, tag, x, loss } in heard {
            if !self.heard.insert(number) {
                continue;
            }
            let trial = tag.and_then(|tag| self.open.remove(&tag));
            if let Some(loss) = loss {
                self.worst = Some(self.worst.map_or(loss, |worst| worst.max(loss)));
                self.peer.learn(&x, loss, trial)?;
            } else if self.peer.keeps_failures() {
                self.waiting.push((x, trial));
            }
        }
        if let Some(worst) = self.worst {
            for (x, trial) in std::mem::take(&mut self.waiting) {
                self.peer.learn(&x, worst, trial)?;
            }
        }
        Ok(json!({"ok": {}}))
    }
}

/// An observation.
struct Heard {
    number: u64,
    /// Of an own suggestion.
    tag: Option<u64>,
    x: Point,
    /// If the trial completed.
    loss: Option<f64>,
}

fn hello(body: &Value) -> Result<Value, Fault> {
    if body["protocol"] != PROTOCOL {
        let message = format!("this plugin speaks protocol {PROTOCOL}, the host {}", body["protocol"]);
        return Err(Fault::unsupported(message));
    }
    Ok(json!({"hello": {
        "protocol": PROTOCOL,
        "package": env!("CARGO_PKG_NAME"),
        "version": env!("CARGO_PKG_VERSION"),
        "build": "Rust",
        "components": [{
            "role": "strategy",
            "name": NAME,
            "summary": "a sampler of the Rust crate optimizer with its defaults",
            "capabilities": ["float", "int", "categorical", "ordinal", "conditional"],
            "options": {
                "type": "object",
                "properties": {
                    "peer": {"type": "string", "enum": NAMES, "default": NAMES[0], "description": "which"},
                },
                "additionalProperties": false,
            },
        }],
        "features": [],
    }}))
}

fn answer(strategy: &mut Option<Strategy>, verb: &str, body: &Value) -> Result<Value, Fault> {
    let early = || Fault::invalid(format!("{verb} before create"));
    match verb {
        "hello" => hello(body),
        "create" => {
            *strategy = None;
            *strategy = Some(Strategy::new(body)?);
            Ok(json!({"ok": {}}))
        }
        "ask" => strategy.as_mut().ok_or_else(early)?.ask(body),
        "tell" => strategy.as_mut().ok_or_else(early)?.tell(body),
        _ => Err(Fault::unsupported(format!("this plugin does not know {verb}"))),
    }
}

fn main() -> std::io::Result<()> {
    let mut strategy = None;
    let mut output = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let reply = match serde_json::from_str::<Value>(&line) {
            Ok(Value::Object(message)) if message.len() == 1 => {
                let Some((verb, body)) = message.iter().next() else { continue };
                // there is nothing to stop
                if verb == "stop" {
                    continue;
                }
                // an error of the library is an answer too
                catch_unwind(AssertUnwindSafe(|| answer(&mut strategy, verb, body))).unwrap_or_else(|_| {
                    Err(Fault { kind: "panic", message: format!("the library panicked in {verb}") })
                })
            }
            _ => Err(Fault::invalid("this is no message of the protocol")),
        };
        let reply =
            reply.unwrap_or_else(|fault| json!({"fault": {"kind": fault.kind, "message": fault.message}}));
        writeln!(output, "{reply}")?;
        output.flush()?;
    }
    Ok(())
}
