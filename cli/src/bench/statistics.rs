//! What many runs say together: quantiles, scores, ranks, wins, and how sure all that is. docs/bench.md has the
//! formulas; nothing here knows files or plugins.

use ansatz_core::rng::Rng;
use rand::RngExt;

/// The part of the reference regret that counts as none: whatever is below is equal.
pub const RESOLUTION: f64 = 1e-9;
/// Powers of ten between the reference regret and a score of 1, where the optimum is known.
pub const DECADES: f64 = 4.0;
/// Resamples of a bootstrap.
const RESAMPLE_COUNT: usize = 2_000;
/// Of the bootstrap: the same results have the same intervals.
const BOOTSTRAP_SEED: u64 = 20_090;

/// One comparison: a regret for each strategy that took part, all on one problem with one seed. What found nothing has
/// an infinite one.
pub type Block = Vec<Option<f64>>;

/// A mean with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Estimate {
    /// Of what was measured.
    pub mean: f64,
    /// 2.5 % of the resamples are below.
    pub low: f64,
    /// 2.5 % are above.
    pub high: f64,
}

/// Linear interpolation between order statistics (Hyndman and Fan 1996, type 7). `sorted` ascending; `None` if empty or
/// if the quantile is infinite.
pub fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let at = share * sorted.len().checked_sub(1)? as f64;
    let (below, above) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
    // not by the difference: it may be that of two infinities
    let value = if below == above { below } else { below + (above - below) * at.fract() };
    value.is_finite().then_some(value)
}

/// Lower quartile, median, upper quartile.
pub fn quartiles(values: impl Iterator<Item = f64>) -> [Option<f64>; 3] {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    [0.25, 0.5, 0.75].map(|share| quantile(&sorted, share))
}

/// How good a regret is, from 0 (no better than the reference) to 1. With a known optimum each tenth part of the
/// reference is worth `1 / DECADES`; without one the score is linear, and 1 is the best value that anybody found.
pub fn score(regret: f64, reference: f64, is_optimum_known: bool) -> f64 {
    if regret <= reference * RESOLUTION {
        return 1.0;
    }
    let share = regret / reference;
    // the reference may be 0, and a regret infinite
    if !share.is_finite() {
        return 0.0;
    }
    let score = if is_optimum_known { -share.log10() / DECADES } else { 1.0 - share };
    score.clamp(0.0, 1.0)
}

/// The rank of each regret, from 1; equal ones share the mean of theirs. Where not all take part, ranks are stretched to
/// 1 to the number of all, so that the last of three and the last of five are both last.
pub fn ranks(block: &[Option<f64>]) -> Block {
    let taking_part: Vec<f64> = block.iter().copied().flatten().collect();
    let stretch = match taking_part.len() {
        0 | 1 => 0.0,
        count => (block.len() - 1) as f64 / (count - 1) as f64,
    };
    let rank = |regret: f64| {
        let below = taking_part.iter().filter(|other| **other < regret).count() as f64;
        let equal = taking_part.iter().filter(|other| **other == regret).count() as f64;
        1.0 + stretch * (below + (equal - 1.0) / 2.0)
    };
    // alone, it is neither first nor last
    let alone = (block.len() as f64 + 1.0) / 2.0;
    block.iter().map(|regret| regret.map(|r| if taking_part.len() == 1 { alone } else { rank(r) })).collect()
}

/// How often the first does better than the second where both take part, ties half; `None` if they never meet.
pub fn win_rate(blocks: &[Block], first: usize, second: usize) -> Option<f64> {
    let (mut wins, mut count) = (0.0, 0_u32);
    for block in blocks {
        let (Some(a), Some(b)) = (block[first], block[second]) else { continue };
        count += 1;
        wins += if a < b { 1.0 } else { f64::from(u8::from(a == b)) / 2.0 };
    }
    (count > 0).then(|| wins / f64::from(count))
}

/// The mean over problems of the mean over a problem's seeds, for each strategy; `None` for one that was nowhere.
/// `problems[p][i][s]`: of strategy s with the i-th seed of problem p.
fn means(problems: &[Vec<&Block>], strategy_count: usize) -> Vec<Option<f64>> {
    let mean_of = |strategy: usize| {
        let by_problem =
            problems.iter().filter_map(|blocks| mean(blocks.iter().filter_map(|block| block[strategy])));
        mean(by_problem)
    };
    (0..strategy_count).map(mean_of).collect()
}

/// The arithmetic mean; `None` of nothing.
pub fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0_u32), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}

/// The means of `means` with 95 % bootstrap intervals. The problems stay; each one's seeds are drawn with replacement,
/// all strategies together, because they met the same seeds. So an interval says what other seeds might have given, not
/// what other problems might.
pub fn estimates(problems: &[Vec<Block>], strategy_count: usize) -> Vec<Option<Estimate>> {
    let whole: Vec<Vec<&Block>> = problems.iter().map(|blocks| blocks.iter().collect()).collect();
    let measured = means(&whole, strategy_count);
    let mut rng = Rng::new(BOOTSTRAP_SEED);
    let mut resampled: Vec<Vec<f64>> = vec![Vec::with_capacity(RESAMPLE_COUNT); strategy_count];
    for _ in 0..RESAMPLE_COUNT {
        let drawn: Vec<Vec<&Block>> = problems
            .iter()
            .filter(|blocks| !blocks.is_empty())
            .map(|blocks| blocks.iter().map(|_| &blocks[rng.random_range(0..blocks.len())]).collect())
            .collect();
        for (values, mean) in resampled.iter_mut().zip(means(&drawn, strategy_count)) {
            values.extend(mean);
        }
    }
    let estimate = |(mean, mut values): (Option<f64>, Vec<f64>)| {
        values.sort_by(f64::total_cmp);
        let mean = mean?;
        let at = |share| quantile(&values, share).unwrap_or(mean);
        Some(Estimate { mean, low: at(0.025), high: at(0.975) })
    };
    measured.into_iter().zip(resampled).map(estimate).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const INFINITE: f64 = f64::INFINITY;

    #[test]
    fn quantiles_interpolate_and_are_not_infinite() {
        let cases: [(&[f64], f64, Option<f64>); 7] = [
            (&[], 0.5, None),
            (&[3.0], 0.25, Some(3.0)),
            (&[1.0, 2.0], 0.5, Some(1.5)),
            (&[1.0, 2.0, 3.0, 4.0], 0.25, Some(1.75)),
            (&[1.0, 2.0, INFINITE], 0.5, Some(2.0)),
            (&[1.0, INFINITE], 0.5, None),
            (&[INFINITE, INFINITE], 0.5, None),
        ];
        for (values, share, expected) in cases {
            assert_eq!(quantile(values, share), expected, "{values:?} at {share}");
        }
        assert_eq!(quartiles([4.0, 1.0, 3.0, 2.0].into_iter()), [Some(1.75), Some(2.5), Some(3.25)]);
    }

    #[test]
    fn scores_go_from_the_reference_to_the_optimum() {
        let cases = [
            (10.0, 10.0, true, 0.0),
            (100.0, 10.0, true, 0.0),
            (1.0, 10.0, true, 0.25),
            (0.1, 10.0, true, 0.5),
            (1e-3, 10.0, true, 1.0),
            (0.0, 10.0, true, 1.0),
            (INFINITE, 10.0, true, 0.0),
            (0.0, 0.0, true, 1.0),
            (1.0, 0.0, true, 0.0),
            (10.0, 10.0, false, 0.0),
            (2.5, 10.0, false, 0.75),
            (0.0, 10.0, false, 1.0),
            (INFINITE, 10.0, false, 0.0),
        ];
        for (regret, reference, is_known, expected) in cases {
            let found = score(regret, reference, is_known);
            assert!((found - expected).abs() < 1e-12, "{regret} of {reference}: {found}");
        }
    }

    #[test]
    fn equal_ones_share_ranks_and_absent_ones_have_none() {
        let cases: [[Block; 2]; 5] = [
            [vec![Some(2.0), Some(1.0), Some(3.0)], vec![Some(2.0), Some(1.0), Some(3.0)]],
            [vec![Some(1.0), Some(1.0), Some(3.0)], vec![Some(1.5), Some(1.5), Some(3.0)]],
            [vec![Some(INFINITE), Some(INFINITE), Some(0.0)], vec![Some(2.5), Some(2.5), Some(1.0)]],
            [vec![Some(1.0), None, Some(2.0)], vec![Some(1.0), None, Some(3.0)]],
            [vec![None, Some(7.0), None], vec![None, Some(2.0), None]],
        ];
        for [block, expected] in cases {
            assert_eq!(ranks(&block), expected, "{block:?}");
        }
    }

    #[test]
    fn wins_are_counted_where_both_took_part() {
        let blocks = vec![
            vec![Some(1.0), Some(2.0)],
            vec![Some(2.0), Some(1.0)],
            vec![Some(1.0), Some(1.0)],
            vec![Some(1.0), Some(INFINITE)],
            vec![Some(1.0), None],
        ];
        assert_eq!(win_rate(&blocks, 0, 1), Some(2.5 / 4.0));
        assert_eq!(win_rate(&blocks, 1, 0), Some(1.5 / 4.0));
        assert_eq!(win_rate(&blocks[4..], 0, 1), None);
    }

    #[test]
    fn problems_weigh_the_same_however_many_seeds_they_have() {
        let problems = [vec![vec![Some(1.0)]; 9], vec![vec![Some(3.0)]]];
        let estimates = estimates(&problems, 1);
        assert_eq!(estimates, [Some(Estimate { mean: 2.0, low: 2.0, high: 2.0 })]);
    }

    /// For the mean of n values the bootstrap agrees with the normal interval, 1.96 standard errors to either side.
    #[test]
    fn intervals_are_those_of_the_mean() {
        let values: Vec<f64> = (0..100).map(f64::from).collect();
        let blocks: Vec<Block> = values.iter().map(|value| vec![Some(*value), None]).collect();
        let found = estimates(std::slice::from_ref(&blocks), 2);
        assert_eq!(found[1], None);
        let Estimate { mean, low, high } = found[0].unwrap();
        let deviation = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 100.0).sqrt();
        let error = 1.96 * deviation / 10.0;
        assert_eq!(mean, 49.5);
        assert!((mean - low - error).abs() < 0.1 * error, "{low}");
        assert!((high - mean - error).abs() < 0.1 * error, "{high}");
        assert_eq!(
            estimates(std::slice::from_ref(&blocks), 2),
            found,
            "the same results have the same intervals"
        );
    }
}
