//! A multi-layer perceptron with softmax output: forward pass, cross-entropy loss, gradient by
//! backpropagation.
//!
//! How the weights are changed is the business of `training.rs`. A batch of m images goes through in one
//! call; every inner loop runs along contiguous rows and adds in a fixed order, so that results repeat bit
//! for bit.

use std::ops::Range;

use ansatz_core::rng::Rng;
use rand::Rng as _;

use crate::real::Real;

/// The function applied to each hidden unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// max(0, x).
    Relu,
    /// The hyperbolic tangent.
    Tanh,
    /// x times the standard normal distribution function of x. Source: Hendrycks and Gimpel 2016, section 2.
    Gelu,
    /// 1 / (1 + exp(-x)).
    Sigmoid,
}

impl Activation {
    fn value<R: Real>(self, x: R) -> R {
        match self {
            Activation::Relu if x > R::ZERO => x,
            // A comparison with NaN is false; passing it on keeps divergence visible.
            Activation::Relu if x <= R::ZERO => R::ZERO,
            Activation::Relu => x,
            Activation::Tanh => x.tanh(),
            Activation::Gelu => x * normal_distribution(x),
            Activation::Sigmoid => R::ONE / (R::ONE + (-x).exp()),
        }
    }

    /// The derivative at `x`, where the function has the value `y`.
    fn derivative<R: Real>(self, x: R, y: R) -> R {
        match self {
            Activation::Relu if x > R::ZERO => R::ONE,
            Activation::Relu => R::ZERO,
            Activation::Tanh => R::ONE - y * y,
            Activation::Gelu => {
                let density = (x * x * R::from_f64(-0.5)).exp() * R::from_f64(FRAC_1_SQRT_2_PI);
                normal_distribution(x) + x * density
            }
            Activation::Sigmoid => y * (R::ONE - y),
        }
    }
}

/// 1 / sqrt(2 pi).
const FRAC_1_SQRT_2_PI: f64 = std::f64::consts::FRAC_2_SQRT_PI * std::f64::consts::FRAC_1_SQRT_2 * 0.5;

fn normal_distribution<R: Real>(x: R) -> R {
    let half = R::from_f64(0.5);
    half + half * (x * R::from_f64(std::f64::consts::FRAC_1_SQRT_2)).erf()
}

/// What the network looks like.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shape {
    /// Values of one input, at least 1.
    pub input_count: usize,
    /// Hidden layers; with none the network is a linear classifier.
    pub hidden_layers: usize,
    /// Units of every hidden layer, at least 1.
    pub hidden_units: usize,
    /// Classes, at least 1.
    pub class_count: usize,
    /// Activation of the hidden units.
    pub activation: Activation,
}

/// Where one layer's numbers lie among [`Network::parameters`].
#[derive(Debug, Clone, PartialEq)]
struct Layer {
    input_count: usize,
    output_count: usize,
    /// Shape (inputs, outputs), row-major.
    weights: Range<usize>,
    /// Shape (outputs,).
    biases: Range<usize>,
}

/// The weights and biases of a multi-layer perceptron.
#[derive(Debug, Clone, PartialEq)]
pub struct Network<R> {
    activation: Activation,
    layers: Vec<Layer>,
    parameters: Vec<R>,
}

/// What one batch leaves behind on its way through a network: activations, dropout masks, gradient.
///
/// Made once for the largest batch and used again, so that training does not allocate.
#[derive(Debug, Clone)]
pub struct Pass<R> {
    row_count_max: usize,
    layers: Vec<LayerPass<R>>,
    gradient: Vec<R>,
    /// One input of a layer over the rows of a batch; shape (rows,).
    column: Vec<R>,
}

#[derive(Debug, Clone)]
struct LayerPass<R> {
    /// Before the activation function; shape (rows, outputs). Logits in the last layer.
    sums: Vec<R>,
    /// After the activation function, before dropout; shape (rows, outputs). Unused in the last layer.
    values: Vec<R>,
    /// `values` times `mask`, what the next layer sees; probabilities in the last layer.
    outputs: Vec<R>,
    /// 0 for a dropped unit, else 1 / (1 - dropout); shape (rows, outputs). Unused in the last layer.
    mask: Vec<R>,
    /// Derivative of the loss with respect to `sums`; shape (rows, outputs).
    deltas: Vec<R>,
}

impl<R: Real> Network<R> {
    /// A network with random weights and zero biases.
    ///
    /// Weights are uniform in [-b, b]. After rectifying units b = sqrt(6 / inputs) (He et al. 2015, eq. 10),
    /// which GELU shares; for tanh, sigmoid and the output layer b = sqrt(6 / (inputs + outputs)) (Glorot and
    /// Bengio 2010, eq. 16).
    pub fn new(shape: &Shape, rng: &mut Rng) -> Network<R> {
        let mut layers = Vec::with_capacity(shape.hidden_layers + 1);
        let mut parameters = Vec::new();
        let mut input_count = shape.input_count;
        for layer_index in 0..=shape.hidden_layers {
            let is_output = layer_index == shape.hidden_layers;
            let output_count = if is_output { shape.class_count } else { shape.hidden_units };
            let glorot = is_output || matches!(shape.activation, Activation::Tanh | Activation::Sigmoid);
            let fan = if glorot { input_count + output_count } else { input_count };
            let bound = (6.0 / fan as f64).sqrt();
            let start = parameters.len();
            let weights = start..start + input_count * output_count;
            let biases = weights.end..weights.end + output_count;
            parameters.extend(weights.clone().map(|_| R::from_f64(bound * (2.0 * unit_interval(rng) - 1.0))));
            parameters.extend(biases.clone().map(|_| R::ZERO));
            layers.push(Layer { input_count, output_count, weights, biases });
            input_count = output_count;
        }
        Network { activation: shape.activation, layers, parameters }
    }

    /// All weights and biases: layer by layer, the weights in shape (inputs, outputs), row-major, then the
    /// biases.
    pub fn parameters(&self) -> &[R] {
        &self.parameters
    }

    /// The same, to be changed.
    pub fn parameters_mut(&mut self) -> &mut [R] {
        &mut self.parameters
    }

    /// How many weights and biases there are.
    pub fn parameter_count(&self) -> usize {
        self.parameters.len()
    }

    /// Where among the parameters the weights are; what lies between are biases, which weight decay leaves
    /// alone.
    pub fn weight_ranges(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        self.layers.iter().map(|layer| layer.weights.clone())
    }

    /// Room for batches of up to `row_count_max` images.
    pub fn pass(&self, row_count_max: usize) -> Pass<R> {
        let layers = self
            .layers
            .iter()
            .map(|layer| {
                let zeros = || vec![R::ZERO; row_count_max * layer.output_count];
                LayerPass {
                    sums: zeros(),
                    values: zeros(),
                    outputs: zeros(),
                    mask: vec![R::ONE; row_count_max * layer.output_count],
                    deltas: zeros(),
                }
            })
            .collect();
        Pass {
            row_count_max,
            layers,
            gradient: vec![R::ZERO; self.parameters.len()],
            column: vec![R::ZERO; row_count_max],
        }
    }

    /// Sends `labels.len()` images through and returns the sum over them of the cross-entropy (natural
    /// logarithm), not a number when the network has diverged. Dropout masks apply only when `with_dropout`
    /// is set.
    ///
    /// `inputs`: shape (m, inputs), row-major; `labels`: shape (m,), each below the class count.
    ///
    /// # Panics
    /// When there are more images than `pass` has room for or the shapes disagree.
    pub fn forward(&self, inputs: &[R], labels: &[u8], pass: &mut Pass<R>, with_dropout: bool) -> f64 {
        let row_count = labels.len();
        assert!(row_count <= pass.row_count_max, "{row_count} images, room for {}", pass.row_count_max);
        let last = self.layers.len() - 1;
        for (layer_index, layer) in self.layers.iter().enumerate() {
            let size = row_count * layer.output_count;
            let (before, after) = pass.layers.split_at_mut(layer_index);
            let current = &mut after[0];
            let layer_inputs = before.last().map_or(inputs, |previous| &previous.outputs);
            let weights = &self.parameters[layer.weights.clone()];
            let biases = &self.parameters[layer.biases.clone()];
            let rows = current.sums[..size].chunks_exact_mut(layer.output_count);
            for (sums, row) in rows.zip(layer_inputs.chunks_exact(layer.input_count)) {
                sums.copy_from_slice(biases);
                add_combination(sums, row, weights);
            }
            if layer_index == last {
                break;
            }
            for (value, sum) in current.values[..size].iter_mut().zip(&current.sums) {
                *value = self.activation.value(*sum);
            }
            if with_dropout {
                for ((output, value), mask) in
                    current.outputs[..size].iter_mut().zip(&current.values).zip(&current.mask)
                {
                    *output = *value * *mask;
                }
            } else {
                current.outputs[..size].copy_from_slice(&current.values[..size]);
            }
        }
        let class_count = self.layers[last].output_count;
        let output = &mut pass.layers[last];
        let rows = output.outputs.chunks_exact_mut(class_count).zip(output.sums.chunks_exact(class_count));
        rows.zip(labels).map(|((probabilities, logits), label)| softmax(logits, probabilities, *label)).sum()
    }

    /// The gradient of the mean cross-entropy plus `weight_decay` / 2 times the sum of the squared weights,
    /// for the images of the last [`Network::forward`]; arguments as there. Ordered like
    /// [`Network::parameters_mut`].
    ///
    /// # Panics
    /// When the shapes disagree.
    pub fn backward<'pass>(
        &self,
        inputs: &[R],
        labels: &[u8],
        pass: &'pass mut Pass<R>,
        with_dropout: bool,
        weight_decay: R,
    ) -> &'pass [R] {
        let row_count = labels.len();
        let last = self.layers.len() - 1;
        let class_count = self.layers[last].output_count;
        let share = R::ONE / R::from_f64(row_count as f64);
        let output = &mut pass.layers[last];
        let rows = output.deltas.chunks_exact_mut(class_count).zip(output.outputs.chunks_exact(class_count));
        for ((deltas, probabilities), label) in rows.zip(labels) {
            for (class, (delta, probability)) in deltas.iter_mut().zip(probabilities).enumerate() {
                let target = if class == usize::from(*label) { R::ONE } else { R::ZERO };
                *delta = (*probability - target) * share;
            }
        }

        for (layer_index, layer) in self.layers.iter().enumerate().rev() {
            let size = row_count * layer.output_count;
            let (before, after) = pass.layers.split_at_mut(layer_index);
            let deltas = &after[0].deltas[..size];
            let layer_inputs = before.last().map_or(inputs, |previous| &previous.outputs);
            let weights = &self.parameters[layer.weights.clone()];

            let biases_gradient = &mut pass.gradient[layer.biases.clone()];
            biases_gradient.fill(R::ZERO);
            for row in deltas.chunks_exact(layer.output_count) {
                for (sum, delta) in biases_gradient.iter_mut().zip(row) {
                    *sum += *delta;
                }
            }

            let weights_gradient = &mut pass.gradient[layer.weights.clone()];
            let rows = weights_gradient
                .chunks_exact_mut(layer.output_count)
                .zip(weights.chunks_exact(layer.output_count));
            for (input_index, (gradient_row, weights_row)) in rows.enumerate() {
                let column = &mut pass.column[..row_count];
                for (value, row) in column.iter_mut().zip(layer_inputs.chunks_exact(layer.input_count)) {
                    *value = row[input_index];
                }
                for (gradient, weight) in gradient_row.iter_mut().zip(weights_row) {
                    *gradient = weight_decay * *weight;
                }
                add_combination(gradient_row, column, deltas);
            }

            let Some(previous) = before.last_mut() else { break };
            let rows = previous.deltas.chunks_exact_mut(layer.input_count);
            for (previous_deltas, row) in rows.zip(deltas.chunks_exact(layer.output_count)) {
                for (delta, weights_row) in
                    previous_deltas.iter_mut().zip(weights.chunks_exact(layer.output_count))
                {
                    *delta = dot(weights_row, row);
                }
            }
            let size = row_count * layer.input_count;
            let units = previous.sums[..size].iter().zip(&previous.values);
            for (delta, (sum, value)) in previous.deltas[..size].iter_mut().zip(units) {
                *delta = *delta * self.activation.derivative(*sum, *value);
            }
            if with_dropout {
                for (delta, mask) in previous.deltas[..size].iter_mut().zip(&previous.mask) {
                    *delta = *delta * *mask;
                }
            }
        }
        &pass.gradient
    }
}

impl<R: Real> Pass<R> {
    /// Draws for every hidden unit of the next `row_count` images whether it is dropped, with probability
    /// `dropout` in [0, 1). Those that stay are scaled up by 1 / (1 - dropout), so that nothing needs scaling
    /// afterwards. Source: Srivastava et al. 2014, sections 4 and 10 (the variant that scales while
    /// training).
    pub fn draw_masks(&mut self, row_count: usize, dropout: f64, rng: &mut Rng) {
        let kept = R::from_f64(1.0 / (1.0 - dropout));
        let Some((_, hidden)) = self.layers.split_last_mut() else { return };
        for layer in hidden {
            let unit_count = layer.mask.len() / self.row_count_max;
            for value in &mut layer.mask[..row_count * unit_count] {
                *value = if unit_interval(rng) < dropout { R::ZERO } else { kept };
            }
        }
    }

    /// How many of the `labels` got the largest probability in the last [`Network::forward`]; the first class
    /// wins ties.
    pub fn correct_count(&self, labels: &[u8]) -> usize {
        let Some(output) = self.layers.last() else { return 0 };
        let class_count = output.outputs.len() / self.row_count_max;
        let predicted = |probabilities: &[R]| {
            (1..class_count)
                .fold(0, |best, class| if probabilities[class] > probabilities[best] { class } else { best })
        };
        let rows = output.outputs.chunks_exact(class_count).zip(labels);
        rows.filter(|(probabilities, label)| predicted(probabilities) == usize::from(**label)).count()
    }
}

/// Turns `logits` into `probabilities` and returns the cross-entropy at `label`; both of shape (classes,).
///
/// The largest logit is taken off first, so that no exponential overflows.
fn softmax<R: Real>(logits: &[R], probabilities: &mut [R], label: u8) -> f64 {
    let largest =
        logits.iter().fold(logits[0], |largest, logit| if *logit > largest { *logit } else { largest });
    let mut total = R::ZERO;
    for (probability, logit) in probabilities.iter_mut().zip(logits) {
        *probability = (*logit - largest).exp();
        total += *probability;
    }
    let scale = R::ONE / total;
    for probability in probabilities {
        *probability = *probability * scale;
    }
    (total.ln() + largest - logits[usize::from(label)]).to_f64()
}

/// Adds to `target` the rows of `matrix`, each times its coefficient.
///
/// `target`: shape (n,); `coefficients`: shape (k,); `matrix`: shape (k, n), row-major. Four rows at a time,
/// so that the target is read and written a quarter as often.
fn add_combination<R: Real>(target: &mut [R], coefficients: &[R], matrix: &[R]) {
    let width = target.len();
    let fours = coefficients.chunks_exact(4);
    let single_coefficients = fours.remainder();
    let blocks = matrix.chunks_exact(4 * width);
    let single_rows = &matrix[fours.len() * 4 * width..];
    for (four, block) in fours.zip(blocks) {
        let (first, rest) = block.split_at(width);
        let (second, rest) = rest.split_at(width);
        let (third, fourth) = rest.split_at(width);
        let rows = first.iter().zip(second).zip(third).zip(fourth);
        for (value, (((first, second), third), fourth)) in target.iter_mut().zip(rows) {
            *value += (four[0] * *first + four[1] * *second) + (four[2] * *third + four[3] * *fourth);
        }
    }
    for (coefficient, row) in single_coefficients.iter().zip(single_rows.chunks_exact(width)) {
        for (value, entry) in target.iter_mut().zip(row) {
            *value += *coefficient * *entry;
        }
    }
}

/// The inner product of two vectors of the same length, in eight interleaved sums that fit vector registers.
fn dot<R: Real>(left: &[R], right: &[R]) -> R {
    let mut sums = [R::ZERO; 8];
    let (left_blocks, right_blocks) = (left.chunks_exact(8), right.chunks_exact(8));
    let rest = left_blocks.remainder().iter().zip(right_blocks.remainder());
    let tail = rest.fold(R::ZERO, |sum, (a, b)| sum + *a * *b);
    for (left, right) in left_blocks.zip(right_blocks) {
        for lane in 0..8 {
            sums[lane] += left[lane] * right[lane];
        }
    }
    sums.iter().fold(tail, |sum, lane| sum + *lane)
}

/// Uniform in [0, 1), a multiple of 2^-32.
pub(crate) fn unit_interval(rng: &mut Rng) -> f64 {
    f64::from(rng.next_u32()) / 4_294_967_296.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACTIVATIONS: [Activation; 4] =
        [Activation::Relu, Activation::Tanh, Activation::Gelu, Activation::Sigmoid];

    /// The loss whose gradient `backward` claims to return.
    fn penalised_loss(
        network: &Network<f64>,
        inputs: &[f64],
        labels: &[u8],
        pass: &mut Pass<f64>,
        decay: f64,
    ) -> f64 {
        let squares: f64 = network
            .weight_ranges()
            .flat_map(|range| &network.parameters[range])
            .map(|weight| weight * weight)
            .sum();
        network.forward(inputs, labels, pass, true) / labels.len() as f64 + 0.5 * decay * squares
    }

    /// Central differences of order four (five points), the error of which is about 1e-11 here, against every
    /// entry of the gradient. Two widths, one of them not a multiple of the block length of the loops.
    #[test]
    fn gradient_agrees_with_finite_differences() {
        for (case, activation) in ACTIVATIONS.into_iter().enumerate() {
            for (hidden_layers, hidden_units, decay, dropout) in
                [(0, 1, 0.1, 0.0), (1, 8, 0.0, 0.0), (2, 11, 0.3, 0.4), (3, 5, 0.05, 0.2)]
            {
                let mut rng = Rng::new(case as u64);
                let shape = Shape { input_count: 6, hidden_layers, hidden_units, class_count: 4, activation };
                let mut network: Network<f64> = Network::new(&shape, &mut rng);
                for parameter in network.parameters_mut() {
                    // Biases off zero too, and no rectifying unit closer to its kink than the step.
                    *parameter += unit_interval(&mut rng) - 0.5;
                }
                let labels = [0, 3, 1, 2, 3, 0, 1];
                let inputs: Vec<f64> =
                    (0..labels.len() * 6).map(|_| 2.0 * unit_interval(&mut rng) - 1.0).collect();
                let mut pass = network.pass(9);
                pass.draw_masks(labels.len(), dropout, &mut rng);
                network.forward(&inputs, &labels, &mut pass, true);
                let gradient = network.backward(&inputs, &labels, &mut pass, true, decay).to_vec();

                let step = 1e-4;
                for (index, entry) in gradient.iter().enumerate() {
                    let middle = network.parameters[index];
                    let [minus_two, minus_one, plus_one, plus_two] = [-2.0, -1.0, 1.0, 2.0].map(|factor| {
                        network.parameters[index] = middle + factor * step;
                        penalised_loss(&network, &inputs, &labels, &mut pass, decay)
                    });
                    network.parameters[index] = middle;
                    let difference = (8.0 * (plus_one - minus_one) - (plus_two - minus_two)) / (12.0 * step);
                    assert!(
                        (entry - difference).abs() <= 1e-9 + 1e-7 * difference.abs(),
                        "{activation:?}, {hidden_layers} layers, parameter {index}: \
                         {entry} against {difference}"
                    );
                }
            }
        }
    }

    #[test]
    fn evaluation_ignores_the_masks() {
        let mut rng = Rng::new(5);
        let shape = Shape {
            input_count: 3,
            hidden_layers: 2,
            hidden_units: 6,
            class_count: 2,
            activation: Activation::Tanh,
        };
        let network: Network<f64> = Network::new(&shape, &mut rng);
        let mut pass = network.pass(2);
        let (inputs, labels) = ([0.1, -0.4, 0.7, 0.3, 0.2, -0.9], [0, 1]);
        let plain = network.forward(&inputs, &labels, &mut pass, false);
        pass.draw_masks(2, 0.5, &mut rng);
        assert_ne!(network.forward(&inputs, &labels, &mut pass, true), plain);
        assert_eq!(network.forward(&inputs, &labels, &mut pass, false), plain);
    }

    /// The mean over many masks of an input that passes a linear unit is the input: dropout keeps
    /// expectations.
    #[test]
    fn masks_have_mean_one() {
        let shape = Shape {
            input_count: 1,
            hidden_layers: 1,
            hidden_units: 50,
            class_count: 2,
            activation: Activation::Relu,
        };
        let mut rng = Rng::new(8);
        let network: Network<f64> = Network::new(&shape, &mut rng);
        let mut pass = network.pass(200);
        pass.draw_masks(200, 0.3, &mut rng);
        let mask = &pass.layers[0].mask;
        assert!(mask.iter().all(|value| *value == 0.0 || (*value - 1.0 / 0.7).abs() < 1e-12));
        let mean = mask.iter().sum::<f64>() / mask.len() as f64;
        // Standard error sqrt(0.3 / 0.7 / 10,000) = 0.0065.
        assert!((mean - 1.0).abs() < 0.03, "mean {mean}");
    }

    #[test]
    fn initial_weights_keep_to_the_bounds_of_their_papers() {
        for activation in ACTIVATIONS {
            let shape =
                Shape { input_count: 40, hidden_layers: 2, hidden_units: 24, class_count: 10, activation };
            let network: Network<f64> = Network::new(&shape, &mut Rng::new(2));
            let he = matches!(activation, Activation::Relu | Activation::Gelu);
            let fans = if he { [40, 24, 34] } else { [64, 48, 34] };
            for (range, fan) in network.weight_ranges().zip(fans) {
                let bound = (6.0 / f64::from(fan)).sqrt();
                let largest = network.parameters[range]
                    .iter()
                    .fold(0.0_f64, |largest, weight| largest.max(weight.abs()));
                assert!(
                    largest <= bound && largest > 0.9 * bound,
                    "{activation:?}: {largest}, bound {bound}"
                );
            }
        }
    }

    #[test]
    fn softmax_survives_large_logits_and_shows_divergence() {
        let mut probabilities = [0.0_f32; 3];
        assert_eq!(softmax(&[1e30, -1e30, 0.0], &mut probabilities, 0), 0.0);
        assert_eq!(probabilities, [1.0, 0.0, 0.0]);
        assert!(!softmax(&[0.0, f32::INFINITY, 0.0], &mut probabilities, 1).is_finite());
        assert!(softmax(&[f32::NAN, 0.0, 0.0], &mut probabilities, 1).is_nan());
        assert!(softmax(&[0.0, f32::NAN, 0.0], &mut probabilities, 0).is_nan());
    }

    #[test]
    fn products_agree_with_their_definition_at_every_length() {
        for length in 0..20 {
            let left: Vec<f64> = (0..length).map(|index| f64::from(index) - 3.0).collect();
            let right: Vec<f64> = (0..length).map(|index| f64::from(index * index) + 1.0).collect();
            let expected: f64 = left.iter().zip(&right).map(|(a, b)| a * b).sum();
            assert_eq!(dot(&left, &right), expected);
            let matrix: Vec<f64> = right.iter().flat_map(|value| [*value, -value, 2.0 * value]).collect();
            let mut target = [0.5; 3];
            add_combination(&mut target, &left, &matrix);
            assert_eq!(target, [0.5 + expected, 0.5 - expected, 0.5 + 2.0 * expected]);
        }
    }
}
