//! The command line.

use clap::Parser;
use std::time::Duration;

/// A small HTTP server to try Eru with: says who it is, and fails when asked to.
///
/// GET / answers "hello from NAME pid PID", GET /health 200 or 503. POST /fail and /heal turn the health, POST /exit?code=N ends
/// it, POST /hang makes it accept and never answer again.
#[derive(Debug, Clone, PartialEq, Eq, Parser)]
#[command(name = "eru-hello", version)]
pub struct Args {
    /// The port to listen on, at $ERU_IP or else 127.0.0.1; 0 takes a free one.
    #[arg(long, env = "PORT", default_value_t = 8080)]
    pub port: u16,
    /// Be unhealthy after this time, such as 500ms, 5s or 2m.
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub fail_health_after: Option<Duration>,
    /// End after this time with this exit code, such as 3s:1.
    #[arg(long, value_name = "TIME:CODE", value_parser = parse_exit)]
    pub exit_after: Option<(Duration, u8)>,
    /// Do not end on SIGTERM.
    #[arg(long)]
    pub ignore_term: bool,
}

/// The longest time that may be asked for, in seconds: a day is forever for a demonstration.
const TIME_SECONDS_MAX: u64 = 86_400;

fn parse_duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit_ms = match &text[digits.len()..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        _ => return Err("must be a whole number with ms, s or m, such as 500ms".into()),
    };
    let ms = digits.parse::<u64>().ok().and_then(|n| n.checked_mul(unit_ms));
    ms.filter(|ms| *ms <= TIME_SECONDS_MAX * 1_000)
        .map(Duration::from_millis)
        .ok_or_else(|| format!("must be a whole number with ms, s or m, at most {TIME_SECONDS_MAX}s"))
}

fn parse_exit(text: &str) -> Result<(Duration, u8), String> {
    let (time, code) = text.split_once(':').ok_or("must be TIME:CODE, such as 3s:1")?;
    let code = code.parse().map_err(|_| "the exit code must be a number from 0 to 255".to_owned())?;
    Ok((parse_duration(time)?, code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_codes_parse() {
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_exit("3s:7"), Ok((Duration::from_secs(3), 7)));
        for bad in ["", "5", "s", "-1s", "1h", "1.5s", "86401s", "99999999999999999999s", "名"] {
            assert!(parse_duration(bad).is_err(), "{bad:?}");
        }
        for bad in ["3s", "3s:", "3s:256", "3s:-1", ":1"] {
            assert!(parse_exit(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_command_line_is_checked() {
        let args = Args::try_parse_from(["eru-hello", "--port", "0", "--exit-after", "1s:2", "--ignore-term"]).unwrap();
        assert_eq!((args.port, args.exit_after, args.ignore_term), (0, Some((Duration::from_secs(1), 2)), true));
        for bad in [["--port", "65536"], ["--port", "x"], ["--exit-after", "1s"]] {
            assert!(Args::try_parse_from(["eru-hello"].into_iter().chain(bad)).is_err(), "{bad:?}");
        }
    }
}
