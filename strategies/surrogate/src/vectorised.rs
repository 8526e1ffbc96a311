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
    fn multiply(self, a: Self::Quad, b: Self::Quad) -> Self::Quad;

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
    fn multiply(self, a: [f64; 4], b: [f64; 4]) -> [f64; 4] {
        [a[0] * b[0], a[1] * b[1], a[2] * b[2], a[3] * b[3]]
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
    fn multiply(self, a: pulp::f64x4, b: pulp::f64x4) -> pulp::f64x4 {
        self.mul_f64x4(a, b)
    }
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
