//! `/metrics`, in the text format of Prometheus. Written by hand: it is a few lines a family, and a library for it is more
//! than that.

use super::Pages;
use crate::vitals::{Standing, Vitals};
use std::fmt::{Display, Write};

/// The page under construction.
struct Text(String);

impl Text {
    /// Begins a family; its samples follow.
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP eru_agent_{name} {help}\n# TYPE eru_agent_{name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        let _ = write!(self.0, "eru_agent_{name}");
        for (index, (key, label)) in labels.iter().enumerate() {
            let open = if index == 0 { '{' } else { ',' };
            let _ = write!(self.0, "{open}{key}=\"{}\"", escaped(label));
        }
        let close = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.0, "{close} {value}");
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.family(name, "counter", help);
        self.sample(name, &[], value);
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.family(name, "gauge", help);
        self.sample(name, &[], value);
    }
}

fn escaped(label: &str) -> String {
    label.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// The whole page.
pub(super) fn text(pages: &Pages) -> String {
    let mut text = Text(String::with_capacity(6 * 1024));
    text.family("info", "gauge", "Which agent this is.");
    let labels = [("node", &*pages.nodename), ("version", &*pages.version), ("runtime", pages.runtime)];
    text.sample("info", &labels, 1);
    process(&mut text);
    workloads(&mut text, pages);
    reports(&mut text, pages);
    standings(&mut text, &pages.vitals);
    runtime(&mut text, &pages.vitals);
    text.0
}

fn process(text: &mut Text) {
    let own = Own::read();
    text.gauge("process_resident_memory_bytes", "Memory that the agent itself holds.", own.memory_bytes);
    text.family("process_cpu_seconds_total", "counter", "Processor time that the agent itself has used.");
    text.sample("process_cpu_seconds_total", &[], own.cpu_s);
    text.gauge("process_open_files", "Descriptors that the agent itself holds.", own.files);
}

fn workloads(text: &mut Text, pages: &Pages) {
    let counts = pages.reporter.counts();
    text.family("workloads", "gauge", "Workloads of this node, by state.");
    for (state, count) in [
        ("healthy", counts.healthy),
        ("unhealthy", counts.unhealthy),
        ("stopped", counts.stopped),
        ("created", counts.created),
    ] {
        text.sample("workloads", &[("state", state)], count);
    }
    text.gauge("reports_queued", "Reports that core has not acknowledged yet.", counts.queued);
}

fn reports(text: &mut Text, pages: &Pages) {
    let vitals = &pages.vitals;
    text.counter("reports_sent_total", "Reports that core answered.", vitals.reports_sent.get());
    text.counter("reports_refused_total", "Reports that core refused.", vitals.reports_refused.get());
    text.counter("report_calls_failed_total", "Calls with reports that failed.", vitals.calls_failed.get());
    text.family("report_call_duration_seconds", "summary", "Time that core took for a call with reports.");
    text.sample("report_call_duration_seconds_sum", &[], vitals.calls_us.get() as f64 / 1e6);
    text.sample("report_call_duration_seconds_count", &[], vitals.calls.get());
    text.family("probes_total", "counter", "Health checks that were made.");
    text.sample("probes_total", &[("outcome", "passed")], vitals.probes_passed.get());
    text.sample("probes_total", &[("outcome", "failed")], vitals.probes_failed.get());
}

fn standings(text: &mut Text, vitals: &Vitals) {
    let core = vitals.core();
    text.gauge("core_connected", "Whether core answers, 1 or 0.", u8::from(core.answers));
    text.gauge("last_beat_age_seconds", "Since core last answered a beat; -1 = never.", age_s(&core));
    text.counter("beats_total", "Beats that core answered.", vitals.beats.get());
    text.counter("beats_failed_total", "Beats that core did not answer.", vitals.beats_failed.get());
    let runtime = vitals.runtime();
    text.gauge("runtime_connected", "Whether the runtime answers, 1 or 0.", u8::from(runtime.answers));
}

fn age_s(standing: &Standing) -> f64 {
    standing.last_answer.map_or(-1.0, |at| (at.elapsed().as_millis() as f64) / 1e3)
}

fn runtime(text: &mut Text, vitals: &Vitals) {
    text.family("events_total", "counter", "Events of the runtime, by what happened.");
    for (action, word) in Vitals::ACTIONS {
        text.sample("events_total", &[("action", word)], vitals.events(action));
    }
    text.counter("subscriptions_total", "Subscriptions to the events of the runtime.", vitals.subscriptions.get());
    text.counter("lists_total", "Lists of all workloads that were made.", vitals.lists.get());
    text.counter("lists_failed_total", "Lists of all workloads that failed.", vitals.lists_failed.get());
}

/// What the kernel knows of this process; zero where it does not tell.
#[derive(Debug, Default)]
struct Own {
    memory_bytes: u64,
    cpu_s: f64,
    files: usize,
}

impl Own {
    fn read() -> Self {
        let text = |name: &str| std::fs::read_to_string(format!("/proc/self/{name}")).unwrap_or_default();
        let page_bytes = rustix::param::page_size() as u64;
        let pages = text("statm").split(' ').nth(1).and_then(|word| word.parse::<u64>().ok()).unwrap_or(0);
        let stat = text("stat");
        // The name of the program may hold anything; what follows it does not.
        let words: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks: f64 = [11, 12].iter().filter_map(|at| words.get(*at)?.parse::<f64>().ok()).sum();
        Self {
            memory_bytes: pages * page_bytes,
            cpu_s: ticks / rustix::param::clock_ticks_per_second() as f64,
            // The descriptor that reads the folder is not counted.
            files: std::fs::read_dir("/proc/self/fd").map_or(0, |files| files.count().saturating_sub(1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_cannot_leave_their_quotes() {
        let mut text = Text(String::new());
        text.sample("info", &[("a", "x\"y\\z\nw"), ("b", "1")], 1);
        assert_eq!(text.0, "eru_agent_info{a=\"x\\\"y\\\\z\\nw\",b=\"1\"} 1\n");
    }

    #[test]
    fn the_process_is_measured() {
        let own = Own::read();
        assert!(own.memory_bytes > 1 << 20 && own.files >= 3, "{own:?}");
    }
}
