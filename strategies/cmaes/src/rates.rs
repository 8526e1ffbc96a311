//! Recombination weights and learning rates, which follow from the number of coordinates and the population size.
//!
//! Source: Hansen 2023, "The CMA Evolution Strategy: A Tutorial" (arXiv 1604.00772v2), equations 49 to 58, with its
//! letters in the comments.

/// What an update of the distribution goes by.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Rates {
    /// w, shape (lambda,), best rank first: positive ones sum to 1, the negative ones keep the covariance positive.
    pub(crate) weights: Vec<f64>,
    /// mu, how many weights are positive.
    pub(crate) parent_count: usize,
    /// mu_eff, the variance-effective number of parents.
    pub(crate) parents_effective: f64,
    /// c_sigma and d_sigma, of the step size's path.
    pub(crate) step_path: f64,
    pub(crate) step_damping: f64,
    /// c_c, of the covariance's path.
    pub(crate) covariance_path: f64,
    /// c_1 and c_mu, of the covariance.
    pub(crate) rank_one: f64,
    pub(crate) rank_many: f64,
    /// E|N(0, I)|.
    pub(crate) normal_length: f64,
    /// Generations between two decompositions of the covariance.
    pub(crate) decomposition_interval: u64,
}

/// The default population size of `dimension_count` coordinates.
pub(crate) fn default_population_size(dimension_count: usize) -> usize {
    4 + (3.0 * libm::log(dimension_count.max(1) as f64)).floor() as usize
}

impl Rates {
    /// `population_size` is at least 2.
    pub(crate) fn new(dimension_count: usize, population_size: usize) -> Self {
        let n = dimension_count.max(1) as f64;
        let half = libm::log((population_size as f64 + 1.0) / 2.0);
        let raw: Vec<f64> = (1..=population_size).map(|rank| half - libm::log(rank as f64)).collect();
        let parent_count = (population_size / 2).max(1);
        let effective = |part: &[f64]| {
            let sum: f64 = part.iter().sum();
            sum * sum / part.iter().map(|w| w * w).sum::<f64>()
        };
        let mu_eff = effective(&raw[..parent_count]);
        let mu_eff_negative = effective(&raw[parent_count..]);
        let c_1 = 2.0 / ((n + 1.3) * (n + 1.3) + mu_eff);
        let c_mu =
            (2.0 * (0.25 + mu_eff + 1.0 / mu_eff - 2.0) / ((n + 2.0) * (n + 2.0) + mu_eff)).min(1.0 - c_1);
        let negative_sum = (1.0 + c_1 / c_mu)
            .min(1.0 + 2.0 * mu_eff_negative / (mu_eff + 2.0))
            .min((1.0 - c_1 - c_mu) / (n * c_mu))
            .max(0.0);
        let positive: f64 = raw.iter().filter(|w| **w > 0.0).sum();
        let negative: f64 = raw.iter().filter(|w| **w < 0.0).map(|w| w.abs()).sum();
        let weights =
            raw.iter().map(|w| if *w > 0.0 { w / positive } else { w * negative_sum / negative }).collect();
        let step_path = (mu_eff + 2.0) / (n + mu_eff + 5.0);
        let interval = 1.0 / (10.0 * n * (c_1 + c_mu));
        Self {
            weights,
            parent_count,
            parents_effective: mu_eff,
            step_path,
            step_damping: 1.0 + 2.0 * (((mu_eff - 1.0) / (n + 1.0)).sqrt() - 1.0).max(0.0) + step_path,
            covariance_path: (4.0 + mu_eff / n) / (n + 4.0 + 2.0 * mu_eff / n),
            rank_one: c_1,
            rank_many: c_mu,
            normal_length: n.sqrt() * (1.0 - 1.0 / (4.0 * n) + 1.0 / (21.0 * n * n)),
            decomposition_interval: interval.floor().max(1.0) as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the equations by hand for n = 10, lambda = 10.
    #[test]
    fn ten_coordinates_have_the_rates_of_the_tutorial() {
        assert_eq!([1, 2, 4, 10, 20, 100].map(default_population_size), [4, 6, 8, 10, 12, 17]);
        let rates = Rates::new(10, 10);
        // ln 5.5 - ln i = 1.70475, 1.01160, 0.60614, 0.31845, 0.09531; sum 3.73625, squares 4.40757
        let mu_eff = 3.736_25 * 3.736_25 / 4.407_57;
        assert_eq!(rates.parent_count, 5);
        assert!((rates.parents_effective - mu_eff).abs() < 1e-3);
        assert!((rates.weights[0] - 1.704_75 / 3.736_25).abs() < 1e-5);
        assert!((rates.rank_one - 2.0 / (11.3 * 11.3 + mu_eff)).abs() < 1e-6);
        assert!(
            (rates.rank_many - 2.0 * (0.25 + mu_eff + 1.0 / mu_eff - 2.0) / (144.0 + mu_eff)).abs() < 1e-5
        );
        assert!((rates.step_path - (mu_eff + 2.0) / (mu_eff + 15.0)).abs() < 1e-4);
        assert!((rates.step_damping - 1.0 - rates.step_path).abs() < 1e-12);
        assert!((rates.normal_length - 3.084_7).abs() < 1e-3);
    }

    #[test]
    fn weights_sum_to_one_and_what_is_taken_from_the_covariance_leaves_it_positive() {
        for n in [0, 1, 2, 3, 7, 20, 100] {
            for population_size in [2, 3, 4, 5, 9, 40, 1000] {
                let rates = Rates::new(n, population_size);
                let positive: f64 = rates.weights[..rates.parent_count].iter().sum();
                assert!((positive - 1.0).abs() < 1e-12, "{n} {population_size}");
                assert!(rates.weights.windows(2).all(|pair| pair[0] >= pair[1]), "{n} {population_size}");
                let taken: f64 = rates.weights[rates.parent_count..].iter().map(|w| w.abs()).sum();
                let decay = rates.rank_one + rates.rank_many * (1.0 - taken);
                // the matrix is multiplied by this, and each negative step takes at most n times its weight
                assert!(
                    1.0 - decay - rates.rank_many * n.max(1) as f64 * taken > -1e-12,
                    "{n} {population_size}"
                );
                assert!(rates.rank_one + rates.rank_many <= 1.0 && rates.step_path < 1.0);
                assert!(rates.decomposition_interval >= 1);
            }
        }
    }
}
