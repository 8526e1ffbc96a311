//! NSGA-II and NSGA-III, one child at a time: parents win tournaments, and whoever of the population and its newest member is
//! worth least goes.
//!
//! Sources: Deb et al. 2002 (NSGA-II, with constrained domination), Durillo, Nebro, Luna and Alba 2009 (one child at a time),
//! Deb and Jain 2014 (NSGA-III).

use crate::genome::Genome;
use crate::merit::{ExcessUnits, Merit};
use crate::population::{Member, Newcomer, Population, Recognised};
use crate::reference_points::{Scale, nearest};
use crate::sorting::{crowding, ranks};
use crate::variation::Variation;
use ansatz_core::rng::Rng;
use rand::RngExt;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

/// What decides within a front.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Niching<'a> {
    /// Room between neighbours: NSGA-II.
    Crowding,
    /// Nearness to reference points: NSGA-III.
    ReferencePoints(&'a [Vec<f64>]),
}

/// What the genetic algorithms know beside the population.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Genetic {
    scale: Scale,
    /// Places of members that wait for a tournament.
    deck: Vec<u64>,
    /// The other child of the last parents.
    sibling: Option<Vec<f64>>,
    /// Made from the population when needed.
    #[serde(skip)]
    standings: Option<Vec<Standing>>,
}

/// Who wins a tournament: the smaller front, then more room.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Standing {
    front: usize,
    room: f64,
}

impl Genetic {
    /// A child of two winners; its sibling is the next one. The population has to have members.
    pub(crate) fn child(
        &mut self,
        genome: &Genome,
        population: &Population,
        units: &ExcessUnits,
        niching: Niching<'_>,
        variation: &Variation,
        rng: &mut Rng,
    ) -> Vec<f64> {
        if let Some(row) = self.sibling.take() {
            return row;
        }
        let standings = self.standings.take().unwrap_or_else(|| standings(population, units, niching));
        let mut winner = || {
            let (a, b) = (self.draw(population, rng), self.draw(population, rng));
            let order = standings[a].front.cmp(&standings[b].front);
            match order.then(standings[b].room.total_cmp(&standings[a].room)) {
                Ordering::Greater => b,
                // of equals either: they were drawn at random
                Ordering::Less | Ordering::Equal => a,
            }
        };
        let (a, b) = (winner(), winner());
        self.standings = Some(standings);
        let members = population.members();
        let [row, sibling] = variation.children(genome, &members[a].row, &members[b].row, rng);
        self.sibling = Some(sibling);
        row
    }

    /// A member for a tournament. All have their turn before anybody has another: with draws that do not know of each other
    /// whole parts of a front are lost by chance.
    fn draw(&mut self, population: &Population, rng: &mut Rng) -> usize {
        loop {
            match self.deck.pop() {
                Some(slot) => {
                    if let Some(index) = population.at(slot) {
                        return index;
                    }
                }
                None => {
                    self.deck = population.members().iter().map(|member| member.slot).collect();
                    for place in (1..self.deck.len()).rev() {
                        self.deck.swap(place, rng.random_range(0..=place));
                    }
                }
            }
        }
    }

    /// Takes in a result.
    pub(crate) fn tell(
        &mut self,
        population: &mut Population,
        units: &ExcessUnits,
        niching: Niching<'_>,
        newcomer: Newcomer,
        capacity: usize,
        rng: &mut Rng,
    ) {
        // units or scale may be others now, whoever came: what is kept is what a restored strategy would find
        self.standings = None;
        let losses = newcomer.merit.losses();
        match population.recognise(&newcomer, units) {
            Recognised::Stranger => {}
            Recognised::Known => return,
            Recognised::Further => {
                losses.into_iter().for_each(|losses| self.scale.see(losses));
                return;
            }
        }
        losses.into_iter().for_each(|losses| self.scale.see(losses));
        population.push(newcomer);
        while population.len() > capacity {
            let index = self.least(population, units, niching, rng);
            population.remove(index);
        }
        self.standings = None;
    }

    /// Who goes.
    fn least(
        &mut self,
        population: &Population,
        units: &ExcessUnits,
        niching: Niching<'_>,
        rng: &mut Rng,
    ) -> usize {
        let members = population.members();
        let fronts = fronts(members, units);
        let last = fronts.iter().copied().max().unwrap_or_default();
        let candidates: Vec<usize> = (0..members.len()).filter(|&index| fronts[index] == last).collect();
        let losses: Option<Vec<&[f64]>> =
            candidates.iter().map(|&index| members[index].merit.losses()).collect();
        let newest = candidates.last().copied().unwrap_or_default();
        let Some(losses) = losses else {
            // equally far from being of use
            return newest;
        };
        match niching {
            Niching::Crowding => {
                let room = crowding(&losses);
                // of equals the newest
                let least = (0..candidates.len()).rev().min_by(|&a, &b| room[a].total_cmp(&room[b]));
                least.map_or(newest, |place| candidates[place])
            }
            Niching::ReferencePoints(points) => {
                let first: Vec<&[f64]> = (members.iter().zip(&fronts))
                    .filter(|(_, front)| **front == 0)
                    .filter_map(|(member, _)| member.merit.losses())
                    .collect();
                let measured: Vec<(usize, &[f64])> = (members.iter().enumerate())
                    .filter_map(|(index, member)| Some((index, member.merit.losses()?)))
                    .collect();
                let all: Vec<&[f64]> = measured.iter().map(|(_, losses)| *losses).collect();
                let ranges = self.scale.ranges(&first, &all);
                let ideal = &self.scale.ideal;
                let mut crowd = vec![0_usize; points.len()];
                let mut niches = vec![(0, 0.0); members.len()];
                for (index, losses) in measured {
                    let scaled: Vec<f64> = (losses.iter().zip(ideal).zip(&ranges))
                        .map(|((loss, ideal), range)| 2.0 * ((0.5 * loss - 0.5 * ideal) / range))
                        .collect();
                    niches[index] = nearest(&scaled, points);
                    crowd[niches[index].0] += 1;
                }
                let count = |index: &usize| crowd[niches[*index].0];
                let fullest = candidates.iter().map(count).max().unwrap_or_default();
                let full: Vec<usize> = candidates
                    .iter()
                    .map(|&index| niches[index].0)
                    .filter(|niche| crowd[*niche] == fullest)
                    .collect();
                let Some(niche) = full.get(rng.random_range(0..full.len().max(1))) else { return newest };
                let farthest = candidates
                    .iter()
                    .filter(|&&index| niches[index].0 == *niche)
                    .max_by(|&&a, &&b| niches[a].1.total_cmp(&niches[b].1));
                farthest.copied().unwrap_or(newest)
            }
        }
    }

    /// Whether a state that was read is of this problem.
    pub(crate) fn is_sound(&self, genome: &Genome, population: &Population, metric_count: usize) -> bool {
        let fits = self.sibling.as_ref().is_none_or(|row| genome.is_sound(row));
        let is_measured = population.members().iter().any(|member| member.merit.losses().is_some());
        fits && self.scale.is_sound(metric_count) && (!is_measured || self.scale.ideal.len() == metric_count)
    }
}

/// The front of each member, by constrained domination: what was measured and keeps the constraints by its losses, all else
/// after it by its merit.
fn fronts(members: &[Member], units: &ExcessUnits) -> Vec<usize> {
    let (mut measured, mut others) = (Vec::new(), Vec::new());
    for (index, member) in members.iter().enumerate() {
        match member.merit.losses() {
            Some(losses) => measured.push((index, losses)),
            None => others.push(index),
        }
    }
    let losses: Vec<&[f64]> = measured.iter().map(|(_, losses)| *losses).collect();
    let mut fronts = vec![0; members.len()];
    let mut next = 0;
    for ((index, _), rank) in measured.iter().zip(ranks(&losses)) {
        fronts[*index] = rank;
        next = next.max(rank + 1);
    }
    let compare = |a: &usize, b: &usize| members[*a].merit.compare(&members[*b].merit, units);
    others.sort_by(compare);
    for equals in others.chunk_by(|a, b| compare(a, b).is_eq()) {
        equals.iter().for_each(|index| fronts[*index] = next);
        next += 1;
    }
    fronts
}

/// With reference points all that keep the constraints are equal, as in the paper.
fn standings(population: &Population, units: &ExcessUnits, niching: Niching<'_>) -> Vec<Standing> {
    let members = population.members();
    let fronts = fronts(members, units);
    let standing = |front| Standing { front, room: 0.0 };
    match niching {
        Niching::ReferencePoints(_) => {
            let of = |(member, front): (&Member, &usize)| match member.merit {
                Merit::Measured(_) => standing(0),
                _ => standing(front + 1),
            };
            members.iter().zip(&fronts).map(of).collect()
        }
        Niching::Crowding => {
            let mut standings: Vec<Standing> = fronts.iter().map(|front| standing(*front)).collect();
            let front_count = fronts.iter().max().map_or(0, |last| last + 1);
            let mut by_front = vec![Vec::new(); front_count];
            for (index, front) in fronts.iter().enumerate() {
                if let Some(losses) = members[index].merit.losses() {
                    by_front[*front].push((index, losses));
                }
            }
            for front in by_front {
                let losses: Vec<&[f64]> = front.iter().map(|(_, losses)| *losses).collect();
                for ((index, _), room) in front.iter().zip(crowding(&losses)) {
                    standings[*index].room = room;
                }
            }
            standings
        }
    }
}
