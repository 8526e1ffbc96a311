//! What a library's own header says: whether the file is whole, and for which processor it was built. It is
//! read before any code runs, because the loader's words for it ("file too short", "wrong ELF class") help
//! nobody, and because a mapping that reaches beyond the end of its file is fatal when it is touched.
//!
//! Only where libraries are ELF files. Elsewhere the loader says what it has to say.

use std::env::consts::{ARCH, OS};

const MAGIC: &[u8] = b"\x7fELF";

/// The processors that Rust's standard library names, by the numbers of the ELF header.
const MACHINES: [(u64, &str); 11] = [
    (3, "x86"),
    (8, "mips"),
    (20, "powerpc"),
    (21, "powerpc64"),
    (22, "s390x"),
    (40, "arm"),
    (43, "sparc64"),
    (62, "x86_64"),
    (183, "aarch64"),
    (243, "riscv64"),
    (258, "loongarch64"),
];

/// Why a file cannot be whole, and what to do.
pub fn incomplete(bytes: &[u8]) -> Option<String> {
    if bytes.is_empty() {
        return Some("the file is empty: building or copying it was not finished; do it again".to_owned());
    }
    if !libraries_are_elf() || !bytes.starts_with(MAGIC) {
        return None;
    }
    let (length, expected) = (bytes.len() as u64, expected_length(bytes));
    match expected {
        Some(expected) if expected <= length => None,
        Some(expected) => Some(format!(
            "the file ends after {length} of at least {expected} bytes: copying it was not finished; copy it again"
        )),
        None => Some(format!(
            "the file ends after {length} bytes, inside its header: copying it was not finished; copy it again"
        )),
    }
}

/// Why a file is no library of this platform, and what to do.
pub fn foreign(bytes: &[u8]) -> Option<String> {
    if !libraries_are_elf() {
        return None;
    }
    let ours = format!("{}-bit {ARCH} {OS}", usize::BITS);
    let theirs = match bytes {
        [0x7f, b'E', b'L', b'F', ..] => described(bytes).filter(|_| !is_ours(bytes))?,
        [0xcf | 0xce, 0xfa, 0xed, 0xfe, ..] | [0xca, 0xfe, 0xba, 0xbe, ..] => "macOS".to_owned(),
        [b'M', b'Z', ..] => "Windows".to_owned(),
        _ => {
            return Some(format!(
                "no library: it does not begin as a library of {ours} does; build it again"
            ));
        }
    };
    Some(format!("built for {theirs}, this host is {ours}; use a build of it for this platform"))
}

fn libraries_are_elf() -> bool {
    cfg!(all(unix, not(target_vendor = "apple")))
}

/// Whether the loader would take it: class, byte order and, where we know our number, the processor.
fn is_ours(bytes: &[u8]) -> bool {
    let class = if usize::BITS == 64 { 2 } else { 1 };
    let order = if cfg!(target_endian = "little") { 1 } else { 2 };
    let machine = MACHINES.iter().find(|(_, name)| *name == ARCH).map(|(number, _)| *number);
    bytes.get(4) == Some(&class)
        && bytes.get(5) == Some(&order)
        && machine.is_none_or(|machine| number(bytes, 18, 2) == Some(machine))
}

fn described(bytes: &[u8]) -> Option<String> {
    let bits = if is_64_bit(bytes)? { 64 } else { 32 };
    let order = if is_little_endian(bytes)? == cfg!(target_endian = "little") {
        ""
    } else {
        " of the other byte order"
    };
    let machine = number(bytes, 18, 2)?;
    let known = MACHINES.iter().find(|(number, _)| *number == machine);
    let name = known.map_or_else(|| format!("processor {machine}"), |(_, name)| (*name).to_owned());
    Some(format!("{bits}-bit {name}{order}"))
}

/// The end of the last thing that the header points to. `None` if the header itself is cut off.
fn expected_length(bytes: &[u8]) -> Option<u64> {
    // offset and length of each number in the header, and in one entry of the segment table
    let (offset_length, segments_at, sections_at, counts_at, in_segment) = match is_64_bit(bytes)? {
        true => (8, 32, 40, 54, (8, 32)),
        false => (4, 28, 32, 42, (4, 16)),
    };
    let segments = number(bytes, segments_at, offset_length)?;
    let sections = number(bytes, sections_at, offset_length)?;
    let [segment_length, segment_count, section_length, section_count] =
        [0, 2, 4, 6].map(|at| number(bytes, counts_at + at, 2));
    let (segment_length, segment_count) = (segment_length?, segment_count?);
    let segment_table_end = segments.saturating_add(segment_length * segment_count);
    let mut end = segment_table_end.max(sections.saturating_add(section_length? * section_count?));
    if segment_table_end <= bytes.len() as u64 {
        for index in 0..segment_count {
            let at = usize::try_from(segments + index * segment_length).ok()?;
            let offset = number(bytes, at + in_segment.0, offset_length)?;
            let length = number(bytes, at + in_segment.1, offset_length)?;
            end = end.max(offset.saturating_add(length));
        }
    }
    Some(end)
}

fn is_64_bit(bytes: &[u8]) -> Option<bool> {
    bytes.get(4).map(|class| *class == 2)
}

fn is_little_endian(bytes: &[u8]) -> Option<bool> {
    bytes.get(5).map(|order| *order == 1)
}

/// A number of `length` bytes in the byte order of the file.
fn number(bytes: &[u8], at: usize, length: usize) -> Option<u64> {
    let digits = bytes.get(at..at.checked_add(length)?)?;
    let append = |number: u64, digit: &u8| number << 8 | u64::from(*digit);
    match is_little_endian(bytes)? {
        true => Some(digits.iter().rev().fold(0, append)),
        false => Some(digits.iter().fold(0, append)),
    }
}
