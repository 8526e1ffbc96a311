//! Eigenvalues and eigenvectors of a symmetric matrix: Householder's reduction to tridiagonal form, then implicit QL.
//!
//! The algorithms are `tred2` and `tql2` of EISPACK (Bowdler, Martin, Reinsch and Wilkinson, Handbook for Automatic
//! Computation II, 1971), on one thread, with sums in the order written: the same bits on every machine. Libraries were
//! looked at and left: faer threads, fuses products and takes whatever vectors the machine has; nalgebra multiplies by
//! matrixmultiply, which chooses fused products at run time, and its decomposition is known to loop without end on some
//! matrices (its issue 1025). Here the number of sweeps is bounded.

/// Sweeps for one eigenvalue before the matrix is given up; two are usual.
const SWEEP_MAX: usize = 60;

/// A = sum over k of `values[k]` b_k b_kᵀ.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Eigen {
    /// Shape (n,), in no particular order.
    pub(crate) values: Vec<f64>,
    /// Shape (n, n), row by row; row k is the eigenvector b_k, of length 1.
    pub(crate) vectors: Vec<f64>,
}

/// The decomposition of a symmetric matrix of shape (n, n), row by row. `None` where it has entries that are not finite,
/// or the sweeps do not converge.
pub(crate) fn decompose(matrix: &[f64], n: usize) -> Option<Eigen> {
    if matrix.len() != n * n || matrix.iter().any(|entry| !entry.is_finite()) {
        return None;
    }
    if n == 0 {
        return Some(Eigen { values: Vec::new(), vectors: Vec::new() });
    }
    // Row j of `rows` is column j of the transformation throughout, so that inner loops run along rows.
    let mut rows: Vec<Vec<f64>> = matrix.chunks_exact(n).map(<[f64]>::to_vec).collect();
    let (mut diagonal, mut off) = (vec![0.0; n], vec![0.0; n]);
    tridiagonalise(&mut rows, &mut diagonal, &mut off);
    implicit_ql(&mut rows, &mut diagonal, &mut off)?;
    let vectors: Vec<f64> = rows.into_iter().flatten().collect();
    let is_finite = diagonal.iter().chain(&vectors).all(|number| number.is_finite());
    is_finite.then_some(Eigen { values: diagonal, vectors })
}

/// `tred2`: afterwards `diagonal` and `off` (from index 1) are the tridiagonal matrix, `rows` the transformation.
fn tridiagonalise(rows: &mut [Vec<f64>], diagonal: &mut [f64], off: &mut [f64]) {
    let n = diagonal.len();
    for j in 0..n {
        diagonal[j] = rows[j][n - 1];
    }
    for i in (1..n).rev() {
        let scale: f64 = diagonal[..i].iter().map(|entry| entry.abs()).sum();
        let mut h = 0.0;
        if scale == 0.0 {
            off[i] = diagonal[i - 1];
            for j in 0..i {
                diagonal[j] = rows[j][i - 1];
                rows[j][i] = 0.0;
                rows[i][j] = 0.0;
            }
        } else {
            for entry in &mut diagonal[..i] {
                *entry /= scale;
                h += *entry * *entry;
            }
            let f = diagonal[i - 1];
            let g = if f > 0.0 { -h.sqrt() } else { h.sqrt() };
            off[i] = scale * g;
            h -= f * g;
            diagonal[i - 1] = f - g;
            off[..i].fill(0.0);
            for j in 0..i {
                let f = diagonal[j];
                rows[i][j] = f;
                let row = &rows[j];
                let mut g = off[j] + row[j] * f;
                for k in j + 1..i {
                    g += row[k] * diagonal[k];
                    off[k] += row[k] * f;
                }
                off[j] = g;
            }
            let mut f = 0.0;
            for j in 0..i {
                off[j] /= h;
                f += off[j] * diagonal[j];
            }
            let half = f / (h + h);
            for j in 0..i {
                off[j] -= half * diagonal[j];
            }
            for j in 0..i {
                let (f, g) = (diagonal[j], off[j]);
                let row = &mut rows[j];
                for k in j..i {
                    row[k] -= f * off[k] + g * diagonal[k];
                }
                diagonal[j] = row[i - 1];
                row[i] = 0.0;
            }
        }
        diagonal[i] = h;
    }
    accumulate(rows, diagonal);
    off[0] = 0.0;
}

/// The product of the reflections, and the diagonal out of the way they were kept in.
fn accumulate(rows: &mut [Vec<f64>], diagonal: &mut [f64]) {
    let n = diagonal.len();
    for i in 0..n - 1 {
        rows[i][n - 1] = rows[i][i];
        rows[i][i] = 1.0;
        let h = diagonal[i + 1];
        let (before, after) = rows.split_at_mut(i + 1);
        let reflection = &mut after[0];
        if h != 0.0 {
            for k in 0..=i {
                diagonal[k] = reflection[k] / h;
            }
            for row in before {
                let g: f64 = (0..=i).map(|k| reflection[k] * row[k]).sum();
                for k in 0..=i {
                    row[k] -= g * diagonal[k];
                }
            }
        }
        reflection[..=i].fill(0.0);
    }
    for j in 0..n {
        diagonal[j] = rows[j][n - 1];
        rows[j][n - 1] = 0.0;
    }
    rows[n - 1][n - 1] = 1.0;
}

/// `tql2`: turns the tridiagonal matrix into a diagonal one. `None` if that needs too many sweeps.
fn implicit_ql(rows: &mut [Vec<f64>], diagonal: &mut [f64], off: &mut [f64]) -> Option<()> {
    let n = diagonal.len();
    off.copy_within(1.., 0);
    off[n - 1] = 0.0;
    let (mut shift, mut largest) = (0.0, 0.0_f64);
    for l in 0..n {
        largest = largest.max(diagonal[l].abs() + off[l].abs());
        let is_small = |entry: f64| entry.abs() <= f64::EPSILON * largest;
        let m = (l..n).find(|m| is_small(off[*m])).unwrap_or(n - 1);
        let mut sweeps = 0;
        while m > l && !is_small(off[l]) {
            sweeps += 1;
            if sweeps > SWEEP_MAX {
                return None;
            }
            let g = diagonal[l];
            let p = (diagonal[l + 1] - g) / (2.0 * off[l]);
            let r = if p < 0.0 { -libm::hypot(p, 1.0) } else { libm::hypot(p, 1.0) };
            diagonal[l] = off[l] / (p + r);
            diagonal[l + 1] = off[l] * (p + r);
            let next = diagonal[l + 1];
            let h = g - diagonal[l];
            for entry in &mut diagonal[l + 2..] {
                *entry -= h;
            }
            shift += h;
            let mut p = diagonal[m];
            let (mut c, mut c2, mut c3) = (1.0, 1.0, 1.0);
            let (mut s, mut s2) = (0.0, 0.0);
            let off_next = off[l + 1];
            for i in (l..m).rev() {
                (c3, c2, s2) = (c2, c, s);
                let g = c * off[i];
                let h = c * p;
                let r = libm::hypot(p, off[i]);
                off[i + 1] = s * r;
                s = off[i] / r;
                c = p / r;
                p = c * diagonal[i] - s * g;
                diagonal[i + 1] = h + s * (c * g + s * diagonal[i]);
                let (left, right) = rows.split_at_mut(i + 1);
                for (a, b) in left[i].iter_mut().zip(&mut right[0]) {
                    (*a, *b) = (c * *a - s * *b, s * *a + c * *b);
                }
            }
            p = -s * s2 * c3 * off_next * off[l] / next;
            off[l] = s * p;
            diagonal[l] = c * p;
        }
        diagonal[l] += shift;
        off[l] = 0.0;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ansatz_core::rng::Rng;
    use rand::RngExt;

    /// B diag(values) Bᵀ and BᵀB against the matrix and the unit matrix.
    #[track_caller]
    fn check(matrix: &[f64], n: usize) -> Eigen {
        let eigen = decompose(matrix, n).unwrap();
        let size = matrix.iter().fold(1e-300, |most: f64, entry| most.max(entry.abs()));
        for i in 0..n {
            for j in 0..n {
                let rebuilt: f64 = (0..n)
                    .map(|k| eigen.values[k] * eigen.vectors[k * n + i] * eigen.vectors[k * n + j])
                    .sum();
                assert!((rebuilt - matrix[i * n + j]).abs() <= 1e-13 * size * n as f64, "{n}: {i} {j}");
                let product: f64 = (0..n).map(|k| eigen.vectors[i * n + k] * eigen.vectors[j * n + k]).sum();
                let expected = if i == j { 1.0 } else { 0.0 };
                assert!((product - expected).abs() <= 1e-13 * n as f64, "{n}: {i} {j}");
            }
        }
        eigen
    }

    #[test]
    fn the_decomposition_gives_the_matrix_back() {
        let mut rng = Rng::new(1);
        for n in [1, 2, 3, 5, 8, 13, 40] {
            for condition in [0.0, 3.0, 14.0] {
                // sums of outer products of very different sizes
                let mut matrix = vec![0.0; n * n];
                for k in 0..n {
                    let size = libm::pow(10.0, -condition * k as f64 / n as f64);
                    let row: Vec<f64> = (0..n).map(|_| rng.random::<f64>() - 0.5).collect();
                    for i in 0..n {
                        for j in 0..n {
                            matrix[i * n + j] += size * row[i] * row[j];
                        }
                    }
                }
                check(&matrix, n);
            }
        }
    }

    #[test]
    fn known_eigenvalues_are_found() {
        let mut values = check(&[2.0, 1.0, 1.0, 2.0], 2).values;
        values.sort_by(f64::total_cmp);
        assert!((values[0] - 1.0).abs() < 1e-15 && (values[1] - 3.0).abs() < 1e-15, "{values:?}");
        // the second difference: 2 - 2 cos(k pi / (n + 1))
        let n = 12;
        let mut matrix = vec![0.0; n * n];
        for i in 0..n {
            matrix[i * n + i] = 2.0;
            if i > 0 {
                matrix[i * n + i - 1] = -1.0;
                matrix[(i - 1) * n + i] = -1.0;
            }
        }
        let mut values = check(&matrix, n).values;
        values.sort_by(f64::total_cmp);
        for (k, value) in (1..).zip(values) {
            let expected = 2.0 - 2.0 * libm::cos(f64::from(k) * std::f64::consts::PI / (n as f64 + 1.0));
            assert!((value - expected).abs() < 1e-14, "{k}: {value} {expected}");
        }
    }

    #[test]
    fn degenerate_matrices_are_no_trouble() {
        for n in [1, 2, 4, 33] {
            check(&vec![0.0; n * n], n);
            check(&vec![1.0; n * n], n);
            let unit: Vec<f64> = (0..n * n).map(|at| f64::from(u8::from(at % (n + 1) == 0))).collect();
            assert_eq!(check(&unit, n).values, vec![1.0; n]);
            check(&unit.iter().map(|entry| 1e-300 * entry).collect::<Vec<_>>(), n);
        }
        // the symmetric pattern of zeros and ones on which another library never ends
        let n = 33;
        let mut pattern = vec![0.0; n * n];
        for i in (1..n).step_by(2) {
            for j in (1..n).step_by(6) {
                pattern[i * n + j] = 1.0;
                pattern[j * n + i] = 1.0;
            }
        }
        check(&pattern, n);
        assert_eq!(decompose(&[f64::NAN], 1), None);
        assert_eq!(decompose(&[1.0, f64::INFINITY, f64::INFINITY, 1.0], 2), None);
        assert_eq!(decompose(&[1.0], 2), None);
    }
}
