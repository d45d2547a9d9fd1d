//! The live table of what runs, on a terminal.

use anyhow::Result;
use eru_api::{
    controller::{self, controller_client::ControllerClient},
    pb,
};
use eru_client::Client;
use futures::TryStreamExt;
use rustix::termios::{Winsize, tcgetwinsize};
use std::{collections::BTreeSet, io::Write, time::Duration};
use tonic::transport::Channel;

/// Width of a terminal that does not say.
const COLUMNS: usize = 80;
/// How often the table is drawn again: a person sees no difference below it.
const PERIOD: Duration = Duration::from_millis(250);

/// Draws until it is dropped; without a table it only waits.
///
/// # Errors
/// When the terminal is gone.
pub async fn show(table: bool, mut controller: ControllerClient<Channel>, client: Client, title: String) -> Result<()> {
    if !table {
        return std::future::pending().await;
    }
    let mut ticks = tokio::time::interval(PERIOD);
    let mut drawn = String::new();
    loop {
        ticks.tick().await;
        let size = tcgetwinsize(std::io::stdout()).ok();
        let columns = size.map_or(COLUMNS, |size| usize::from(size.ws_col));
        let text = match text(&mut controller, &client, &title, columns).await {
            Ok(text) => text,
            Err(status) => format!("{title}\n\n{}\n", eru_cli::render::clean(status.message())),
        };
        let text = fit(&text, size);
        if text != drawn {
            // Home, then each line to its end, then whatever was below: no flicker.
            let mut out = std::io::stdout().lock();
            write!(out, "\x1b[H")?;
            for (row, line) in text.lines().enumerate() {
                write!(out, "{}{line}\x1b[K", if row == 0 { "" } else { "\r\n" })?;
            }
            write!(out, "\x1b[J")?;
            out.flush()?;
            drawn = text;
        }
    }
}

/// As much as the terminal holds, and the last line: one that wraps or scrolls would be drawn anew further down each time.
fn fit(text: &str, size: Option<Winsize>) -> String {
    let Some(size) = size.filter(|size| size.ws_row > 1 && size.ws_col > 0) else { return text.to_owned() };
    let (rows, columns) = (usize::from(size.ws_row), usize::from(size.ws_col));
    let lines: Vec<&str> = text.lines().collect();
    let (head, tail) = match lines.split_last() {
        Some((last, others)) if lines.len() > rows => (&others[..rows - 1], Some(*last)),
        _ => (&lines[..], None),
    };
    let cut = |line: &&str| line.chars().take(columns).collect::<String>() + "\n";
    head.iter().chain(&tail).map(cut).collect()
}

/// Why sets are not as they are to be, a slot of each, above the tables: a reason in its column is cut on most terminals.
fn troubles(sets: &[controller::ReplicaSet], columns: usize) -> String {
    let mut text = String::new();
    for set in sets {
        let Some(slot) = set.slots.iter().find(|slot| !slot.reason.is_empty()) else { continue };
        let name = set.spec.as_ref().map(|spec| spec.name.as_str()).unwrap_or_default();
        let trouble = eru_cli::render::clean(&format!("{name} slot {}: {}", slot.slot, slot.reason));
        for line in trouble.chars().collect::<Vec<_>>().chunks(columns.max(1)) {
            text.push('\n');
            text.extend(line);
        }
        text.push('\n');
    }
    text
}

async fn text(
    controller: &mut ControllerClient<Channel>,
    client: &Client,
    title: &str,
    columns: usize,
) -> Result<String, tonic::Status> {
    let sets = controller.list(controller::ListRequest {}).await?.into_inner().sets;
    let owned: BTreeSet<&str> = sets.iter().flat_map(|set| &set.slots).map(|slot| slot.workload_id.as_str()).collect();
    let all: Vec<pb::Workload> =
        client.core().list_workloads(pb::ListWorkloadsOptions::default()).await?.into_inner().try_collect().await?;
    let others: Vec<pb::Workload> = all.into_iter().filter(|w| !owned.contains(w.id.as_str())).collect();
    let mut text = format!("{title}\n{}", troubles(&sets, columns));
    for set in &sets {
        text.push('\n');
        text.push_str(&eru_cli::render::replicaset(set));
    }
    if !others.is_empty() {
        text.push('\n');
        text.push_str(&eru_cli::render::workloads(&others));
    }
    if sets.is_empty() && others.is_empty() {
        text.push_str("\nNothing runs. Apply a spec: eru replicaset apply examples/hello.yaml\n");
    }
    text.push_str("\nCtrl-C stops watching; the workloads go on. `eru down` removes them.\n");
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(rows: u16, columns: u16) -> Option<Winsize> {
        Some(Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 })
    }

    #[test]
    fn a_reason_is_readable_on_a_narrow_terminal() {
        let slot = |slot, reason: &str| controller::Slot { slot, reason: reason.into(), ..Default::default() };
        let set = |name: &str, slots| controller::ReplicaSet {
            spec: Some(controller::ReplicaSetSpec { name: name.into(), ..Default::default() }),
            slots,
            ..Default::default()
        };
        let sets = [
            set("web", vec![slot(0, ""), slot(1, "port \u{1b} taken"), slot(2, "port taken")]),
            set("fine", vec![slot(0, "")]),
        ];
        assert_eq!(troubles(&sets, 12), "\nweb slot 1: \nport \\x1b ta\nken\n");
        assert_eq!(troubles(&sets[1..], 12), "");
    }

    #[test]
    fn what_is_drawn_fits_the_terminal() {
        let text = "title\n┌────┐\n│ a  │\n└────┘\nthe end\n";
        assert_eq!(fit(text, None), text);
        assert_eq!(fit(text, size(5, 80)), text);
        assert_eq!(fit(text, size(3, 4)), "titl\n┌───\nthe \n");
        assert_eq!(fit(text, size(0, 0)), text, "a terminal that does not say");
    }
}
