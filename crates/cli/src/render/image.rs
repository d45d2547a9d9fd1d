//! Images of nodes.

use super::clean;
use eru_api::pb;
use std::fmt::Write as _;

/// `image list`: a line a tag. The cells of a node, and of an image, run over all of their lines.
pub fn images(nodes: &[pb::ListImageMessage]) -> String {
    let rows: Vec<[String; 3]> = nodes.iter().flat_map(rows).collect();
    let header = ["NODE", "IMAGE", "TAGS"].map(str::to_owned);
    let width = |column: usize| {
        let cells = std::iter::once(&header).chain(&rows).map(|row| row[column].chars().count());
        cells.max().unwrap_or_default()
    };
    let widths = [width(0), width(1), width(2)];
    let mut text = border(["┌", "┬", "┐"], &widths) + &line(&header, 0, &widths) + &border(["├", "┼", "┤"], &widths);
    for (index, row) in rows.iter().enumerate() {
        let same = index.checked_sub(1).map_or(0, |before| merged(&rows[before], row));
        if index > 0 {
            text += &match same {
                0 => border(["├", "┼", "┤"], &widths),
                same => inner_border(same, &widths),
            };
        }
        text += &line(row, same, &widths);
    }
    text + &border(["└", "┴", "┘"], &widths)
}

fn rows(node: &pb::ListImageMessage) -> Vec<[String; 3]> {
    let row = |id: &str, tag: &str| [clean(&node.nodename), clean(id), clean(tag)];
    let mut rows = Vec::new();
    for image in &node.images {
        rows.extend(image.tags.iter().map(|tag| row(&image.id, tag)));
        if image.tags.is_empty() {
            rows.push(row(&image.id, ""));
        }
    }
    rows
}

/// How many columns go on from one row to the next.
fn merged(before: &[String; 3], row: &[String; 3]) -> usize {
    (0..2).take_while(|column| before[*column] == row[*column]).count()
}

fn border([left, middle, right]: [&str; 3], widths: &[usize; 3]) -> String {
    let parts = widths.map(|width| "─".repeat(width + 2));
    format!("{left}{}{right}\n", parts.join(middle))
}

/// A line below all but the first `same` columns, which go on.
fn inner_border(same: usize, widths: &[usize; 3]) -> String {
    let mut text = String::from("│");
    for width in &widths[..same - 1] {
        let _ = write!(text, "{}│", " ".repeat(width + 2));
    }
    let rest: Vec<String> = widths[same..].iter().map(|width| "─".repeat(width + 2)).collect();
    let _ = writeln!(text, "{}├{}┤", " ".repeat(widths[same - 1] + 2), rest.join("┼"));
    text
}

/// A line of cells, without the first `same`.
fn line(row: &[String; 3], same: usize, widths: &[usize; 3]) -> String {
    let mut text = String::from("│");
    for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
        let cell = if column < same { "" } else { cell };
        let _ = write!(text, " {cell}{} │", " ".repeat(width - cell.chars().count()));
    }
    text + "\n"
}
