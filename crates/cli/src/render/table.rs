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
    // Without records the bottom would follow the header at once.
    let bottom = text.lines().last().unwrap_or_default();
    let line: String = bottom
        .chars()
        .map(|c| match c {
            '└' => '├',
            '┴' => '┼',
            '┘' => '┤',
            c => c,
        })
        .collect();
    let top = text.strip_suffix(bottom).unwrap_or(&text);
    format!("{top}{line}\n{bottom}\n")
}

/// A cell of one line.
pub(super) fn cell(text: impl Into<String>) -> Vec<String> {
    vec![text.into()]
}
