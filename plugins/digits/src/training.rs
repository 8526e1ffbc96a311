//! Training: mini-batches in random order, SGD with momentum or Adam, losses after each epoch.
//!
//! The test part of the data is touched by [`Training::test_accuracy`] only, which nothing here looks at.

use ansatz_core::rng::{Rng, Streams};
use rand::Rng as _;
use serde::{Deserialize, Serialize};

use crate::data::{CLASS_COUNT, Digits, Images, PIXEL_COUNT};
use crate::network::{Activation, Network, Pass, Shape};
use crate::real::Real;

/// How a gradient changes the weights.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Optimizer {
    /// Stochastic gradient descent with heavy-ball momentum (Polyak 1964) and weight decay as an L2 penalty:
    /// v <- momentum v + g + weight_decay w; w <- w - learning_rate v.
    Sgd {
        /// In [0, 1); 0 is plain SGD.
        momentum: f64,
    },
    /// Adam (Kingma and Ba 2015, algorithm 1, with its defaults 0.9, 0.999 and 1e-8) with decoupled weight
    /// decay (Loshchilov and Hutter 2019, algorithm 2, without a schedule: w <- w - learning_rate
    /// weight_decay w).
    Adam,
}

/// The first moment's decay rate of Adam.
const BETA_1: f64 = 0.9;
/// The second moment's decay rate of Adam.
const BETA_2: f64 = 0.999;
/// Keeps Adam's step finite where the gradient vanishes.
const EPSILON: f64 = 1e-8;

/// Images that go through the network at once when nothing is learned.
const EVALUATION_ROWS: usize = 120;

/// Everything that decides how one network is trained, but for the seed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Step size, above 0.
    pub learning_rate: f64,
    /// Images per step, 1 to the size of the training part; the last batch of an epoch may be smaller.
    pub batch_size: usize,
    /// The rule that turns gradients into steps.
    pub optimizer: Optimizer,
    /// Pull of the weights, not the biases, towards zero; 0 or more.
    pub weight_decay: f64,
    /// Hidden layers; 0 makes a linear classifier.
    pub hidden_layers: usize,
    /// Units of each hidden layer, at least 1.
    pub hidden_units: usize,
    /// Activation of the hidden units.
    pub activation: Activation,
    /// Probability in [0, 1) that a hidden unit is left out of a training step.
    pub dropout: f64,
}

/// How well the network does on a part of the data.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Evaluation {
    /// Mean cross-entropy in nats, without dropout and weight decay; lower is better.
    pub loss: f64,
    /// Share of images with the right class, in [0, 1].
    pub accuracy: f64,
}

/// Why an epoch did not come to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interruption {
    /// The loss stopped being a finite number: the step size is too large for this network.
    Diverged {
        /// The epoch, counted from 1, in which that was seen.
        epoch: u64,
    },
    /// The caller asked for it.
    Stopped,
}

/// All that a training depends on besides its data and settings: a training that takes it over goes on bit for bit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Epochs that were run.
    pub epoch: u64,
    parameters: Vec<f32>,
    momentum: Vec<f32>,
    variance: Vec<f32>,
    step_count: i32,
    order: Vec<usize>,
    shuffle_rng: Rng,
    dropout_rng: Rng,
}

/// A network in training.
#[derive(Debug, Clone)]
pub struct Training<'data> {
    data: &'data Digits,
    settings: Settings,
    network: Network<f32>,
    pass: Pass<f32>,
    evaluation_pass: Pass<f32>,
    optimizer: OptimizerState,
    order: Vec<usize>,
    batch: Images,
    shuffle_rng: Rng,
    dropout_rng: Rng,
    epoch: u64,
}

impl<'data> Training<'data> {
    /// A fresh network. The same settings and seed give the same numbers, bit for bit. Initial weights, order
    /// of the images and dropout draw from separate streams, so that a change of one setting leaves the other
    /// draws alone.
    pub fn new(data: &'data Digits, settings: &Settings, seed: u64) -> Training<'data> {
        let streams = Streams::new(seed);
        let shape = Shape {
            input_count: PIXEL_COUNT,
            hidden_layers: settings.hidden_layers,
            hidden_units: settings.hidden_units,
            class_count: CLASS_COUNT,
            activation: settings.activation,
        };
        let network = Network::new(&shape, &mut streams.stream("weights"));
        Training {
            data,
            settings: *settings,
            pass: network.pass(settings.batch_size),
            evaluation_pass: network.pass(EVALUATION_ROWS),
            optimizer: OptimizerState::new(settings, network.parameter_count()),
            order: (0..data.training.len()).collect(),
            batch: Images::default(),
            shuffle_rng: streams.stream("shuffle"),
            dropout_rng: streams.stream("dropout"),
            epoch: 0,
            network,
        }
    }

    /// Goes once through the training part and evaluates on the validation part. Asks `is_stopped` before
    /// each batch.
    ///
    /// # Errors
    /// When the training or validation loss is no longer finite, or `is_stopped` said so; then this network
    /// is of no further use.
    pub fn run_epoch(&mut self, is_stopped: impl Fn() -> bool) -> Result<Evaluation, Interruption> {
        self.epoch += 1;
        shuffle(&mut self.order, &mut self.shuffle_rng);
        let with_dropout = self.settings.dropout > 0.0;
        let mut training_loss = 0.0;
        for chosen in self.order.chunks(self.settings.batch_size) {
            if is_stopped() {
                return Err(Interruption::Stopped);
            }
            self.batch.pixels.clear();
            self.batch.labels.clear();
            for image_index in chosen {
                self.batch.pixels.extend_from_slice(self.data.training.image(*image_index));
                self.batch.labels.push(self.data.training.labels[*image_index]);
            }
            let Images { pixels, labels } = &self.batch;
            if with_dropout {
                self.pass.draw_masks(labels.len(), self.settings.dropout, &mut self.dropout_rng);
            }
            training_loss += self.network.forward(pixels, labels, &mut self.pass, with_dropout);
            let penalty = self.optimizer.penalty();
            let gradient = self.network.backward(pixels, labels, &mut self.pass, with_dropout, penalty);
            self.optimizer.step(&mut self.network, gradient);
        }
        let validation = self.evaluate(&self.data.validation);
        if training_loss.is_finite() && validation.loss.is_finite() {
            Ok(validation)
        } else {
            Err(Interruption::Diverged { epoch: self.epoch })
        }
    }

    /// What another training needs to go on from here, after whole epochs.
    pub fn state(&self) -> State {
        State {
            epoch: self.epoch,
            parameters: self.network.parameters().to_vec(),
            momentum: self.optimizer.momentum.clone(),
            variance: self.optimizer.variance.clone(),
            step_count: self.optimizer.step_count,
            order: self.order.clone(),
            shuffle_rng: self.shuffle_rng.clone(),
            dropout_rng: self.dropout_rng.clone(),
        }
    }

    /// Goes on from the state of a training with the same data, settings and seed; false if that is of another network, and
    /// nothing has changed.
    pub fn take_over(&mut self, state: State) -> bool {
        let optimizer = &self.optimizer;
        let mut order = state.order.clone();
        order.sort_unstable();
        let fits = state.parameters.len() == self.network.parameters().len()
            && state.momentum.len() == optimizer.momentum.len()
            && state.variance.len() == optimizer.variance.len()
            && order.into_iter().eq(0..self.data.training.len());
        if fits {
            self.network.parameters_mut().copy_from_slice(&state.parameters);
            self.optimizer.momentum = state.momentum;
            self.optimizer.variance = state.variance;
            self.optimizer.step_count = state.step_count;
            (self.order, self.epoch) = (state.order, state.epoch);
            (self.shuffle_rng, self.dropout_rng) = (state.shuffle_rng, state.dropout_rng);
        }
        fits
    }

    /// Mean cross-entropy over the training part as the network stands, without dropout.
    pub fn training_loss(&mut self) -> f64 {
        self.evaluate(&self.data.training).loss
    }

    /// Share of right answers on the test part, in [0, 1]. For the record only: choosing by it would make it
    /// worthless.
    pub fn test_accuracy(&mut self) -> f64 {
        self.evaluate(&self.data.test).accuracy
    }

    fn evaluate(&mut self, images: &Images) -> Evaluation {
        let (mut loss, mut correct_count) = (0.0, 0);
        let chunks =
            images.pixels.chunks(EVALUATION_ROWS * PIXEL_COUNT).zip(images.labels.chunks(EVALUATION_ROWS));
        for (pixels, labels) in chunks {
            loss += self.network.forward(pixels, labels, &mut self.evaluation_pass, false);
            correct_count += self.evaluation_pass.correct_count(labels);
        }
        let image_count = images.len() as f64;
        Evaluation { loss: loss / image_count, accuracy: correct_count as f64 / image_count }
    }
}

/// A uniformly random permutation (Fisher and Yates). The index is drawn from 32 bits by multiplication,
/// which is uneven by less than 1e-6 for lists as short as ours.
fn shuffle(order: &mut [usize], rng: &mut Rng) {
    for last in (1..order.len()).rev() {
        let chosen = (u64::from(rng.next_u32()) * (last as u64 + 1)) >> 32;
        order.swap(last, chosen as usize);
    }
}

/// What an optimizer remembers between steps.
#[derive(Debug, Clone)]
struct OptimizerState {
    rule: Optimizer,
    learning_rate: f64,
    weight_decay: f64,
    step_count: i32,
    /// Velocity of SGD or first moment of Adam; one entry a parameter.
    momentum: Vec<f32>,
    /// Second moment of Adam; one entry a parameter, none for SGD.
    variance: Vec<f32>,
}

impl OptimizerState {
    fn new(settings: &Settings, parameter_count: usize) -> OptimizerState {
        let variance_count = if settings.optimizer == Optimizer::Adam { parameter_count } else { 0 };
        OptimizerState {
            rule: settings.optimizer,
            learning_rate: settings.learning_rate,
            weight_decay: settings.weight_decay,
            step_count: 0,
            momentum: vec![0.0; parameter_count],
            variance: vec![0.0; variance_count],
        }
    }

    /// The L2 penalty that belongs into the gradient.
    fn penalty(&self) -> f32 {
        match self.rule {
            Optimizer::Sgd { .. } => self.weight_decay as f32,
            Optimizer::Adam => 0.0,
        }
    }

    fn step(&mut self, network: &mut Network<f32>, gradient: &[f32]) {
        match self.rule {
            Optimizer::Sgd { momentum } => {
                let (momentum, learning_rate) = (momentum as f32, self.learning_rate as f32);
                let entries = network.parameters_mut().iter_mut().zip(gradient).zip(&mut self.momentum);
                for ((parameter, slope), velocity) in entries {
                    *velocity = momentum * *velocity + *slope;
                    *parameter -= learning_rate * *velocity;
                }
            }
            Optimizer::Adam => {
                self.step_count = self.step_count.saturating_add(1);
                if self.weight_decay > 0.0 {
                    let kept = (1.0 - self.learning_rate * self.weight_decay) as f32;
                    let ranges: Vec<_> = network.weight_ranges().collect();
                    for range in ranges {
                        for weight in &mut network.parameters_mut()[range] {
                            *weight *= kept;
                        }
                    }
                }
                // The two bias corrections, drawn out of the loop (Kingma and Ba 2015, end of section 2).
                let correction_1 = 1.0 - libm::pow(BETA_1, f64::from(self.step_count));
                let correction_2 = 1.0 - libm::pow(BETA_2, f64::from(self.step_count));
                let step_size = (self.learning_rate * correction_2.sqrt() / correction_1) as f32;
                let epsilon = (EPSILON * correction_2.sqrt()) as f32;
                let (beta_1, beta_2) = (BETA_1 as f32, BETA_2 as f32);
                let moments = self.momentum.iter_mut().zip(&mut self.variance);
                let entries = network.parameters_mut().iter_mut().zip(gradient).zip(moments);
                for ((parameter, slope), (mean, variance)) in entries {
                    *mean = beta_1 * *mean + (1.0 - beta_1) * *slope;
                    *variance = beta_2 * *variance + (1.0 - beta_2) * *slope * *slope;
                    *parameter -= step_size * *mean / (Real::sqrt(*variance) + epsilon);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::digits;

    fn settings() -> Settings {
        Settings {
            learning_rate: 0.005,
            batch_size: 32,
            optimizer: Optimizer::Adam,
            weight_decay: 0.0,
            hidden_layers: 1,
            hidden_units: 64,
            activation: Activation::Relu,
            dropout: 0.0,
        }
    }

    fn train(settings: &Settings, seed: u64, epochs: usize) -> (Vec<Evaluation>, f64) {
        let mut training = Training::new(digits(), settings, seed);
        let history = (0..epochs).map(|_| training.run_epoch(|| false).unwrap()).collect();
        (history, training.test_accuracy())
    }

    #[test]
    fn same_settings_and_seed_give_the_same_bits() {
        let varied = Settings { dropout: 0.2, weight_decay: 0.01, hidden_layers: 2, ..settings() };
        let (first, first_test) = train(&varied, 7, 3);
        let (second, second_test) = train(&varied, 7, 3);
        let bits = |history: &[Evaluation]| -> Vec<[u64; 2]> {
            history.iter().map(|epoch| [epoch.loss.to_bits(), epoch.accuracy.to_bits()]).collect()
        };
        assert_eq!(bits(&first), bits(&second));
        assert_eq!(first_test.to_bits(), second_test.to_bits());
        assert_ne!(bits(&first), bits(&train(&varied, 8, 3).0));
    }

    #[test]
    fn every_optimizer_and_activation_learns() {
        for (optimizer, learning_rate) in [
            (Optimizer::Adam, 0.005),
            (Optimizer::Sgd { momentum: 0.9 }, 0.05),
            (Optimizer::Sgd { momentum: 0.0 }, 0.4),
        ] {
            for activation in [Activation::Relu, Activation::Tanh, Activation::Gelu, Activation::Sigmoid] {
                let chosen = Settings { optimizer, learning_rate, activation, ..settings() };
                let (history, _) = train(&chosen, 1, 12);
                let accuracy = history[11].accuracy;
                assert!(accuracy > 0.93, "{optimizer:?}, {activation:?}: accuracy {accuracy}");
                assert!(
                    history[11].loss < 0.5 * history[0].loss,
                    "{optimizer:?}, {activation:?}: {history:?}"
                );
            }
        }
    }

    #[test]
    fn a_linear_classifier_and_a_deep_network_train_too() {
        for (hidden_layers, dropout) in [(0, 0.0), (4, 0.1)] {
            let (history, test_accuracy) = train(&Settings { hidden_layers, dropout, ..settings() }, 3, 15);
            assert!(history[14].accuracy > 0.93, "{hidden_layers} layers: {:?}", history[14]);
            assert!(test_accuracy > 0.93, "{hidden_layers} layers: {test_accuracy}");
        }
    }

    /// One Adam step from zero moments moves each parameter by the learning rate against the sign of its
    /// gradient, apart from the decay; one SGD step moves it by learning rate times gradient.
    #[test]
    fn first_steps_are_those_of_the_papers() {
        let shape = Shape {
            input_count: 2,
            hidden_layers: 0,
            hidden_units: 1,
            class_count: 2,
            activation: Activation::Relu,
        };
        let network: Network<f32> = Network::new(&shape, &mut Rng::new(4));
        let before = network.clone().parameters_mut().to_vec();
        let gradient = [0.5, -2.0, 1e-3, -0.25, 4.0, -3.0];
        let moved = |optimizer: Optimizer, weight_decay: f64| {
            let chosen = Settings { optimizer, weight_decay, learning_rate: 0.01, ..settings() };
            let mut network = network.clone();
            OptimizerState::new(&chosen, 6).step(&mut network, &gradient);
            network.parameters_mut().to_vec()
        };
        let adam = moved(Optimizer::Adam, 0.5);
        let sgd = moved(Optimizer::Sgd { momentum: 0.9 }, 0.0);
        for index in 0..6 {
            // Entries 4 and 5 are the biases, which do not decay.
            let kept = if index < 4 { 1.0 - 0.01 * 0.5 } else { 1.0 };
            let expected = before[index] * kept - 0.01 * gradient[index].signum();
            assert!(
                (adam[index] - expected).abs() < 1e-6,
                "Adam {index}: {} against {expected}",
                adam[index]
            );
            let expected = before[index] - 0.01 * gradient[index];
            assert!((sgd[index] - expected).abs() < 1e-7, "SGD {index}: {} against {expected}", sgd[index]);
        }
    }

    #[test]
    fn divergence_is_reported_not_hidden() {
        let wild =
            Settings { learning_rate: 1e12, optimizer: Optimizer::Sgd { momentum: 0.9 }, ..settings() };
        let mut training = Training::new(digits(), &wild, 1);
        let outcome =
            (1..=5).find_map(|epoch| training.run_epoch(|| false).err().map(|error| (epoch, error)));
        let (epoch, interruption) = outcome.expect("a step size of 1e12 diverges");
        assert_eq!(interruption, Interruption::Diverged { epoch });
    }

    #[test]
    fn an_epoch_can_be_interrupted_between_batches() {
        let batch_count = std::cell::Cell::new(0);
        let is_stopped = || batch_count.replace(batch_count.get() + 1) == 2;
        let mut training = Training::new(digits(), &settings(), 1);
        assert_eq!(training.run_epoch(is_stopped), Err(Interruption::Stopped));
        assert_eq!(batch_count.get(), 3);
    }

    #[test]
    fn shuffling_permutes_and_moves() {
        let mut order: Vec<usize> = (0..100).collect();
        shuffle(&mut order, &mut Rng::new(1));
        let moved = order.iter().enumerate().filter(|(place, index)| place != *index).count();
        assert!(moved > 80, "{moved} of 100 moved");
        order.sort_unstable();
        assert_eq!(order, (0..100).collect::<Vec<_>>());
    }
}
