//! The output of a workload, straight from its engine.

use super::{Cluster, Error, Result, clock::now_ms};
use bytes::{BufMut, Bytes, BytesMut};
use eru_api::pb;
use eru_runtime::{LogLine, LogOptions};
use eru_types::name::excerpt;
use futures::stream::BoxStream;

/// Which output is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRequest {
    /// The engine id.
    pub id: String,
    /// Which part.
    pub options: LogOptions,
}

impl LogRequest {
    /// Proves a request.
    ///
    /// # Errors
    /// [`Error::Invalid`] names the field and quotes the value.
    pub fn from_pb(options: &pb::LogStreamOptions) -> Result<Self> {
        let now_ms = now_ms();
        let since_ms = time("since", &options.since, now_ms)?;
        let until_ms = time("until", &options.until, now_ms)?;
        if let (Some(since), Some(until)) = (since_ms, until_ms)
            && since > until
        {
            return Err(Error::Invalid(format!(
                "since must not be after until, got \"{}\" and \"{}\"",
                excerpt(&options.since),
                excerpt(&options.until)
            )));
        }
        let options_out = LogOptions { tail: tail(&options.tail)?, since_ms, until_ms, follow: options.follow };
        if options.id.is_empty() {
            return Err(Error::Invalid("workload id is empty".into()));
        }
        Ok(Self { id: options.id.clone(), options: options_out })
    }
}

fn tail(text: &str) -> Result<Option<usize>> {
    match text {
        "" | "all" => Ok(None),
        _ => text.parse().map(Some).map_err(|_| {
            Error::Invalid(format!("tail must be \"all\" or a number of lines, got \"{}\"", excerpt(text)))
        }),
    }
}

/// A point in time: RFC 3339, Unix seconds, or how long ago it was as Go spells durations.
fn time(field: &str, text: &str, now_ms: i64) -> Result<Option<i64>> {
    if text.is_empty() {
        return Ok(None);
    }
    let seconds = text.parse::<f64>().ok().filter(|s| s.is_finite() && s.abs() < 1e14).map(|s| (s * 1000.0) as i64);
    let ago = || text.parse::<jiff::SignedDuration>().ok().and_then(|d| i64::try_from(d.as_millis()).ok());
    let stamp = || text.parse::<jiff::Timestamp>().ok().map(|t| t.as_millisecond());
    seconds.or_else(|| ago().map(|ago| now_ms.saturating_sub(ago))).or_else(stamp).map(Some).ok_or_else(|| {
        Error::Invalid(format!(
            "{field} must be a time like 2026-01-31T12:00:00Z, Unix seconds, or a duration ago like 10m, got \"{}\"",
            excerpt(text)
        ))
    })
}

impl Cluster {
    /// The output. The stream ends where the wanted part ends; followed, when the workload does.
    ///
    /// # Errors
    /// [`Error::NotFound`] without the workload, or what its engine said.
    pub async fn logs(&self, request: &LogRequest) -> Result<BoxStream<'static, eru_runtime::Result<LogLine>>> {
        let view = self.find_workload(&request.id).await?;
        let id = view.id().ok_or_else(|| Error::no_workload(&request.id))?;
        let node = &view.placement.node;
        let node = self.cache.node(node).ok_or_else(|| Error::no_node(node))?;
        let engine = self.engines.open(&node.record.record)?;
        self.engine_call(engine.runtime.logs(id, request.options.clone())).await
    }
}

/// A line as it was written.
pub(crate) fn written(line: LogLine) -> Bytes {
    if line.partial {
        return line.data;
    }
    let mut data = BytesMut::with_capacity(line.data.len() + 1);
    data.put_slice(&line.data);
    data.put_u8(b'\n');
    data.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(tail: &str, since: &str, until: &str) -> Result<LogRequest> {
        let (tail, since, until) = (tail.to_owned(), since.to_owned(), until.to_owned());
        LogRequest::from_pb(&pb::LogStreamOptions { id: "a".into(), tail, since, until, follow: false })
    }

    #[test]
    fn options_from_the_wire() {
        assert_eq!(request("", "", "").unwrap().options, LogOptions::default());
        assert_eq!(request("all", "", "").unwrap().options.tail, None);
        assert_eq!(request("10", "", "").unwrap().options.tail, Some(10));
        assert_eq!(request("", "1700000000.5", "").unwrap().options.since_ms, Some(1_700_000_000_500));
        assert_eq!(request("", "2023-11-14T22:13:20Z", "").unwrap().options.since_ms, Some(1_700_000_000_000));
        assert_eq!(time("since", "1h30m", 10_000_000).unwrap(), Some(10_000_000 - 5_400_000));
        for (tail, since, until, part) in [
            ("-5", "", "", "tail must be \"all\" or a number of lines, got \"-5\""),
            ("abc", "", "", "tail must be"),
            ("", "yesterday", "", "since must be a time"),
            ("", "", "NaN", "until must be a time"),
            ("", "200", "100", "since must not be after until"),
        ] {
            let text = request(tail, since, until).unwrap_err().to_string();
            assert!(text.contains(part), "{text}");
        }
        assert!(LogRequest::from_pb(&pb::LogStreamOptions::default()).is_err());
    }
}
