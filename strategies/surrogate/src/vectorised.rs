//! Loops for the vector instructions that the machine has.
//!
//! A release for all x86-64 machines may use 128-bit vectors only. What is declared in [`vectorised!`] is compiled three
//! times, and the widest version that the machine knows is taken. All have eight [`Lanes`] and the same arithmetic:
//! sums keep the order in which they are written, and [`Lanes::add_product`] and [`Lanes::subtract_product`] are always
//! fused, rounded once, so that results agree bit for bit between machines. (Rust fuses nothing of its own accord.) Fused, a
//! product costs no time of its own where the processor does it: 64-bit ARM, and x86-64 with AVX2, since 2013 but for some
//! of the smallest. Other x86-64 compute the same bits in software, many times slower.

/// Eight numbers side by side.
pub(crate) trait Lanes: Copy {
    /// The eight numbers, in registers.
    type Register: Copy;
    /// Whether there are registers for sixteen of these and what is added to them; else there are for four.
    const HAS_MANY_REGISTERS: bool;

    fn load(self, values: &Eight) -> Self::Register;
    fn store(self, register: Self::Register, values: &mut Eight);
    fn splat(self, value: f64) -> Self::Register;
    fn add(self, a: Self::Register, b: Self::Register) -> Self::Register;
    fn subtract(self, a: Self::Register, b: Self::Register) -> Self::Register;
    fn multiply(self, a: Self::Register, b: Self::Register) -> Self::Register;
    /// `sum + a b`, rounded once.
    fn add_product(self, sum: Self::Register, a: Self::Register, b: Self::Register) -> Self::Register;
    /// `sum - a b`, rounded once.
    fn subtract_product(self, sum: Self::Register, a: Self::Register, b: Self::Register) -> Self::Register;
    fn square_root(self, a: Self::Register) -> Self::Register;
    /// Lane by lane, the larger of two numbers; neither may be NaN.
    fn larger(self, a: Self::Register, b: Self::Register) -> Self::Register;
    /// Lane by lane, zero where `a` equals `b`, else `otherwise`.
    fn unless_equal(self, a: Self::Register, b: Self::Register, otherwise: Self::Register) -> Self::Register;
    /// `a 2^n`, where `n` stands in the lowest twelve bits of each number in `bits`. No overflow, no subnormal numbers.
    fn scale_exponent(self, a: Self::Register, bits: Self::Register) -> Self::Register;
}

/// Without instructions of its own: the compiler does what it can.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Portable;

impl Lanes for Portable {
    type Register = Eight;
    const HAS_MANY_REGISTERS: bool = false;

    #[inline(always)]
    fn load(self, values: &Eight) -> Eight {
        *values
    }

    #[inline(always)]
    fn store(self, register: Eight, values: &mut Eight) {
        *values = register;
    }

    #[inline(always)]
    fn splat(self, value: f64) -> Eight {
        [value; EIGHT]
    }

    #[inline(always)]
    fn add(self, a: Eight, b: Eight) -> Eight {
        std::array::from_fn(|lane| a[lane] + b[lane])
    }

    #[inline(always)]
    fn subtract(self, a: Eight, b: Eight) -> Eight {
        std::array::from_fn(|lane| a[lane] - b[lane])
    }

    #[inline(always)]
    fn multiply(self, a: Eight, b: Eight) -> Eight {
        std::array::from_fn(|lane| a[lane] * b[lane])
    }

    #[inline(always)]
    fn add_product(self, sum: Eight, a: Eight, b: Eight) -> Eight {
        std::array::from_fn(|lane| fused(a[lane], b[lane], sum[lane]))
    }

    #[inline(always)]
    fn subtract_product(self, sum: Eight, a: Eight, b: Eight) -> Eight {
        std::array::from_fn(|lane| fused(-a[lane], b[lane], sum[lane]))
    }

    #[inline(always)]
    fn square_root(self, a: Eight) -> Eight {
        a.map(f64::sqrt)
    }

    #[inline(always)]
    fn larger(self, a: Eight, b: Eight) -> Eight {
        std::array::from_fn(|lane| if a[lane] > b[lane] { a[lane] } else { b[lane] })
    }

    #[inline(always)]
    fn unless_equal(self, a: Eight, b: Eight, otherwise: Eight) -> Eight {
        std::array::from_fn(|lane| if a[lane] == b[lane] { 0.0 } else { otherwise[lane] })
    }

    #[inline(always)]
    fn scale_exponent(self, a: Eight, bits: Eight) -> Eight {
        let one = |lane: usize| f64::from_bits(a[lane].to_bits().wrapping_add(bits[lane].to_bits() << 52));
        std::array::from_fn(one)
    }
}

/// `a b + c`, rounded once. Without the instruction the function of the system's library would do it, and not all of them
/// round rightly.
#[inline(always)]
fn fused(a: f64, b: f64, c: f64) -> f64 {
    if cfg!(any(not(target_arch = "x86_64"), target_feature = "fma")) {
        a.mul_add(b, c)
    } else {
        libm::fma(a, b, c)
    }
}

#[cfg(target_arch = "x86_64")]
impl Lanes for pulp::x86::V3 {
    type Register = [pulp::f64x4; 2];
    const HAS_MANY_REGISTERS: bool = false;

    #[inline(always)]
    fn load(self, values: &Eight) -> Self::Register {
        pulp::cast(*values)
    }

    #[inline(always)]
    fn store(self, register: Self::Register, values: &mut Eight) {
        *values = pulp::cast(register);
    }

    #[inline(always)]
    fn splat(self, value: f64) -> Self::Register {
        [self.splat_f64x4(value); 2]
    }

    #[inline(always)]
    fn add(self, a: Self::Register, b: Self::Register) -> Self::Register {
        [self.add_f64x4(a[0], b[0]), self.add_f64x4(a[1], b[1])]
    }

    #[inline(always)]
    fn subtract(self, a: Self::Register, b: Self::Register) -> Self::Register {
        [self.sub_f64x4(a[0], b[0]), self.sub_f64x4(a[1], b[1])]
    }

    #[inline(always)]
    fn multiply(self, a: Self::Register, b: Self::Register) -> Self::Register {
        [self.mul_f64x4(a[0], b[0]), self.mul_f64x4(a[1], b[1])]
    }

    #[inline(always)]
    fn add_product(self, sum: Self::Register, a: Self::Register, b: Self::Register) -> Self::Register {
        [self.mul_add_f64x4(a[0], b[0], sum[0]), self.mul_add_f64x4(a[1], b[1], sum[1])]
    }

    #[inline(always)]
    fn subtract_product(self, sum: Self::Register, a: Self::Register, b: Self::Register) -> Self::Register {
        [self.negate_mul_add_f64x4(a[0], b[0], sum[0]), self.negate_mul_add_f64x4(a[1], b[1], sum[1])]
    }

    #[inline(always)]
    fn square_root(self, a: Self::Register) -> Self::Register {
        [self.sqrt_f64x4(a[0]), self.sqrt_f64x4(a[1])]
    }

    #[inline(always)]
    fn larger(self, a: Self::Register, b: Self::Register) -> Self::Register {
        [self.max_f64x4(a[0], b[0]), self.max_f64x4(a[1], b[1])]
    }

    #[inline(always)]
    fn unless_equal(self, a: Self::Register, b: Self::Register, otherwise: Self::Register) -> Self::Register {
        let zero = self.splat_f64x4(0.0);
        [
            self.select_f64x4(self.cmp_eq_f64x4(a[0], b[0]), zero, otherwise[0]),
            self.select_f64x4(self.cmp_eq_f64x4(a[1], b[1]), zero, otherwise[1]),
        ]
    }

    #[inline(always)]
    fn scale_exponent(self, a: Self::Register, bits: Self::Register) -> Self::Register {
        let low = self.shl_const_u64x4::<52>(pulp::cast(bits[0]));
        let high = self.shl_const_u64x4::<52>(pulp::cast(bits[1]));
        [
            pulp::cast(self.wrapping_add_u64x4(pulp::cast(a[0]), low)),
            pulp::cast(self.wrapping_add_u64x4(pulp::cast(a[1]), high)),
        ]
    }
}

#[cfg(target_arch = "x86_64")]
impl Lanes for pulp::x86::V4 {
    type Register = pulp::f64x8;
    const HAS_MANY_REGISTERS: bool = true;

    #[inline(always)]
    fn load(self, values: &Eight) -> pulp::f64x8 {
        pulp::cast(*values)
    }

    #[inline(always)]
    fn store(self, register: pulp::f64x8, values: &mut Eight) {
        *values = pulp::cast(register);
    }

    #[inline(always)]
    fn splat(self, value: f64) -> pulp::f64x8 {
        self.splat_f64x8(value)
    }

    #[inline(always)]
    fn add(self, a: pulp::f64x8, b: pulp::f64x8) -> pulp::f64x8 {
        self.add_f64x8(a, b)
    }

    #[inline(always)]
    fn subtract(self, a: pulp::f64x8, b: pulp::f64x8) -> pulp::f64x8 {
        self.sub_f64x8(a, b)
    }

    #[inline(always)]
    fn multiply(self, a: pulp::f64x8, b: pulp::f64x8) -> pulp::f64x8 {
        self.mul_f64x8(a, b)
    }

    #[inline(always)]
    fn add_product(self, sum: pulp::f64x8, a: pulp::f64x8, b: pulp::f64x8) -> pulp::f64x8 {
        self.mul_add_f64x8(a, b, sum)
    }

    #[inline(always)]
    fn subtract_product(self, sum: pulp::f64x8, a: pulp::f64x8, b: pulp::f64x8) -> pulp::f64x8 {
        self.negate_mul_add_f64x8(a, b, sum)
    }

    #[inline(always)]
    fn square_root(self, a: pulp::f64x8) -> pulp::f64x8 {
        self.sqrt_f64x8(a)
    }

    #[inline(always)]
    fn larger(self, a: pulp::f64x8, b: pulp::f64x8) -> pulp::f64x8 {
        self.max_f64x8(a, b)
    }

    #[inline(always)]
    fn unless_equal(self, a: pulp::f64x8, b: pulp::f64x8, otherwise: pulp::f64x8) -> pulp::f64x8 {
        self.select_f64x8(self.cmp_eq_f64x8(a, b), self.splat_f64x8(0.0), otherwise)
    }

    #[inline(always)]
    fn scale_exponent(self, a: pulp::f64x8, bits: pulp::f64x8) -> pulp::f64x8 {
        let shifted = self.shl_const_u64x8::<52>(pulp::cast(bits));
        pulp::cast(self.wrapping_add_u64x8(pulp::cast(a), shifted))
    }
}

/// Numbers that are handled together.
pub(crate) const EIGHT: usize = 8;

/// Eight numbers side by side in memory: a column of eight rows, or one entry of each of eight right-hand sides.
pub(crate) type Eight = [f64; EIGHT];

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
            if let Some(lanes) = pulp::x86::V4::try_new() {
                return lanes.vectorize(Work { lanes, $($argument),* });
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
