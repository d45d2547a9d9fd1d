//! What a subscriber asks for, proven.

use super::{StreamLimits, Token};
use crate::cache::WorkloadFilter;
use eru_api::pb;
use eru_types::{Labels, NameError};
use std::time::Duration;
use tonic::Status;

/// A subscription as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscribe {
    /// Which workloads.
    pub filter: WorkloadFilter,
    /// What the client wants beyond the page's five fields; `None` = it does not know of more.
    pub extended: Option<Extended>,
}

/// What an extended stream was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extended {
    /// Begin with what is there.
    pub snapshot: bool,
    /// Go on from here.
    pub resume: Option<Token>,
    /// A `BOOKMARK` at least this often.
    pub bookmark_interval: Duration,
}

impl Subscribe {
    /// Proves a request.
    ///
    /// # Errors
    /// INVALID_ARGUMENT that names the field, quotes the value and says what is allowed.
    pub fn parse(options: pb::WorkloadStatusStreamOptions, limits: &StreamLimits) -> Result<Self, Status> {
        let filter = WorkloadFilter {
            app: name("appname", &options.appname)?,
            entrypoint: name("entrypoint", &options.entrypoint)?,
            node: name("nodename", &options.nodename)?,
            labels: Labels::new(options.labels).map_err(|error| Status::invalid_argument(error.to_string()))?,
            ..WorkloadFilter::default()
        };
        let is_plain = !options.snapshot && options.resume_token.is_empty() && options.bookmark_interval_ms == 0;
        if is_plain {
            return Ok(Self { filter, extended: None });
        }
        let resume = match &options.resume_token {
            token if token.is_empty() => None,
            token => Some(Token::decode(token).map_err(|error| Status::invalid_argument(error.to_string()))?),
        };
        let bookmark_interval = match options.bookmark_interval_ms {
            0 => limits.bookmark_default,
            ms => Duration::from_millis(u64::from(ms)),
        };
        if !(limits.bookmark_min..=limits.bookmark_max).contains(&bookmark_interval) {
            return Err(Status::invalid_argument(format!(
                "bookmark_interval_ms must be between {} and {}, or 0 for {}, got {}",
                limits.bookmark_min.as_millis(),
                limits.bookmark_max.as_millis(),
                limits.bookmark_default.as_millis(),
                options.bookmark_interval_ms
            )));
        }
        Ok(Self { filter, extended: Some(Extended { snapshot: options.snapshot, resume, bookmark_interval }) })
    }
}

/// A name that may be left out.
fn name<T: std::str::FromStr<Err = NameError>>(field: &str, value: &str) -> Result<Option<T>, Status> {
    if value.is_empty() {
        return Ok(None);
    }
    value.parse().map(Some).map_err(|error| Status::invalid_argument(format!("{field}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic::Code;

    fn refused(options: pb::WorkloadStatusStreamOptions) -> String {
        let status = Subscribe::parse(options, &StreamLimits::default()).unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        status.message().to_owned()
    }

    #[test]
    fn nothing_given_is_the_page_and_anything_of_ours_is_extended() {
        let limits = StreamLimits::default();
        let parse = |options| Subscribe::parse(options, &limits).unwrap();
        let options = pb::WorkloadStatusStreamOptions::default;
        assert_eq!(parse(options()), Subscribe { filter: WorkloadFilter::default(), extended: None });
        let all = parse(pb::WorkloadStatusStreamOptions {
            appname: "my_app".into(),
            entrypoint: "web".into(),
            nodename: "n1".into(),
            labels: [("a".to_owned(), "b".to_owned())].into(),
            ..options()
        });
        assert_eq!(all.extended, None);
        assert_eq!(all.filter.app.unwrap().as_str(), "my_app");
        for extended in [
            pb::WorkloadStatusStreamOptions { snapshot: true, ..options() },
            pb::WorkloadStatusStreamOptions { resume_token: b"\x07token".as_slice().into(), ..options() },
            pb::WorkloadStatusStreamOptions { bookmark_interval_ms: 100, ..options() },
            pb::WorkloadStatusStreamOptions { bookmark_interval_ms: 600_000, ..options() },
        ] {
            assert!(parse(extended).extended.is_some());
        }
    }

    #[test]
    fn what_is_wrong_is_named_and_quoted() {
        let options = pb::WorkloadStatusStreamOptions::default;
        for (bad, part) in [
            (pb::WorkloadStatusStreamOptions { appname: "a/b".into(), ..options() }, "appname: app name must be"),
            (pb::WorkloadStatusStreamOptions { appname: "a/b".into(), ..options() }, "got \"a/b\""),
            (pb::WorkloadStatusStreamOptions { entrypoint: "a_b".into(), ..options() }, "entrypoint: "),
            (pb::WorkloadStatusStreamOptions { nodename: "../x".into(), ..options() }, "nodename: "),
            (pb::WorkloadStatusStreamOptions { bookmark_interval_ms: 99, ..options() }, "between 100 and 600000"),
            (pb::WorkloadStatusStreamOptions { bookmark_interval_ms: 600_001, ..options() }, "got 600001"),
            (pb::WorkloadStatusStreamOptions { resume_token: b"\x01x".as_slice().into(), ..options() }, "resume_token"),
        ] {
            let message = refused(bad);
            assert!(message.contains(part), "{message}");
        }
        let labels = (0..257).map(|n| (format!("k{n}"), String::new())).collect();
        assert!(refused(pb::WorkloadStatusStreamOptions { labels, ..options() }).contains("at most 256"));
    }
}
