//! The images, and their fixed division into training, validation and test part.
//!
//! Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning
//! Repository, 1998, doi 10.24432/C50P49, CC BY 4.0. The format of the embedded file is described in
//! `data/NOTICE`.

use std::sync::OnceLock;

/// Pixels of one image: 8 rows of 8.
pub const PIXEL_COUNT: usize = 64;
/// Classes: the digits 0 to 9.
pub const CLASS_COUNT: usize = 10;
/// The largest value of a pixel in the file; divides the pixels into the range 0 to 1.
const PIXEL_VALUE_MAX: u8 = 16;

const TEXT: &str = include_str!("../data/digits.txt");

/// Some images with their labels.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Images {
    /// Shape (n, 64), row-major; each value a pixel in [0, 1], 0 for white paper.
    pub pixels: Vec<f32>,
    /// Shape (n,); each value in 0..10.
    pub labels: Vec<u8>,
}

impl Images {
    /// How many images there are.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The 64 pixels of one image.
    ///
    /// # Panics
    /// When `image_index` is not below [`Images::len`].
    pub fn image(&self, image_index: usize) -> &[f32] {
        &self.pixels[image_index * PIXEL_COUNT..][..PIXEL_COUNT]
    }

    fn push(&mut self, image: &[f32], label: u8) {
        self.pixels.extend_from_slice(image);
        self.labels.push(label);
    }
}

/// The three parts of the data. They are the same for every trial, whatever its seed.
#[derive(Debug, PartialEq)]
pub struct Digits {
    /// 1,077 images to fit the weights to.
    pub training: Images,
    /// 360 images to compare trials by.
    pub validation: Images,
    /// 360 images that nothing is chosen by, for an unbiased number at the end.
    pub test: Images,
}

/// The data, read from the embedded file at the first call.
pub fn digits() -> &'static Digits {
    static DIGITS: OnceLock<Digits> = OnceLock::new();
    DIGITS.get_or_init(|| {
        let all = parse(TEXT).expect("the embedded file is well-formed: a test reads it and checks its sum");
        divide(&all)
    })
}

/// Reads the format of `data/NOTICE`; the error names the line.
fn parse(text: &str) -> Result<Images, String> {
    let mut images = Images::default();
    for (line_index, line) in text.lines().enumerate() {
        let malformed =
            || format!("line {}: expected 64 pixels, a space and a label, found {line:?}", line_index + 1);
        let (pixels, label) = line.split_once(' ').ok_or_else(malformed)?;
        if pixels.len() != PIXEL_COUNT {
            return Err(malformed());
        }
        let label =
            label.parse().ok().filter(|label| usize::from(*label) < CLASS_COUNT).ok_or_else(malformed)?;
        for symbol in pixels.bytes() {
            let value = match symbol {
                b'0'..=b'9' => symbol - b'0',
                b'a'..=b'g' => symbol - b'a' + 10,
                _ => return Err(malformed()),
            };
            images.pixels.push(f32::from(value) / f32::from(PIXEL_VALUE_MAX));
        }
        images.labels.push(label);
    }
    Ok(images)
}

/// Deals the images of each class, in the order of the file, in turns of five: one to validation, one to
/// test, three to training. The turn goes on from one class to the next, so that the parts have exactly
/// 1,077, 360 and 360 images and each class has the same share of each part to within one image. The file
/// goes through the writers one after another, so every writer is in all three parts.
fn divide(all: &Images) -> Digits {
    let mut parts =
        Digits { training: Images::default(), validation: Images::default(), test: Images::default() };
    let of_class =
        |class: usize| (0..all.len()).filter(move |index| usize::from(all.labels[*index]) == class);
    for (turn, image_index) in (0..CLASS_COUNT).flat_map(of_class).enumerate() {
        let part = match turn % 5 {
            0 => &mut parts.validation,
            1 => &mut parts.test,
            _ => &mut parts.training,
        };
        part.push(all.image(image_index), all.labels[image_index]);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class_counts(images: &Images) -> [usize; CLASS_COUNT] {
        let mut counts = [0; CLASS_COUNT];
        for label in &images.labels {
            counts[usize::from(*label)] += 1;
        }
        counts
    }

    /// The 64-bit FNV-1a sum (Fowler, Noll, Vo) of the file that was compared with its source number by
    /// number.
    #[test]
    fn embedded_file_is_the_one_that_was_compared_with_the_source() {
        let sum = TEXT.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| {
            (sum ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        assert_eq!(sum, 0xa7d1_c127_2991_76c1);
    }

    #[test]
    fn counts_are_those_of_the_source() {
        let all = parse(TEXT).unwrap();
        assert_eq!(all.len(), 1797);
        assert_eq!(class_counts(&all), [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);
        let dots: f32 = all.pixels.iter().map(|pixel| pixel * 16.0).sum();
        assert_eq!(dots, 561_718.0);
        assert!(all.pixels.iter().all(|pixel| (0.0..=1.0).contains(pixel)));
    }

    #[test]
    fn parts_are_disjoint_stratified_and_of_the_stated_size() {
        let all = parse(TEXT).unwrap();
        let parts = digits();
        assert_eq!((parts.training.len(), parts.validation.len(), parts.test.len()), (1077, 360, 360));
        for class in 0..CLASS_COUNT {
            let total = class_counts(&all)[class];
            let [training, validation, test] =
                [&parts.training, &parts.validation, &parts.test].map(|part| class_counts(part)[class]);
            assert_eq!(training + validation + test, total);
            assert!(
                validation.abs_diff(total / 5) <= 1,
                "class {class}: {validation} of {total} in validation"
            );
            assert!(test.abs_diff(total / 5) <= 1, "class {class}: {test} of {total} in test");
        }
        // Together the parts are the whole file: the same lines, whatever their order.
        let mut lines: Vec<(Vec<u32>, u8)> = Vec::new();
        for images in [&parts.training, &parts.validation, &parts.test] {
            for index in 0..images.len() {
                lines.push((
                    images.image(index).iter().map(|pixel| pixel.to_bits()).collect(),
                    images.labels[index],
                ));
            }
        }
        let mut expected: Vec<(Vec<u32>, u8)> = (0..all.len())
            .map(|index| (all.image(index).iter().map(|pixel| pixel.to_bits()).collect(), all.labels[index]))
            .collect();
        lines.sort();
        expected.sort();
        assert_eq!(lines, expected);
    }

    #[test]
    fn malformed_lines_are_named() {
        let pixels = "0".repeat(64);
        for (text, line) in [
            (format!("{pixels} 3\n{pixels}"), "line 2"),
            (format!("{pixels} 10"), "line 1"),
            (format!("{pixels}0 1"), "line 1"),
            (format!("{}h 1", &pixels[1..]), "line 1"),
        ] {
            let message = parse(&text).unwrap_err();
            assert!(message.starts_with(line), "{message}");
        }
    }
}
