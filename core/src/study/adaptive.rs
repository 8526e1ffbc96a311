//! How much of an adaptive mix each member has earned, from the results of the study and nothing else, so that a study
//! that is replayed gives the same turns.
//!
//! Each finished trial earns its member a reward: 1 if nothing before was better, and half the square of the share of the
//! latest completed trials that it beats, whoever proposed them. Ranks rather than improvements, because those shrink while
//! a study converges and would say that everybody has become useless. Rewards are averaged with weights that fade by
//! three hundredths with each trial of the study, per unit of cost where the budget counts one; a member that has not been
//! tried for long drifts back to the average of all, and is tried again. Shares are nine tenths by a softmax of these
//! averages and one tenth equal for all, so that none starves. The longer nobody finds a new best, the more is equal: whoever
//! comes back to a known minimum beats most of what others try, and that says less and less. Turns follow the shares evenly: the member that is furthest
//! behind what was due to it is next. A bandit with discounted rewards (Garivier and Moulines 2011) without chance.

use std::collections::VecDeque;

/// Of each trial's weight, what is left after the next one.
const FADE: f64 = 0.97;
/// Completed trials that the next one is compared with.
const RECENT_COUNT: usize = 50;
/// Trials that the average of all counts for in each member's average.
const PRIOR_WEIGHT: f64 = 2.0;
/// Rewards that differ by so much make shares differ e-fold.
const TEMPERATURE: f64 = 0.05;
/// What is shared out equally: at least so much, and most of all in the end, where nobody finds anything better for long.
const EQUAL_SHARE_MIN: f64 = 0.1;
const EQUAL_SHARE_MAX: f64 = 0.7;
/// Trials without a new best after which it is half way between the two.
const IDLE_COUNT: f64 = 300.0;
/// No member is ever further behind or ahead: who could not be asked for long must not have all turns afterwards.
const BEHIND_MAX: f64 = 2.0;

/// What the members of a study have earned.
#[derive(Clone, Debug)]
pub(super) struct Credit {
    members: Vec<Account>,
    /// Losses of the latest completed trials, oldest first.
    recent: VecDeque<Vec<f64>>,
    /// Trials with losses since the last new best.
    idle_count: u64,
    /// Mean cost of a trial so far, and of how many; 0 and 0 without a cost.
    cost_mean: f64,
    cost_count: f64,
}

#[derive(Clone, Debug, Default)]
struct Account {
    /// Faded sum of rewards.
    reward: f64,
    /// Faded sum of the costs that brought them, where a trial of mean cost counts 1.
    cost: f64,
    /// Turns due to it that it has not had.
    behind: f64,
}

/// What a finished trial was worth.
#[derive(Clone, Copy, Debug)]
pub(super) struct Yield<'a> {
    /// Of a completed, full trial that keeps all constraints and was evaluated itself.
    pub(super) losses: Option<&'a [f64]>,
    /// Whether it is among the best so far.
    pub(super) is_best: bool,
    /// What it cost, if the budget counts that.
    pub(super) cost: Option<f64>,
    /// Whether it continues a trial that was stopped: then its turn was counted with that one.
    pub(super) is_continuation: bool,
}

impl Credit {
    pub(super) fn new(member_count: usize) -> Self {
        let members = vec![Account::default(); member_count];
        Self { members, recent: VecDeque::new(), idle_count: 0, cost_mean: 0.0, cost_count: 0.0 }
    }

    /// A trial of a member has ended, or of nobody: then others are compared with it, and that is all.
    pub(super) fn finished(&mut self, member: Option<usize>, gained: Yield<'_>) {
        let reward = gained.losses.map_or(0.0, |losses| {
            let beaten = self.beaten_share(losses);
            0.5 * beaten * beaten + f64::from(gained.is_best)
        });
        let turn = if gained.is_continuation { 0.0 } else { 1.0 };
        let cost = gained.cost.filter(|cost| cost.is_finite() && *cost >= 0.0).map_or(turn, |cost| {
            self.cost_count += 1.0;
            self.cost_mean += (cost - self.cost_mean) / self.cost_count;
            if self.cost_mean > 0.0 { cost / self.cost_mean } else { 1.0 }
        });
        if let Some(member) = member {
            for account in self.members.iter_mut().filter(|_| !gained.is_continuation) {
                account.reward *= FADE;
                account.cost *= FADE;
            }
            self.members[member].reward += reward;
            self.members[member].cost += cost;
        }
        if let Some(losses) = gained.losses {
            self.idle_count = if gained.is_best { 0 } else { self.idle_count + 1 };
            self.recent.push_back(losses.to_vec());
            if self.recent.len() > RECENT_COUNT {
                self.recent.pop_front();
            }
        }
    }

    /// Share of the latest trials that a loss beats; with several losses, one that is better here and worse there counts
    /// half. None is beaten by its equal.
    fn beaten_share(&self, losses: &[f64]) -> f64 {
        if self.recent.is_empty() {
            return 0.0;
        }
        let beats = |other: &Vec<f64>| {
            let is_better = losses.iter().zip(other).any(|(own, other)| own < other);
            let is_worse = losses.iter().zip(other).any(|(own, other)| own > other);
            match (is_better, is_worse) {
                (true, false) => 1.0,
                (true, true) => 0.5,
                (false, _) => 0.0,
            }
        };
        self.recent.iter().map(beats).sum::<f64>() / self.recent.len() as f64
    }

    /// The share of each member in the next trials, given who may still be asked; 0 for the others, 1 in sum.
    pub(super) fn shares(&self, is_open: impl Fn(usize) -> bool) -> Vec<f64> {
        let open_count = (0..self.members.len()).filter(|member| is_open(*member)).count();
        if open_count == 0 {
            return vec![0.0; self.members.len()];
        }
        let sum = |part: fn(&Account) -> f64| self.members.iter().map(part).sum::<f64>();
        let (reward, cost) = (sum(|account| account.reward), sum(|account| account.cost));
        let average = if cost > 0.0 { reward / cost } else { 0.0 };
        let mean =
            |account: &Account| (account.reward + PRIOR_WEIGHT * average) / (account.cost + PRIOR_WEIGHT);
        let means: Vec<f64> = self.members.iter().map(mean).collect();
        let open_means = means.iter().enumerate().filter(|(member, _)| is_open(*member));
        let top = open_means.map(|(_, mean)| *mean).fold(f64::NEG_INFINITY, f64::max);
        let weights: Vec<f64> = means
            .iter()
            .enumerate()
            .map(|(member, mean)| if is_open(member) { libm::exp((mean - top) / TEMPERATURE) } else { 0.0 })
            .collect();
        let total: f64 = weights.iter().sum();
        let idle_count = self.idle_count as f64;
        let equal_share =
            EQUAL_SHARE_MIN + (EQUAL_SHARE_MAX - EQUAL_SHARE_MIN) * idle_count / (idle_count + IDLE_COUNT);
        let equal = equal_share / open_count as f64;
        let share = |(member, weight): (usize, &f64)| match is_open(member) {
            true => equal + (1.0 - equal_share) * weight / total,
            false => 0.0,
        };
        weights.iter().enumerate().map(share).collect()
    }

    /// A member has been given so many turns, while these were the shares.
    pub(super) fn asked(&mut self, member: usize, count: usize, shares: &[f64]) {
        let count = count as f64;
        for (account, share) in self.members.iter_mut().zip(shares) {
            account.behind += share * count;
        }
        self.members[member].behind -= count;
        for account in &mut self.members {
            account.behind = account.behind.clamp(-BEHIND_MAX, BEHIND_MAX);
        }
    }

    /// How many turns a member is behind, the next one included that its share is a part of.
    pub(super) fn behind(&self, member: usize, share: f64) -> f64 {
        self.members[member].behind + share
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;
    use rand::RngExt;

    /// Turns by the credit, where each member's losses come from its own distribution; how many each had.
    fn turns(count: usize, loss: impl Fn(usize, usize, f64) -> f64) -> Vec<usize> {
        let mut credit = Credit::new(3);
        let mut rng = Rng::new(5);
        let mut best = f64::INFINITY;
        let mut turns = Vec::new();
        for turn in 0..count {
            let shares = credit.shares(|_| true);
            assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            let due = |member: &usize| credit.behind(*member, shares[*member]);
            let member = (0..3).max_by(|a, b| due(a).total_cmp(&due(b)).then(b.cmp(a))).unwrap();
            credit.asked(member, 1, &shares);
            let loss = loss(member, turn, rng.random());
            let losses = [loss];
            credit.finished(
                Some(member),
                Yield { losses: Some(&losses), is_best: loss < best, cost: None, is_continuation: false },
            );
            best = best.min(loss);
            turns.push(member);
        }
        turns
    }

    fn count(turns: &[usize], member: usize) -> usize {
        turns.iter().filter(|turn| **turn == member).count()
    }

    #[test]
    fn equals_take_turns_and_the_better_has_more() {
        let equal = turns(300, |_, _, uniform| uniform);
        assert!((0..3).all(|member| (60..150).contains(&count(&equal, member))), "{equal:?}");
        let better = turns(300, |member, _, uniform| if member == 1 { 0.3 * uniform } else { uniform });
        assert!(count(&better, 1) > 180, "{better:?}");
        // A thirtieth is for each whatever it earns.
        assert!([0, 2].iter().all(|member| count(&better, *member) >= 300 / 30 - 2), "{better:?}");
    }

    #[test]
    fn who_becomes_the_better_one_is_found_out() {
        let change = |member: usize, turn: usize, uniform: f64| {
            let good = if turn < 200 { 0 } else { 2 };
            if member == good { 0.3 * uniform } else { uniform }
        };
        let turns = turns(400, change);
        assert!(count(&turns[50..200], 0) > 75, "{turns:?}");
        assert!(count(&turns[260..], 2) > 70, "{turns:?}");
    }

    #[test]
    fn only_ranks_matter() {
        let plain = turns(100, |member, _, uniform| uniform / (member + 1) as f64);
        let bent = turns(100, |member, _, uniform| libm::exp(50.0 * uniform / (member + 1) as f64) - 1e9);
        assert_eq!(plain, bent);
    }

    #[test]
    fn costs_divide_rewards() {
        let mut credit = Credit::new(2);
        for turn in 0..40 {
            let losses = [f64::from(turn % 7)];
            let cost = Some(if turn % 2 == 0 { 10.0 } else { 1.0 });
            credit.finished(
                Some(turn as usize % 2),
                Yield { losses: Some(&losses), is_best: false, cost, is_continuation: false },
            );
        }
        let shares = credit.shares(|_| true);
        assert!(shares[1] > 0.6, "{shares:?}");
    }

    /// A point that was stopped twice on its way has had one turn, as one that came to its end at once.
    #[test]
    fn a_point_that_was_stopped_and_went_on_counts_as_one_turn() {
        fn of(losses: Option<&[f64]>, is_continuation: bool) -> Yield<'_> {
            Yield { losses, is_best: false, cost: None, is_continuation }
        }
        let mut credit = Credit::new(2);
        for turn in 0..40 {
            let losses = [f64::from(turn % 7)];
            credit.finished(Some(0), of(Some(&losses), false));
            credit.finished(Some(1), of(None, false));
            credit.finished(Some(1), of(None, true));
            credit.finished(Some(1), of(Some(&losses), true));
        }
        let shares = credit.shares(|_| true);
        assert!((shares[0] - shares[1]).abs() < 0.05, "{shares:?}");
    }

    #[test]
    fn who_is_gone_has_no_share_and_failures_earn_nothing() {
        let mut credit = Credit::new(3);
        for turn in 0..60 {
            let losses = [1.0 / f64::from(turn + 1)];
            let losses = (turn % 3 != 0).then_some(&losses[..]);
            credit.finished(
                Some(turn as usize % 3),
                Yield { losses, is_best: losses.is_some(), cost: None, is_continuation: false },
            );
        }
        let shares = credit.shares(|_| true);
        assert!(shares[0] < 0.07 && shares[1] > 0.4 && shares[2] > 0.4, "{shares:?}");
        let shares = credit.shares(|member| member != 1);
        assert!(shares[1] == 0.0 && shares[2] > 0.8, "{shares:?}");
        assert_eq!(credit.shares(|_| false), [0.0; 3]);
    }

    #[test]
    fn of_several_losses_mixed_ones_count_half() {
        let mut credit = Credit::new(1);
        for losses in [[1.0, 0.0], [0.0, 1.0], [2.0, 2.0], [0.5, 0.5]] {
            credit.finished(
                Some(0),
                Yield { losses: Some(&losses), is_best: false, cost: None, is_continuation: false },
            );
        }
        assert_eq!(credit.beaten_share(&[0.5, 0.5]), (0.5 + 0.5 + 1.0 + 0.0) / 4.0);
    }
}
