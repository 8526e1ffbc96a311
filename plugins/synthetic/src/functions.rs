//! Every function as data: dimension rule, bounds, optimum, optimisers, front, noise and source.
//!
//! A benchmark, a report or a test asks this table what the best possible value is; it need not trust a
//! formula. All metrics are minimised. The formulas are in `formulas.rs`, the mixed function's parameters
//! and definition in [`crate::pipeline`].

use crate::formulas;
use crate::mixed;
use crate::pipeline;
use std::f64::consts::PI;

/// One function of the table. See [`FUNCTIONS`] and [`find`].
#[derive(Debug, Clone, Copy)]
pub struct Function {
    /// The name a manifest gives as the option `function`.
    pub name: &'static str,
    /// What makes it worth optimising, in half a sentence.
    pub summary: &'static str,
    /// What it measures, and what is known of its best.
    pub kind: Kind,
    /// Standard deviation of the Gaussian noise added to each metric, in the metric's unit; 0 is none.
    pub noise: f64,
    /// Where formula, bounds and optimum come from.
    pub source: &'static str,
}

/// What kind of function: one metric, several, or parameters of mixed types.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// One metric of d numbers.
    Single(Single),
    /// Several metrics of d numbers.
    Multi(Multi),
    /// One metric of d numbers, and others that must not be above 0.
    Constrained(Constrained),
    /// One metric of a conditional space with parameters of every type: [`crate::pipeline`].
    Mixed {
        /// The least value.
        optimum: f64,
        /// Where it is reached.
        optimiser: pipeline::Pipeline,
    },
    /// One metric of a space without conditions, with parameters of several types: [`crate::mixed`].
    Unconditional {
        /// The least value.
        optimum: f64,
        /// Where it is reached, without an instance.
        optimiser: mixed::Mixed,
    },
}

/// A function with one metric.
#[derive(Debug, Clone, Copy)]
pub struct Single {
    /// For which d it is defined here.
    pub dimension: Dimension,
    /// Bounds of each parameter.
    pub bounds: Bounds,
    /// The least value within the bounds.
    pub optimum: Optimum,
    /// Every place where the optimum is reached within the bounds.
    pub optimisers: Optimisers,
    /// What it is like outside of the bounds: where instances may have it evaluated.
    pub beyond: Beyond,
    pub(crate) evaluate: fn(&[f64]) -> f64,
}

/// A function with several metrics.
#[derive(Debug, Clone, Copy)]
pub struct Multi {
    /// For which d it is defined here; at least the number of metrics.
    pub dimension: Dimension,
    /// Bounds of each parameter.
    pub bounds: Bounds,
    /// How many metrics it has.
    pub metric_count: MetricCount,
    /// The Pareto front, in words and letters.
    pub front: &'static str,
    /// On the front, every parameter that only measures the distance to it has this value: all but the
    /// first `metric_count - 1` parameters.
    pub distance_parameter: f64,
    /// The reference point usual for the hypervolume: this value in every metric.
    pub reference: f64,
    pub(crate) evaluate: fn(&[f64], usize) -> Vec<f64>,
    pub(crate) residual: fn(&[f64]) -> f64,
    pub(crate) hypervolume: fn(usize) -> f64,
}

/// A function with one metric whose least value is sought where its constraints hold.
#[derive(Debug, Clone, Copy)]
pub struct Constrained {
    /// Bounds of each parameter; there are as many parameters as entries.
    pub bounds: &'static [(f64, f64)],
    /// How many constraints there are. Each is a metric that has to be 0 at most.
    pub constraint_count: usize,
    /// The least value within the bounds where every constraint holds.
    pub optimum: f64,
    /// The one place where it is reached.
    pub optimiser: &'static [f64],
    pub(crate) evaluate: fn(&[f64]) -> f64,
    pub(crate) constraints: fn(&[f64]) -> Vec<f64>,
}

/// What a function is like outside of its bounds. The README says what instances make of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beyond {
    /// Nowhere less than the optimum: it may be moved and turned at will.
    Greater,
    /// Nowhere less than the optimum within one width of the bounds; further out there is less. It may be moved as
    /// long as its optimiser stays within the bounds, and is not turned.
    GreaterNearby,
    /// Less than the optimum, or not defined: moved, it is evaluated where the bounds reflect the argument to.
    Undefined,
}

/// The numbers of parameters a function is defined for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dimension {
    /// Exactly this many.
    Exactly(usize),
    /// From the first to the second, both included.
    Between(usize, usize),
    /// This many or more.
    AtLeast(usize),
}

/// Bounds of the parameters, both ends included.
#[derive(Debug, Clone, Copy)]
pub enum Bounds {
    /// The same for every parameter.
    Each(f64, f64),
    /// One pair per parameter.
    Listed(&'static [(f64, f64)]),
}

/// The least value, depending on d.
#[derive(Debug, Clone, Copy)]
pub enum Optimum {
    /// The same for every d.
    Constant(f64),
    /// This value times d.
    PerParameter(f64),
    /// The d-th entry, counted from 1.
    Table(&'static [f64]),
}

/// The places where the least value is reached, depending on d.
#[derive(Debug, Clone, Copy)]
pub enum Optimisers {
    /// One, with the same value in every parameter.
    Repeated(f64),
    /// All of them, for the one d the function has.
    Listed(&'static [&'static [f64]]),
    /// One: the first d entries.
    Prefix(&'static [f64]),
}

/// The number of metrics of a function with several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricCount {
    /// Always this many.
    Fixed(usize),
    /// This many or more, as the study wants.
    AtLeast(usize),
}

impl Dimension {
    /// Whether d = `count` is allowed.
    pub fn allows(self, count: usize) -> bool {
        match self {
            Self::Exactly(wanted) => count == wanted,
            Self::Between(least, most) => (least..=most).contains(&count),
            Self::AtLeast(least) => count >= least,
        }
    }
}

impl std::fmt::Display for Dimension {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exactly(count) => write!(formatter, "exactly {count}"),
            Self::Between(least, most) => write!(formatter, "{least} to {most}"),
            Self::AtLeast(least) => write!(formatter, "{least} or more"),
        }
    }
}

impl MetricCount {
    /// Whether `count` metrics are offered.
    pub fn allows(self, count: usize) -> bool {
        match self {
            Self::Fixed(offered) => count == offered,
            Self::AtLeast(least) => count >= least,
        }
    }

    /// The number that a study gets whose metrics need `wanted`: at least that where the function has so many.
    pub(crate) fn nearest(self, wanted: usize) -> usize {
        match self {
            Self::Fixed(count) => count,
            Self::AtLeast(least) => wanted.max(least),
        }
    }
}

impl Bounds {
    /// Bounds of the parameter at `index`, counted from 0; `None` past the last of a listed table.
    pub fn of(self, index: usize) -> Option<(f64, f64)> {
        match self {
            Self::Each(lower, upper) => Some((lower, upper)),
            Self::Listed(pairs) => pairs.get(index).copied(),
        }
    }
}

impl Single {
    /// The value at `x`, shape (d,), without noise. `None` unless d fits the function; values outside the
    /// bounds are evaluated all the same.
    pub fn value(&self, x: &[f64]) -> Option<f64> {
        self.dimension.allows(x.len()).then(|| (self.evaluate)(x))
    }

    /// The least value for d = `dimension`; `None` unless d fits the function.
    pub fn optimum(&self, dimension: usize) -> Option<f64> {
        if !self.dimension.allows(dimension) {
            return None;
        }
        match self.optimum {
            Optimum::Constant(value) => Some(value),
            Optimum::PerParameter(value) => Some(value * dimension as f64),
            Optimum::Table(values) => values.get(dimension.checked_sub(1)?).copied(),
        }
    }

    /// Every optimiser for d = `dimension`, each of shape (d,); empty unless d fits the function.
    pub fn optimisers(&self, dimension: usize) -> Vec<Vec<f64>> {
        if !self.dimension.allows(dimension) {
            return Vec::new();
        }
        match self.optimisers {
            Optimisers::Repeated(value) => vec![vec![value; dimension]],
            Optimisers::Listed(points) => points.iter().map(|point| point.to_vec()).collect(),
            Optimisers::Prefix(values) => values.get(..dimension).map(<[f64]>::to_vec).into_iter().collect(),
        }
    }
}

impl Constrained {
    /// The value at `x`, shape (d,), without noise; `None` unless d fits the function.
    pub fn value(&self, x: &[f64]) -> Option<f64> {
        (x.len() == self.bounds.len()).then(|| (self.evaluate)(x))
    }

    /// What must be 0 at most, shape (constraint_count,), without noise; `None` unless d fits the function.
    pub fn constraints(&self, x: &[f64]) -> Option<Vec<f64>> {
        (x.len() == self.bounds.len()).then(|| (self.constraints)(x))
    }
}

impl Multi {
    /// The metrics at `x`, shape (d,), without noise; result shape (metric_count,). `None` unless d fits the
    /// function and is at least `metric_count`, or for a `metric_count` it does not offer.
    pub fn values(&self, x: &[f64], metric_count: usize) -> Option<Vec<f64>> {
        let fits = self.dimension.allows(x.len())
            && x.len() >= metric_count
            && self.metric_count.allows(metric_count);
        fits.then(|| (self.evaluate)(x, metric_count))
    }

    /// How far `metrics` lie from the equation that every point of the front satisfies, signed, in the last
    /// metric's unit (for DTLZ2: of the squared radius): 0 on the front, never below 0 for values the function
    /// can reach.
    pub fn front_residual(&self, metrics: &[f64]) -> f64 {
        (self.residual)(metrics)
    }

    /// The hypervolume of the whole front with respect to the reference point: no set of points has more.
    /// `None` for a `metric_count` the function does not offer.
    pub fn hypervolume(&self, metric_count: usize) -> Option<f64> {
        self.metric_count.allows(metric_count).then(|| (self.hypervolume)(metric_count))
    }
}

const VIRTUAL_LIBRARY: &str = "Surjanovic and Bingham, Virtual Library of Simulation Experiments, 2013, sfu.ca/~ssurjano/optimization.html";

const HARTMANN6: Single = Single {
    dimension: Dimension::Exactly(6),
    bounds: Bounds::Each(0.0, 1.0),
    optimum: Optimum::Constant(-3.322_368_011_415_515),
    optimisers: Optimisers::Listed(&[&[
        0.201_689_511_006_705_4,
        0.150_010_691_823_458,
        0.476_873_974_221_897,
        0.275_332_430_494_056_1,
        0.311_651_616_600_113_2,
        0.657_300_534_065_620_3,
    ]]),
    beyond: Beyond::Greater,
    evaluate: formulas::hartmann6,
};

const BRANIN: Single = Single {
    dimension: Dimension::Exactly(2),
    bounds: Bounds::Listed(&[(-5.0, 10.0), (0.0, 15.0)]),
    // Exactly 5 / (4 pi): the parabola vanishes where the cosine is -1.
    optimum: Optimum::Constant(0.397_887_357_729_738_3),
    optimisers: Optimisers::Listed(&[&[-PI, 12.275], &[PI, 2.275], &[3.0 * PI, 2.475]]),
    beyond: Beyond::Greater,
    evaluate: formulas::branin,
};

/// All functions, by name in alphabetical order.
pub static FUNCTIONS: &[Function] = &[
    Function {
        name: "ackley",
        summary: "nearly flat outside, a steep funnel with ripples",
        kind: Kind::Single(Single {
            dimension: Dimension::AtLeast(1),
            bounds: Bounds::Each(-32.768, 32.768),
            optimum: Optimum::Constant(0.0),
            optimisers: Optimisers::Repeated(0.0),
            beyond: Beyond::Greater,
            evaluate: formulas::ackley,
        }),
        noise: 0.0,
        source: VIRTUAL_LIBRARY,
    },
    Function {
        name: "branin",
        summary: "smooth, three equally good optimisers",
        kind: Kind::Single(BRANIN),
        noise: 0.0,
        source: VIRTUAL_LIBRARY,
    },
    Function {
        name: "branin_disk",
        summary: "Branin in a disk that leaves out its three optimisers: the best is on the edge",
        kind: Kind::Constrained(Constrained {
            bounds: &[(-5.0, 10.0), (0.0, 15.0)],
            constraint_count: 1,
            optimum: 0.939_476_045_454_072_4,
            optimiser: &[3.010_196_761_008_703_3, 3.057_061_865_718_111_4],
            evaluate: formulas::branin,
            constraints: |x| {
                let (a, b) = (x[0] - 2.5, x[1] - 7.5);
                vec![a * a + b * b - 20.0]
            },
        }),
        noise: 0.0,
        source: "own disk, as in Gelbart, Snoek and Adams 2014, Bayesian Optimization with Unknown Constraints, but \
                 smaller; the optimum on the edge to 30 digits with mpmath",
    },
    Function {
        name: "dtlz2",
        summary: "any number of metrics, spherical front",
        kind: Kind::Multi(Multi {
            dimension: Dimension::AtLeast(2),
            bounds: Bounds::Each(0.0, 1.0),
            metric_count: MetricCount::AtLeast(2),
            front: "f1^2 + f2^2 + ... = 1",
            distance_parameter: 0.5,
            reference: 1.1,
            evaluate: formulas::dtlz2,
            residual: |f| f.iter().map(|value| value * value).sum::<f64>() - 1.0,
            // A cube minus the positive part of the unit ball, whose volume is pi^(m/2) / Gamma(m/2 + 1) / 2^m.
            hypervolume: |metric_count| {
                let m = metric_count as f64;
                let ball = libm::pow(PI, m / 2.0) / libm::tgamma(m / 2.0 + 1.0) / libm::pow(2.0, m);
                libm::pow(1.1, m) - ball
            },
        }),
        noise: 0.0,
        source: "Deb, Thiele, Laumanns and Zitzler 2005, Scalable Test Problems for Evolutionary Multiobjective Optimization, section 6.7",
    },
    Function {
        name: "ellipsoid",
        summary: "a bowl a thousand times narrower one way than the other",
        kind: Kind::Single(Single {
            dimension: Dimension::AtLeast(2),
            bounds: Bounds::Each(-5.0, 5.0),
            optimum: Optimum::Constant(0.0),
            optimisers: Optimisers::Repeated(0.0),
            beyond: Beyond::Greater,
            evaluate: formulas::ellipsoid,
        }),
        noise: 0.0,
        source: BBOB,
    },
    Function {
        name: "gardner",
        summary: "allowed are a few small islands, the best is on the edge of one",
        kind: Kind::Constrained(Constrained {
            bounds: &[(0.0, 6.0), (0.0, 6.0)],
            constraint_count: 1,
            optimum: 0.253_235_897_503_375_3,
            optimiser: &[1.5 * PI, 1.253_235_897_503_375_3],
            evaluate: |x| libm::sin(x[0]) + x[1],
            constraints: |x| vec![libm::sin(x[0]) * libm::sin(x[1]) + 0.95],
        }),
        noise: 0.0,
        source: "Gardner, Kusner, Xu, Weinberger and Cunningham 2014, Bayesian Optimization with Inequality \
                 Constraints, simulation 2; the optimum is (3 pi / 2, asin 0.95)",
    },
    Function {
        name: "griewank",
        summary: "a wide bowl covered with regular ripples",
        kind: Kind::Single(Single {
            dimension: Dimension::AtLeast(1),
            bounds: Bounds::Each(-600.0, 600.0),
            optimum: Optimum::Constant(0.0),
            optimisers: Optimisers::Repeated(0.0),
            beyond: Beyond::Greater,
            evaluate: formulas::griewank,
        }),
        noise: 0.0,
        source: VIRTUAL_LIBRARY,
    },
    Function {
        name: "hartmann3",
        summary: "smooth, four local minima",
        kind: Kind::Single(Single {
            dimension: Dimension::Exactly(3),
            bounds: Bounds::Each(0.0, 1.0),
            optimum: Optimum::Constant(-3.862_779_787_332_662_5),
            optimisers: Optimisers::Listed(&[&[
                0.114_588_876_655_068_97,
                0.555_648_894_616_930_1,
                0.852_546_984_686_677_4,
            ]]),
            beyond: Beyond::Greater,
            evaluate: formulas::hartmann3,
        }),
        noise: 0.0,
        source: VIRTUAL_LIBRARY,
    },
    Function {
        name: "hartmann6",
        summary: "smooth, six local minima",
        kind: Kind::Single(HARTMANN6),
        noise: 0.0,
        source: VIRTUAL_LIBRARY,
    },
    Function {
        name: "levy",
        summary: "many local minima in a bowl",
        kind: Kind::Single(Single {
            dimension: Dimension::AtLeast(1),
            bounds: Bounds::Each(-10.0, 10.0),
            optimum: Optimum::Constant(0.0),
            optimisers: Optimisers::Repeated(1.0),
            beyond: Beyond::Greater,
            evaluate: formulas::levy,
        }),
        noise: 0.0,
        source: VIRTUAL_LIBRARY,
    },
    Function {
        name: "michalewicz",
        summary: "steep valleys on a plateau",
        kind: Kind::Single(Single {
            dimension: Dimension::Between(1, 10),
            bounds: Bounds::Each(0.0, PI),
            // The sum has no term with two parameters: each coordinate is minimised by itself, and the first
            // d of them solve dimension d. Agrees with the published optima for d = 2, 5 and 10.
            optimum: Optimum::Table(&[
                -0.801_303_410_098_552_5,
                -1.801_303_410_098_552_5,
                -2.760_394_679_994_558_5,
                -3.698_857_098_466_642,
                -4.687_658_179_088_146,
                -5.687_658_179_088_146,
                -6.680_885_314_444_028,
                -7.663_757_350_716_238,
                -8.660_151_715_641_342,
                -9.660_151_715_641_342,
            ]),
            optimisers: Optimisers::Prefix(&[
                2.202_905_520_172_609_4,
                PI / 2.0,
                1.284_991_570_552_924_4,
                1.923_058_469_866_362_8,
                1.720_469_772_565_841_3,
                PI / 2.0,
                1.454_413_971_362_379,
                1.756_086_520_945_026_4,
                1.655_717_416_821_029_1,
                PI / 2.0,
            ]),
            beyond: Beyond::GreaterNearby,
            evaluate: formulas::michalewicz,
        }),
        noise: 0.0,
        source: VIRTUAL_LIBRARY,
    },
    Function {
        name: "mixed",
        summary: "numbers and choices, and the choices move the best numbers",
        kind: Kind::Unconditional { optimum: mixed::OPTIMUM, optimiser: mixed::OPTIMISER },
        noise: 0.0,
        source: "own definition, see the README; the optimum is known by construction",
    },
    Function {
        name: "noisy_branin",
        summary: "Branin observed with noise",
        kind: Kind::Single(BRANIN),
        noise: 1.0,
        source: VIRTUAL_LIBRARY,
    },
    Function {
        name: "noisy_hartmann6",
        summary: "Hartmann observed with noise",
        kind: Kind::Single(HARTMANN6),
        noise: 0.1,
        source: VIRTUAL_LIBRARY,
    },
    Function {
        name: "pipeline",
        summary: "mixed types and conditions, like a learning pipeline",
        kind: Kind::Mixed { optimum: pipeline::OPTIMUM, optimiser: pipeline::OPTIMISER },
        noise: 0.0,
        source: "own definition, see the README; the optimum is known by construction",
    },
    Function {
        name: "rastrigin",
        summary: "a bowl with a local minimum near every integer point",
        kind: Kind::Single(Single {
            dimension: Dimension::AtLeast(1),
            bounds: Bounds::Each(-5.12, 5.12),
            optimum: Optimum::Constant(0.0),
            optimisers: Optimisers::Repeated(0.0),
            beyond: Beyond::Greater,
            evaluate: formulas::rastrigin,
        }),
        noise: 0.0,
        source: VIRTUAL_LIBRARY,
    },
    Function {
        name: "rosenbrock",
        summary: "a long, bent, flat valley",
        kind: Kind::Single(Single {
            dimension: Dimension::AtLeast(2),
            bounds: Bounds::Each(-5.0, 10.0),
            optimum: Optimum::Constant(0.0),
            optimisers: Optimisers::Repeated(1.0),
            beyond: Beyond::Greater,
            evaluate: formulas::rosenbrock,
        }),
        noise: 0.0,
        source: VIRTUAL_LIBRARY,
    },
    Function {
        name: "schwefel",
        summary: "deep minima far apart, the best one near a corner",
        kind: Kind::Single(Single {
            dimension: Dimension::AtLeast(1),
            bounds: Bounds::Each(-500.0, 500.0),
            optimum: Optimum::Constant(0.0),
            optimisers: Optimisers::Repeated(420.968_746_359_982_03),
            beyond: Beyond::Undefined,
            evaluate: formulas::schwefel,
        }),
        noise: 0.0,
        source: VIRTUAL_LIBRARY,
    },
    Function {
        name: "step_ellipsoid",
        summary: "a bowl of flat steps, without a slope to follow",
        kind: Kind::Single(Single {
            dimension: Dimension::AtLeast(2),
            bounds: Bounds::Each(-5.0, 5.0),
            optimum: Optimum::Constant(0.0),
            optimisers: Optimisers::Repeated(0.0),
            beyond: Beyond::Greater,
            evaluate: formulas::step_ellipsoid,
        }),
        noise: 0.0,
        source: BBOB,
    },
    Function {
        name: "styblinski_tang",
        summary: "2^d local minima of different depth",
        kind: Kind::Single(Single {
            dimension: Dimension::AtLeast(1),
            bounds: Bounds::Each(-5.0, 5.0),
            optimum: Optimum::PerParameter(-39.166_165_703_771_41),
            optimisers: Optimisers::Repeated(-2.903_534_027_771_177),
            beyond: Beyond::Greater,
            evaluate: formulas::styblinski_tang,
        }),
        noise: 0.0,
        source: VIRTUAL_LIBRARY,
    },
    Function {
        name: "zdt1",
        summary: "two metrics, convex front",
        kind: Kind::Multi(Multi {
            dimension: Dimension::AtLeast(2),
            bounds: Bounds::Each(0.0, 1.0),
            metric_count: MetricCount::Fixed(2),
            front: "f2 = 1 - sqrt(f1), f1 in [0, 1]",
            distance_parameter: 0.0,
            reference: 11.0,
            evaluate: formulas::zdt1,
            residual: |f| f[1] - (1.0 - f[0].sqrt()),
            hypervolume: |_| 120.0 + 2.0 / 3.0,
        }),
        noise: 0.0,
        source: ZITZLER,
    },
    Function {
        name: "zdt2",
        summary: "two metrics, concave front",
        kind: Kind::Multi(Multi {
            dimension: Dimension::AtLeast(2),
            bounds: Bounds::Each(0.0, 1.0),
            metric_count: MetricCount::Fixed(2),
            front: "f2 = 1 - f1^2, f1 in [0, 1]",
            distance_parameter: 0.0,
            reference: 11.0,
            evaluate: formulas::zdt2,
            residual: |f| f[1] - (1.0 - f[0] * f[0]),
            hypervolume: |_| 120.0 + 1.0 / 3.0,
        }),
        noise: 0.0,
        source: ZITZLER,
    },
    Function {
        name: "zdt3",
        summary: "two metrics, front in five pieces",
        kind: Kind::Multi(Multi {
            dimension: Dimension::AtLeast(2),
            bounds: Bounds::Each(0.0, 1.0),
            metric_count: MetricCount::Fixed(2),
            front: "f2 = 1 - sqrt(f1) - f1 sin(10 pi f1), f1 in [0, 0.0830015], (0.1822287, 0.2577624], \
                    (0.4093137, 0.4538821], (0.6183968, 0.6525117], (0.8233318, 0.8518329]",
            distance_parameter: 0.0,
            reference: 11.0,
            evaluate: formulas::zdt3,
            residual: |f| f[1] - (1.0 - f[0].sqrt() - f[0] * libm::sin(10.0 * PI * f[0])),
            hypervolume: |_| 128.778_116_130_690_76,
        }),
        noise: 0.0,
        source: ZITZLER,
    },
];

const BBOB: &str = "Hansen, Finck, Ros and Auger 2009, Real-Parameter Black-Box Optimization Benchmarking: Noiseless Functions Definitions, INRIA RR-6829, f2 and f7, without oscillation, penalty and rotations (see the option rotate)";

const ZITZLER: &str =
    "Zitzler, Deb and Thiele 2000, Comparison of Multiobjective Evolutionary Algorithms, equations 6 to 9";

/// The function called `name`, or `None`.
pub fn find(name: &str) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|function| function.name == name)
}

#[cfg(test)]
mod tests;
