//! Tables.

use super::clean;
use tabled::builder::Builder;
use tabled::settings::Style;

/// A table of records, each a list of cells, each a list of lines. `separated` draws a line between records.
///
/// The layout is that of the original, byte for byte: one blank on both sides, left-aligned, columns as wide as their
/// longest line, the header's line even when there are no records.
pub fn table<const N: usize>(header: [&str; N], records: Vec<[Vec<String>; N]>, separated: bool) -> String {
    let empty = records.is_empty();
    let mut builder = Builder::with_capacity(records.len() + 1, N);
    builder.push_record(header);
    for record in records {
        builder.push_record(record.map(|cell| cell.iter().map(|line| clean(line)).collect::<Vec<_>>().join("\n")));
    }
    let mut table = builder.build();
    let text = if separated { table.with(Style::modern()).to_string() } else { table.with(Style::sharp()).to_string() };
    if !empty {
        return text + "\n";
    }
    // Without records the header's line and the bottom fall together; the original draws both.
    let last = text.lines().last().unwrap_or_default();
    let top = text.strip_suffix(last).unwrap_or(&text);
    let line = last.replace('└', "├").replace('┴', "┼").replace('┘', "┤");
    let bottom = line.replace('├', "└").replace('┼', "┴").replace('┤', "┘");
    format!("{top}{line}\n{bottom}\n")
}

/// A cell of one line.
pub(super) fn cell(text: impl Into<String>) -> Vec<String> {
    vec![text.into()]
}
