//! The samplers, each with its defaults and a seed.

use std::collections::HashMap;

use optimizer::distribution::Distribution;
use optimizer::parameter::{CategoricalParam, FloatParam, IntParam, ParamId, ParamValue, Parameter as _};
use optimizer::sampler::tpe::MultivariateTpeSampler;
use optimizer::sampler::{CmaEsSampler, CompletedTrial, GpSampler, TpeSampler};
use optimizer::{Error, Study, Trial};

use crate::Fault;
use crate::space::{Kind, Parameter, Point, Space};

/// What the option `peer` may say; the first is the default.
pub const NAMES: [&str; 4] = ["tpe", "tpe-multivariate", "gp", "cma"];

/// One way to drive the library.
pub enum Peer {
    Asked(Asked),
    Joint(Joint),
}

impl Peer {
    pub fn new(name: &str, space: &Space, seed: u64) -> Result<Self, Fault> {
        let asked =
            |study, is_flat, keeps_failures| Self::Asked(Asked::new(space, study, is_flat, keeps_failures));
        Ok(match name {
            "tpe" => asked(Study::minimize(TpeSampler::builder().seed(seed).build()?), false, false),
            "tpe-multivariate" => Self::Joint(Joint::new(space, seed)?),
            "gp" => asked(Study::minimize(GpSampler::with_seed(seed)), true, false),
            "cma" => asked(Study::minimize(CmaEsSampler::with_seed(seed)), true, true),
            _ => {
                let known = NAMES.join(", ");
                return Err(Fault::invalid(format!("option peer must be one of {known}, found {name}")));
            }
        })
    }

    /// A point, and the library's trial if it has one.
    pub fn propose(&mut self, space: &Space) -> Result<(Point, Option<Trial>), Fault> {
        match self {
            Self::Asked(asked) => asked.propose(space),
            Self::Joint(joint) => Ok((joint.propose(space), None)),
        }
    }

    /// How a point turned out; without a trial it is one of another strategy.
    pub fn learn(&mut self, x: &Point, loss: f64, trial: Option<Trial>) -> Result<(), Fault> {
        match self {
            Self::Asked(asked) => asked.learn(x, loss, trial),
            Self::Joint(joint) => {
                joint.learn(x, loss);
                Ok(())
            }
        }
    }

    /// Whether a failed trial is to be told with a loss. The library leaves failures out of its history, and CMA-ES
    /// would wait for them for ever.
    pub fn keeps_failures(&self) -> bool {
        matches!(self, Self::Asked(asked) if asked.keeps_failures)
    }
}

/// A parameter as the library declares it.
enum Axis {
    Float(FloatParam),
    Int(IntParam),
    Choice(CategoricalParam<usize>),
}

impl Axis {
    fn new(parameter: &Parameter) -> Self {
        let name = parameter.name.clone();
        match parameter.kind {
            Kind::Float => {
                let mut axis = FloatParam::new(parameter.lower, parameter.upper).name(name);
                axis = if parameter.log { axis.log_scale() } else { axis };
                Self::Float(if let Some(step) = parameter.step { axis.step(step) } else { axis })
            }
            Kind::Int | Kind::Ordinal => {
                let mut axis = IntParam::new(parameter.lower as i64, parameter.upper as i64).name(name);
                axis = if parameter.log { axis.log_scale() } else { axis };
                let step = parameter.step.filter(|&step| step != 1.0);
                Self::Int(if let Some(step) = step { axis.step(step as i64) } else { axis })
            }
            Kind::Choice => {
                Self::Choice(CategoricalParam::new((0..=parameter.upper as usize).collect()).name(name))
            }
        }
    }

    fn id(&self) -> ParamId {
        match self {
            Self::Float(axis) => axis.id(),
            Self::Int(axis) => axis.id(),
            Self::Choice(axis) => axis.id(),
        }
    }

    fn distribution(&self) -> Distribution {
        match self {
            Self::Float(axis) => axis.distribution(),
            Self::Int(axis) => axis.distribution(),
            Self::Choice(axis) => axis.distribution(),
        }
    }

    fn suggest(&self, trial: &mut Trial) -> Result<f64, Error> {
        Ok(match self {
            Self::Float(axis) => axis.suggest(trial)?,
            Self::Int(axis) => axis.suggest(trial)? as f64,
            Self::Choice(axis) => axis.suggest(trial)? as f64,
        })
    }

    fn value(&self, coordinate: f64) -> ParamValue {
        match self {
            Self::Float(_) => ParamValue::Float(coordinate),
            Self::Int(_) => ParamValue::Int(coordinate as i64),
            Self::Choice(_) => ParamValue::Categorical(coordinate as usize),
        }
    }
}

fn coordinate(value: &ParamValue) -> f64 {
    match value {
        ParamValue::Float(value) => *value,
        ParamValue::Int(value) => *value as f64,
        ParamValue::Categorical(index) => *index as f64,
    }
}

/// A study that is asked and told.
pub struct Asked {
    study: Study<f64>,
    /// By parameter; `None` where there is one value only.
    axes: Vec<Option<Axis>>,
    middles: Vec<f64>,
    /// Whether all parameters are asked for, also inactive ones.
    is_flat: bool,
    keeps_failures: bool,
}

impl Asked {
    fn new(space: &Space, study: Study<f64>, is_flat: bool, keeps_failures: bool) -> Self {
        let axes = space.parameters.iter().map(|p| (!p.is_fixed()).then(|| Axis::new(p))).collect();
        let middles = space.parameters.iter().map(Parameter::middle).collect();
        Self { study, axes, middles, is_flat, keeps_failures }
    }

    fn propose(&mut self, space: &Space) -> Result<(Point, Option<Trial>), Fault> {
        let mut trial = self.study.ask();
        let mut x = vec![None; self.axes.len()];
        if self.is_flat {
            let mut coordinates = self.middles.clone();
            // in the order of the declarations: GP and CMA-ES know a parameter by its place in the first trial
            for (coordinate, axis) in coordinates.iter_mut().zip(&self.axes) {
                if let Some(axis) = axis {
                    *coordinate = axis.suggest(&mut trial)?;
                }
            }
            x = space.assemble(&coordinates);
        } else {
            for &index in &space.parents_first {
                if space.is_active(index, &x) {
                    let found = self.axes[index].as_ref().map(|axis| axis.suggest(&mut trial)).transpose()?;
                    x[index] = Some(space.parameters[index].snap(found.unwrap_or(self.middles[index])));
                }
            }
        }
        Ok((x, Some(trial)))
    }

    fn learn(&mut self, x: &Point, loss: f64, trial: Option<Trial>) -> Result<(), Fault> {
        let trial = match trial {
            Some(trial) => trial,
            None => self.enqueued(x)?,
        };
        self.study.tell(trial, Ok::<_, &str>(loss));
        Ok(())
    }

    /// A trial with values that somebody else chose.
    fn enqueued(&self, x: &Point) -> Result<Trial, Fault> {
        let mut chosen = Vec::new();
        for (index, axis) in self.axes.iter().enumerate() {
            let coordinate = x[index].or(self.is_flat.then_some(self.middles[index]));
            chosen.extend(axis.as_ref().zip(coordinate));
        }
        self.study
            .enqueue(chosen.iter().map(|(axis, coordinate)| (axis.id(), axis.value(*coordinate))).collect());
        let mut trial = self.study.ask();
        for (axis, _) in chosen {
            axis.suggest(&mut trial)?;
        }
        Ok(trial)
    }
}

/// The multivariate TPE by `sample_joint`, as its documentation advises: asked for one parameter at a time, it would
/// take all of one range for the same. It draws choices one by one, in the order of a hash map: to repeat itself, each
/// has a sampler of its own here, which models just the same.
pub struct Joint {
    parts: Vec<Part>,
    told: u64,
}

/// Parameters that are sampled together.
struct Part {
    sampler: MultivariateTpeSampler,
    axes: Vec<(usize, Axis)>,
    distributions: HashMap<ParamId, Distribution>,
    history: Vec<CompletedTrial>,
}

impl Joint {
    fn new(space: &Space, seed: u64) -> Result<Self, Fault> {
        let mut groups: Vec<Vec<(usize, Axis)>> = vec![Vec::new()];
        for (index, parameter) in space.parameters.iter().enumerate().filter(|(_, p)| !p.is_fixed()) {
            let axis = (index, Axis::new(parameter));
            match parameter.kind {
                Kind::Choice => groups.push(vec![axis]),
                _ => groups[0].push(axis),
            }
        }
        let mut parts = Vec::new();
        for (place, axes) in groups.into_iter().enumerate() {
            let seed = seed.wrapping_add(place as u64);
            let sampler = MultivariateTpeSampler::builder().seed(seed).build()?;
            let distributions = axes.iter().map(|(_, axis)| (axis.id(), axis.distribution())).collect();
            parts.push(Part { sampler, axes, distributions, history: Vec::new() });
        }
        Ok(Self { parts, told: 0 })
    }

    fn propose(&mut self, space: &Space) -> Point {
        let mut coordinates: Vec<f64> = space.parameters.iter().map(Parameter::middle).collect();
        for part in &self.parts {
            let found = part.sampler.sample_joint(&part.distributions, &part.history);
            for (index, axis) in &part.axes {
                if let Some(value) = found.get(&axis.id()) {
                    coordinates[*index] = coordinate(value);
                }
            }
        }
        space.assemble(&coordinates)
    }

    fn learn(&mut self, x: &Point, loss: f64) {
        for part in &mut self.parts {
            let active = part.axes.iter().filter_map(|(index, axis)| Some((axis, x[*index]?)));
            let (mut values, mut distributions) = (HashMap::new(), HashMap::new());
            for (axis, coordinate) in active {
                values.insert(axis.id(), axis.value(coordinate));
                distributions.insert(axis.id(), axis.distribution());
            }
            part.history.push(CompletedTrial::new(self.told, values, distributions, HashMap::new(), loss));
        }
        self.told += 1;
    }
}
