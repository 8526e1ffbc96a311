//! Where a trial stands among others at a step. With one metric that is the order of the losses; with several the
//! non-dominated fronts: the first is what nobody beats, the second what only the first beats, and so on
//! (Goldberg 1989; Deb et al. 2002, fast non-dominated sort).

/// Losses of trials at one step, kept in an order in which a newcomer finds its place quickly.
#[derive(Clone, Debug)]
pub enum Standing {
    /// One metric: in ascending order.
    One(Vec<f64>),
    /// Several metrics, one row each.
    Many(Vec<Vec<f64>>),
}

impl Standing {
    /// Nobody yet.
    pub fn new(metric_count: usize) -> Self {
        if metric_count == 1 { Standing::One(Vec::new()) } else { Standing::Many(Vec::new()) }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Standing::One(losses) => losses.len(),
            Standing::Many(rows) => rows.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a trial, and gives how many of those that were there stand strictly better: have a smaller loss, or lie in
    /// a better front. `losses`: one per metric, not NaN; infinite for what could not be measured.
    pub fn place(&mut self, losses: &[f64]) -> usize {
        match self {
            Standing::One(sorted) => {
                let loss = losses.first().copied().unwrap_or(f64::INFINITY);
                let better = sorted.partition_point(|other| *other < loss);
                sorted.insert(better, loss);
                better
            }
            Standing::Many(rows) => {
                rows.push(losses.to_vec());
                let fronts = fronts(rows);
                let own = fronts.last().copied().unwrap_or(0);
                fronts.iter().filter(|front| **front < own).count()
            }
        }
    }
}

impl Standing {
    /// For each of these trials, which are among those that were added, how many stand strictly better.
    pub fn better_counts<'a>(&self, trials: impl Iterator<Item = &'a [f64]>) -> Vec<usize> {
        match self {
            Standing::One(sorted) => {
                let better = |losses: &[f64]| {
                    let loss = losses.first().copied().unwrap_or(f64::INFINITY);
                    sorted.partition_point(|other| *other < loss)
                };
                trials.map(better).collect()
            }
            Standing::Many(rows) => {
                let fronts = fronts(rows);
                let better = |losses: &[f64]| {
                    let own = rows.iter().position(|row| row == losses).map_or(usize::MAX, |row| fronts[row]);
                    fronts.iter().filter(|front| **front < own).count()
                };
                trials.map(better).collect()
            }
        }
    }
}

fn dominates(a: &[f64], b: &[f64]) -> bool {
    let mut is_better = false;
    for (a, b) in a.iter().zip(b) {
        if a > b {
            return false;
        }
        is_better |= a < b;
    }
    is_better
}

/// The front of each row, from 0. Rows have one loss per metric. Takes time in the square of the number of rows.
pub fn fronts(rows: &[Vec<f64>]) -> Vec<usize> {
    let mut beaten_by: Vec<usize> =
        rows.iter().map(|row| rows.iter().filter(|other| dominates(other, row)).count()).collect();
    let mut fronts = vec![usize::MAX; rows.len()];
    let mut front = 0;
    loop {
        let members: Vec<usize> =
            (0..rows.len()).filter(|row| fronts[*row] == usize::MAX && beaten_by[*row] == 0).collect();
        if members.is_empty() {
            return fronts;
        }
        members.iter().for_each(|member| fronts[*member] = front);
        for (row, count) in beaten_by.iter_mut().enumerate() {
            *count -= members.iter().filter(|member| dominates(&rows[**member], &rows[row])).count();
        }
        front += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fronts_are_peeled_one_by_one() {
        let rows: Vec<Vec<f64>> =
            [[1.0, 4.0], [2.0, 2.0], [4.0, 1.0], [3.0, 3.0], [2.0, 2.0], [5.0, 5.0], [f64::INFINITY, 0.0]]
                .iter()
                .map(|row| row.to_vec())
                .collect();
        assert_eq!(fronts(&rows), [0, 0, 0, 1, 0, 2, 0]);
        assert_eq!(fronts(&[]), [0_usize; 0]);
    }

    #[test]
    fn one_metric_and_a_row_of_one_agree() {
        let losses = [0.3, 0.1, 0.2, 0.3, f64::INFINITY, 0.05, f64::INFINITY];
        let mut one = Standing::new(1);
        let mut many = Standing::Many(Vec::new());
        let places: Vec<usize> = losses.iter().map(|loss| one.place(&[*loss])).collect();
        assert_eq!(places, [0, 0, 1, 2, 4, 0, 5]);
        assert_eq!(losses.map(|loss| many.place(&[loss])).to_vec(), places);
        assert_eq!((one.len(), many.len()), (7, 7));
    }

    #[test]
    fn those_that_are_there_know_how_many_are_better() {
        let losses = [0.3, 0.1, 0.2, 0.3, f64::INFINITY, 0.05, f64::INFINITY];
        let rows: Vec<&[f64]> = losses.iter().map(std::slice::from_ref).collect();
        let (mut one, mut many) = (Standing::new(1), Standing::Many(Vec::new()));
        for row in &rows {
            one.place(row);
            many.place(row);
        }
        assert_eq!(one.better_counts(rows.iter().copied()), [3, 1, 2, 3, 5, 0, 5]);
        assert_eq!(many.better_counts(rows.iter().copied()), [3, 1, 2, 3, 5, 0, 5]);
    }

    #[test]
    fn trials_of_one_front_are_not_better_than_each_other() {
        let mut standing = Standing::new(2);
        assert_eq!(standing.place(&[1.0, 2.0]), 0);
        assert_eq!(standing.place(&[2.0, 1.0]), 0);
        assert_eq!(standing.place(&[3.0, 3.0]), 2);
        assert_eq!(standing.place(&[0.0, 0.0]), 0);
        assert_eq!(standing.place(&[1.5, 1.5]), 1, "only the last one beats it now");
    }
}
