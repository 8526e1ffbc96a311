//! Loops compiled for the vector instructions that the machine has.
//!
//! A release for all x86-64 machines may use 128-bit vectors only. What is declared in [`vectorised!`] is compiled
//! twice, and the wider version is taken where the machine has it. The arithmetic is the same in both: sums keep the
//! order in which they are written, and products are never fused, so that results agree bit for bit between machines.

/// Declares functions that run with the widest vector instructions there are.
///
/// What a body calls in its loops must be marked
/// `#[inline(always)]`: a function that is not inlined, closures included, is compiled for the narrow instructions.
macro_rules! vectorised {
    ($(fn $name:ident<$($lifetime:lifetime),+>($($argument:ident: $kind:ty),* $(,)?) -> $output:ty $body:block)*) => {$(
        fn $name<$($lifetime),+>($($argument: $kind),*) -> $output {
            struct Work<$($lifetime),+> {
                $($argument: $kind,)*
            }
            impl<$($lifetime),+> pulp::WithSimd for Work<$($lifetime),+> {
                type Output = $output;

                #[inline(always)]
                fn with_simd<S: pulp::Simd>(self, _: S) -> $output {
                    let Self { $($argument),* } = self;
                    $body
                }
            }
            pulp::Arch::new().dispatch(Work { $($argument),* })
        }
    )*};
}

pub(crate) use vectorised;
