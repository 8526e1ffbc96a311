//! The layout of a boundary as text: every type that a plugin's root leads to, with what a compiled plugin
//! relies on. Where two builds give the same text, either can read what the other wrote.

use ansatz_abi::abi_stable::type_layout::tagging::TagTrait;
use ansatz_abi::abi_stable::type_layout::{LifetimeIndexPair, TLData, TLField, TLFunction, TypeLayout};
use std::collections::{BTreeSet, HashSet};

/// The packages with their versions, then the types in the order of their names, a paragraph each. Where in
/// its package a type was written is left out: it may move.
pub fn render(root: &'static TypeLayout) -> String {
    let (mut packages, mut paragraphs) = (BTreeSet::new(), BTreeSet::new());
    let mut seen = HashSet::from([root.get_utypeid()]);
    let mut open = vec![root];
    while let Some(layout) = open.pop() {
        let (package, version) = layout.package_and_version();
        packages.insert(format!("{package} {version}\n"));
        let mut reached = Vec::new();
        paragraphs.insert(paragraph(layout, &mut reached));
        open.extend(reached.into_iter().filter(|layout| seen.insert(layout.get_utypeid())));
    }
    let packages: String = packages.into_iter().collect();
    let paragraphs: Vec<String> = paragraphs.into_iter().collect();
    format!("{packages}\n{}", paragraphs.join("\n"))
}

/// One type; the types that it leads to are added to `reached`.
fn paragraph(layout: &'static TypeLayout, reached: &mut Vec<&'static TypeLayout>) -> String {
    let mut text = format!(
        "{} of {}: size {}, alignment {}",
        name(layout),
        layout.package(),
        layout.size(),
        layout.alignment()
    );
    if layout.is_nonzero() {
        text.push_str(", never zero");
    }
    text.push('\n');
    match layout.data() {
        TLData::Primitive(_) => text.push_str("  primitive\n"),
        TLData::Opaque => text.push_str("  opaque\n"),
        TLData::Struct { fields } => {
            text.push_str(&format!("  struct {:?}\n", layout.repr_attr()));
            fields.iter().for_each(|field| text.push_str(&line(&field, "", reached)));
        }
        TLData::Union { fields } => {
            text.push_str(&format!("  union {:?}\n", layout.repr_attr()));
            fields.iter().for_each(|field| text.push_str(&line(&field, "", reached)));
        }
        TLData::Enum(choice) => {
            let closed = if choice.exhaustiveness.is_exhaustive() { "closed" } else { "open" };
            let (repr, discriminants) = (layout.repr_attr(), choice.discriminants);
            text.push_str(&format!("  enum {repr:?}, {closed}, discriminants {discriminants:?}\n"));
            let mut fields = choice.fields.iter();
            for (variant, field_count) in choice.variant_names_iter().zip(choice.field_count.iter()) {
                text.push_str(&format!("  variant {variant}\n"));
                for field in fields.by_ref().take(usize::from(*field_count)) {
                    text.push_str(&line(&field, "", reached));
                }
            }
        }
        TLData::PrefixType(prefix) => {
            text.push_str("  prefix type\n");
            for (index, field) in prefix.fields.iter().enumerate() {
                // fields of the first version of a major are always there, later ones only perhaps
                let since = if index < usize::from(prefix.first_suffix_field) { "" } else { " (added)" };
                text.push_str(&line(&field, since, reached));
            }
        }
    }
    layout.phantom_fields().iter().for_each(|field| text.push_str(&line(&field, " (phantom)", reached)));
    if !layout.tag().is_null() {
        text.push_str(&format!("  tag {}\n", one_line(&layout.tag().to_string())));
    }
    if let Some(checks) = layout.extra_checks() {
        text.push_str(&format!("  checks {}\n", one_line(&checks.to_string())));
        reached.extend(checks.nested_type_layouts().iter().copied());
    }
    text
}

/// One field or method.
fn line(field: &TLField, since: &str, reached: &mut Vec<&'static TypeLayout>) -> String {
    reached.push(field.layout());
    let lifetimes = lifetimes(&field.lifetime_indices());
    let mut text = format!("    {}: {}{lifetimes}{since}\n", field.name(), name(field.layout()));
    for function in field.function_range().iter() {
        text.push_str(&format!("      {}\n", signature(&function)));
        reached.extend(function.param_type_layouts.iter().map(|layout| layout()));
        reached.extend(function.return_type_layout().map(|layout| layout()));
    }
    text
}

fn signature(function: &TLFunction) -> String {
    let names = function.param_names.as_str().split([',', ';']).map(str::trim);
    let parameters: Vec<String> =
        (function.param_type_layouts.iter().zip(names.chain(std::iter::repeat(""))))
            .map(|(layout, parameter)| match parameter {
                "" => name(layout()),
                _ => format!("{parameter}: {}", name(layout())),
            })
            .collect();
    let result =
        function.return_type_layout().map_or_else(String::new, |layout| format!(" -> {}", name(layout())));
    let keyword = if function.fn_qualifs.is_unsafe() { "unsafe fn" } else { "fn" };
    let lifetimes = lifetimes(&function.paramret_lifetime_indices);
    format!("{keyword} {}({}){result}{lifetimes}", function.name, parameters.join(", "))
}

fn lifetimes(pairs: &[LifetimeIndexPair]) -> String {
    if pairs.is_empty() { String::new() } else { format!(" {pairs:?}") }
}

/// A type's name with its arguments. abi_stable leaves those of its own containers out: they are found
/// where the container keeps them.
fn name(layout: &'static TypeLayout) -> String {
    let full = one_line(&layout.full_type().to_string());
    if layout.package() != "abi_stable" {
        return full;
    }
    let arguments: Vec<String> = match layout.data() {
        TLData::Enum(choice) => choice.fields.iter().map(|field| name(field.layout())).collect(),
        TLData::Struct { fields } => (fields.iter().filter(|field| field.name() == "_marker"))
            .flat_map(|field| field.layout().phantom_fields().iter())
            .map(|field| name(field.layout()))
            .collect(),
        _ => Vec::new(),
    };
    match arguments.is_empty() {
        true => full,
        false => format!("{full}[{}]", arguments.join(", ")),
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What is in one of two texts alone, line by line, each with the paragraph that it stands in: `-` of the
/// first, `+` of the second. Empty if they are equal.
pub fn difference(first: &str, second: &str) -> String {
    let (first, second): (Vec<&str>, Vec<&str>) = (first.lines().collect(), second.lines().collect());
    // longest[i][j]: lines that first[i..] and second[j..] have in common, in order
    let mut longest = vec![vec![0_usize; second.len() + 1]; first.len() + 1];
    for (i, j) in (0..first.len()).rev().flat_map(|i| (0..second.len()).rev().map(move |j| (i, j))) {
        longest[i][j] = match first[i] == second[j] {
            true => longest[i + 1][j + 1] + 1,
            false => longest[i + 1][j].max(longest[i][j + 1]),
        };
    }
    let (mut i, mut j) = (0, 0);
    let (mut text, mut heading, mut is_said) = (String::new(), "", true);
    while i < first.len() || j < second.len() {
        let is_common = i < first.len() && j < second.len() && first[i] == second[j];
        let takes_first =
            is_common || j == second.len() || i < first.len() && longest[i + 1][j] >= longest[i][j + 1];
        let line = if takes_first { first[i] } else { second[j] };
        if !line.starts_with(' ') {
            (heading, is_said) = (line, false);
        }
        if !is_common {
            if !is_said && heading != line {
                text.push_str(&format!("  {heading}\n"));
            }
            is_said = true;
            text.push_str(&format!("{} {line}\n", if takes_first { '-' } else { '+' }));
        }
        i += usize::from(takes_first);
        j += usize::from(is_common || !takes_first);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_names_the_lines_and_where_they_stand() {
        let before = "A of b\n  struct\n    c: u8\n    d: u8\n\nE of b\n  opaque\n";
        let after = "A of b\n  struct\n    c: u8\n    f: u8\n\nE of b\n  opaque\n";
        assert_eq!(difference(before, before), "");
        assert_eq!(difference(before, after), "  A of b\n-     d: u8\n+     f: u8\n");
    }
}
