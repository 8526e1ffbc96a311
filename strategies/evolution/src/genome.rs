//! Points as rows of genes, one in the unit cube for each parameter, inactive ones too: what a branch had is still there
//! when it becomes active again.

use ansatz_core::rng::Rng;
use ansatz_core::space::{CategoricalForm, ColumnKind, Domain, Encoding};
use ansatz_core::{Point, Space};
use rand::RngExt;

/// What a gene can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gene {
    /// A single value.
    Fixed,
    /// A number without gaps.
    Number,
    /// One of so many levels in an order; any place of the level's cell stands for it.
    Level(u64),
    /// One of so many choices that have nothing in common.
    Choice(u64),
}

/// The genes of a space.
#[derive(Clone, Debug)]
pub(crate) struct Genome {
    encoding: Encoding,
    genes: Vec<Gene>,
    /// Those that are not fixed.
    free: Vec<usize>,
}

impl Genome {
    /// One gene for each parameter.
    pub(crate) fn new(space: &Space) -> Self {
        let encoding = Encoding::new(space, CategoricalForm::Index);
        let gene = |kind: &ColumnKind| match *kind {
            ColumnKind::Continuous => Gene::Number,
            ColumnKind::Discrete { level_count: count }
            | ColumnKind::Index { choice_count: count }
            | ColumnKind::Indicator { choice: count }
                if count <= 1 =>
            {
                Gene::Fixed
            }
            ColumnKind::Discrete { level_count } => Gene::Level(level_count),
            ColumnKind::Index { choice_count: count } | ColumnKind::Indicator { choice: count } => {
                Gene::Choice(count)
            }
        };
        let genes: Vec<Gene> = encoding.columns().iter().map(|column| gene(&column.kind)).collect();
        let free = (0..genes.len()).filter(|index| genes[*index] != Gene::Fixed).collect();
        Self { encoding, genes, free }
    }

    /// The space.
    pub(crate) fn space(&self) -> &Space {
        self.encoding.space()
    }

    /// Length of a row.
    pub(crate) fn len(&self) -> usize {
        self.genes.len()
    }

    /// What each gene can be.
    pub(crate) fn genes(&self) -> &[Gene] {
        &self.genes
    }

    /// Indices of the genes with more than one value.
    pub(crate) fn free(&self) -> &[usize] {
        &self.free
    }

    fn domain(&self, index: usize) -> &Domain {
        &self.space().parameters()[index].domain
    }

    /// The point of a row; constraints are not looked at.
    pub(crate) fn decode(&self, row: &[f64]) -> Point {
        self.encoding.decode(row)
    }

    /// The row that a trial of `point` stands for if it was proposed as `row`: the same where the point says so, and where
    /// it says nothing.
    pub(crate) fn adopt(&self, point: &Point, mut row: Vec<f64>) -> Vec<f64> {
        for (index, gene) in row.iter_mut().enumerate() {
            let domain = self.domain(index);
            if let Some(coordinate) = point.get(index)
                && domain.from_unit(*gene) != coordinate
            {
                *gene = domain.to_unit(coordinate);
            }
        }
        row
    }

    /// The row of a point of somebody else, with random genes where it says nothing.
    pub(crate) fn row_of(&self, point: &Point, rng: &mut Rng) -> Vec<f64> {
        let gene = |(index, coordinate): (usize, Option<f64>)| match coordinate {
            Some(coordinate) => self.domain(index).to_unit(coordinate),
            None => rng.random(),
        };
        point.coordinates().enumerate().map(gene).collect()
    }

    /// Whether two genes stand for the same value.
    pub(crate) fn is_same(&self, index: usize, a: f64, b: f64) -> bool {
        let domain = self.domain(index);
        domain.from_unit(a) == domain.from_unit(b)
    }

    /// Another choice than that of the gene, each as likely.
    pub(crate) fn other_choice(&self, index: usize, gene: f64, count: u64, rng: &mut Rng) -> f64 {
        let domain = self.domain(index);
        let at = domain.from_unit(gene) as u64;
        let other = rng.random_range(0..count.saturating_sub(1).max(1));
        domain.to_unit(domain.nth(if other >= at { other + 1 } else { other }))
    }

    /// The level next to that of the gene, on either side.
    pub(crate) fn next_level(&self, index: usize, gene: f64, count: u64, rng: &mut Rng) -> f64 {
        let domain = self.domain(index);
        let (lower, upper) = (domain.lower(), domain.upper());
        let share = (domain.from_unit(gene) - lower) / (upper - lower);
        let at = (share * (count - 1) as f64).round() as u64;
        let is_up = if at == 0 { true } else { at + 1 < count && rng.random::<bool>() };
        domain.to_unit(domain.nth(if is_up { at + 1 } else { at - 1 }))
    }

    /// Whether a state that was read has such a row.
    pub(crate) fn is_sound(&self, row: &[f64]) -> bool {
        row.len() == self.len() && row.iter().all(|gene| (0.0..=1.0).contains(gene))
    }
}
