//! Loops for the vector instructions that the machine has.
//!
//! A release for all x86-64 machines may use 128-bit vectors only. What is declared in [`vectorised!`] is compiled
//! twice, and the wider version is taken where the machine has it. Both have four [`Lanes`] and the same arithmetic:
//! sums keep the order in which they are written, and products are never fused, so that results agree bit for bit
//! between machines.

/// Four numbers side by side.
pub(crate) trait Lanes: Copy {
    /// The four numbers.
    type Quad: Copy;

    fn load(self, values: &[f64; 4]) -> Self::Quad;
    fn store(self, quad: Self::Quad, values: &mut [f64; 4]);
    fn splat(self, value: f64) -> Self::Quad;
    fn add(self, a: Self::Quad, b: Self::Quad) -> Self::Quad;
    fn subtract(self, a: Self::Quad, b: Self::Quad) -> Self::Quad;
    fn multiply(self, a: Self::Quad, b: Self::Quad) -> Self::Quad;
    fn square_root(self, a: Self::Quad) -> Self::Quad;
    /// Lane by lane, the larger of two numbers; neither may be NaN.
    fn larger(self, a: Self::Quad, b: Self::Quad) -> Self::Quad;
    /// Lane by lane, zero where `a` equals `b`, else `otherwise`.
    fn unless_equal(self, a: Self::Quad, b: Self::Quad, otherwise: Self::Quad) -> Self::Quad;
    /// `a 2^n`, where `n` stands in the lowest twelve bits of each number in `bits`. No overflow, no subnormal numbers.
    fn scale_exponent(self, a: Self::Quad, bits: Self::Quad) -> Self::Quad;

    /// `sum + a b`, rounded twice.
    #[inline(always)]
    fn add_product(self, sum: Self::Quad, a: Self::Quad, b: Self::Quad) -> Self::Quad {
        self.add(sum, self.multiply(a, b))
    }
}

/// Without instructions of its own: the compiler does what it can.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Portable;

impl Lanes for Portable {
    type Quad = [f64; 4];

    #[inline(always)]
    fn load(self, values: &[f64; 4]) -> [f64; 4] {
        *values
    }

    #[inline(always)]
    fn store(self, quad: [f64; 4], values: &mut [f64; 4]) {
        *values = quad;
    }

    #[inline(always)]
    fn splat(self, value: f64) -> [f64; 4] {
        [value; 4]
    }

    #[inline(always)]
    fn add(self, a: [f64; 4], b: [f64; 4]) -> [f64; 4] {
        [a[0] + b[0], a[1] + b[1], a[2] + b[2], a[3] + b[3]]
    }

    #[inline(always)]
    fn subtract(self, a: [f64; 4], b: [f64; 4]) -> [f64; 4] {
        [a[0] - b[0], a[1] - b[1], a[2] - b[2], a[3] - b[3]]
    }

    #[inline(always)]
    fn multiply(self, a: [f64; 4], b: [f64; 4]) -> [f64; 4] {
        [a[0] * b[0], a[1] * b[1], a[2] * b[2], a[3] * b[3]]
    }

    #[inline(always)]
    fn square_root(self, a: [f64; 4]) -> [f64; 4] {
        [a[0].sqrt(), a[1].sqrt(), a[2].sqrt(), a[3].sqrt()]
    }

    #[inline(always)]
    fn larger(self, a: [f64; 4], b: [f64; 4]) -> [f64; 4] {
        let one = |lane: usize| if a[lane] > b[lane] { a[lane] } else { b[lane] };
        [one(0), one(1), one(2), one(3)]
    }

    #[inline(always)]
    fn unless_equal(self, a: [f64; 4], b: [f64; 4], otherwise: [f64; 4]) -> [f64; 4] {
        let one = |lane: usize| if a[lane] == b[lane] { 0.0 } else { otherwise[lane] };
        [one(0), one(1), one(2), one(3)]
    }

    #[inline(always)]
    fn scale_exponent(self, a: [f64; 4], bits: [f64; 4]) -> [f64; 4] {
        let one = |lane: usize| f64::from_bits(a[lane].to_bits().wrapping_add(bits[lane].to_bits() << 52));
        [one(0), one(1), one(2), one(3)]
    }
}

#[cfg(target_arch = "x86_64")]
impl Lanes for pulp::x86::V3 {
    type Quad = pulp::f64x4;

    #[inline(always)]
    fn load(self, values: &[f64; 4]) -> pulp::f64x4 {
        pulp::cast(*values)
    }

    #[inline(always)]
    fn store(self, quad: pulp::f64x4, values: &mut [f64; 4]) {
        *values = pulp::cast(quad);
    }

    #[inline(always)]
    fn splat(self, value: f64) -> pulp::f64x4 {
        self.splat_f64x4(value)
    }

    #[inline(always)]
    fn add(self, a: pulp::f64x4, b: pulp::f64x4) -> pulp::f64x4 {
        self.add_f64x4(a, b)
    }

    #[inline(always)]
    fn subtract(self, a: pulp::f64x4, b: pulp::f64x4) -> pulp::f64x4 {
        self.sub_f64x4(a, b)
    }

    #[inline(always)]
    fn multiply(self, a: pulp::f64x4, b: pulp::f64x4) -> pulp::f64x4 {
        self.mul_f64x4(a, b)
    }

    #[inline(always)]
    fn square_root(self, a: pulp::f64x4) -> pulp::f64x4 {
        self.sqrt_f64x4(a)
    }

    #[inline(always)]
    fn larger(self, a: pulp::f64x4, b: pulp::f64x4) -> pulp::f64x4 {
        self.max_f64x4(a, b)
    }

    #[inline(always)]
    fn unless_equal(self, a: pulp::f64x4, b: pulp::f64x4, otherwise: pulp::f64x4) -> pulp::f64x4 {
        self.select_f64x4(self.cmp_eq_f64x4(a, b), self.splat_f64x4(0.0), otherwise)
    }

    #[inline(always)]
    fn scale_exponent(self, a: pulp::f64x4, bits: pulp::f64x4) -> pulp::f64x4 {
        let shifted = self.shl_const_u64x4::<52>(pulp::cast(bits));
        pulp::cast(self.wrapping_add_u64x4(pulp::cast(a), shifted))
    }
}

/// Numbers that are handled together: two quads.
pub(crate) const EIGHT: usize = 8;

/// Eight numbers side by side in memory: a column of eight rows, or one entry of each of eight right-hand sides.
pub(crate) type Eight = [f64; EIGHT];

/// Eight numbers in registers.
pub(crate) type Pair<L> = [<L as Lanes>::Quad; 2];

#[inline(always)]
pub(crate) fn load<L: Lanes>(lanes: L, values: &Eight) -> Pair<L> {
    let (quads, _) = values.as_chunks::<4>();
    [lanes.load(&quads[0]), lanes.load(&quads[1])]
}

#[inline(always)]
pub(crate) fn store<L: Lanes>(lanes: L, pair: Pair<L>, values: &mut Eight) {
    let (quads, _) = values.as_chunks_mut::<4>();
    lanes.store(pair[0], &mut quads[0]);
    lanes.store(pair[1], &mut quads[1]);
}

/// Half of eight numbers: the first four or the last.
#[inline(always)]
pub(crate) fn half(values: &Eight, index: usize) -> &[f64; 4] {
    let (quads, _) = values.as_chunks::<4>();
    &quads[index]
}

/// In a fixed order, by halves.
#[inline(always)]
pub(crate) fn sum_of_lanes(values: &Eight) -> f64 {
    let [a, b, c, d, e, f, g, h] = *values;
    ((a + e) + (b + f)) + ((c + g) + (d + h))
}

/// Declares functions that run with the widest vector instructions there are; the first argument is the [`Lanes`].
///
/// What a body calls in its loops must be marked `#[inline(always)]`: a function that is not inlined, closures included,
/// is compiled for the narrow instructions.
macro_rules! vectorised {
    ($(
        fn $name:ident<$($lifetime:lifetime),+>($lanes:ident, $($argument:ident: $kind:ty),* $(,)?) -> $output:ty
        $body:block
    )*) => {$(
        fn $name<$($lifetime),+>($($argument: $kind),*) -> $output {
            struct Work<$($lifetime,)+ L> {
                lanes: L,
                $($argument: $kind,)*
            }
            impl<$($lifetime,)+ L: $crate::vectorised::Lanes> pulp::NullaryFnOnce for Work<$($lifetime,)+ L> {
                type Output = $output;

                #[inline(always)]
                fn call(self) -> $output {
                    let Self { lanes: $lanes, $($argument),* } = self;
                    $body
                }
            }
            #[cfg(target_arch = "x86_64")]
            if let Some(lanes) = pulp::x86::V3::try_new() {
                return lanes.vectorize(Work { lanes, $($argument),* });
            }
            pulp::NullaryFnOnce::call(Work { lanes: $crate::vectorised::Portable, $($argument),* })
        }
    )*};
}

pub(crate) use vectorised;
