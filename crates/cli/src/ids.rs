//! Workload ids: given whole, by a unique prefix, or by the workload's name.

use crate::context::Context;
use crate::error::CliError;
use eru_api::pb;
use eru_types::EngineId;
use eru_types::name::excerpt;

/// Length of a whole id, in characters: that of Docker's and ours.
const WHOLE_LEN: usize = 64;
/// Most ids that an error lists.
const MATCHES_SHOWN_MAX: usize = 5;

/// The whole ids of `given`, in their order, each once. Only prefixes and names cost a list of all workloads.
pub(crate) async fn resolve(context: &Context, given: &[String]) -> Result<Vec<String>, CliError> {
    for id in given {
        if EngineId::new(id).is_err() {
            return Err(CliError::Usage(format!("not a workload id: \"{}\"", excerpt(id))));
        }
    }
    let all = if given.iter().all(|id| id.len() >= WHOLE_LEN) {
        Vec::new()
    } else {
        let options = pb::ListWorkloadsOptions::default();
        let stream =
            context.read_stream("ListWorkloads", options, async |mut core, o| core.list_workloads(o).await).await?;
        let workloads = stream.collect().await?;
        workloads.into_iter().map(|workload| (workload.id, workload.name)).collect()
    };
    let mut whole: Vec<String> = Vec::with_capacity(given.len());
    for id in given {
        let id = one(id, &all)?;
        if !whole.contains(&id) {
            whole.push(id);
        }
    }
    Ok(whole)
}

fn one(given: &str, all: &[(String, String)]) -> Result<String, CliError> {
    if given.len() >= WHOLE_LEN || all.iter().any(|(id, _)| id == given) {
        return Ok(given.to_owned());
    }
    let matches: Vec<&str> =
        all.iter().filter(|(id, name)| id.starts_with(given) || name == given).map(|(id, _)| id.as_str()).collect();
    match matches[..] {
        [] => Err(CliError::Missing(format!("no workload with id or name \"{given}\""))),
        [id] => Ok(id.to_owned()),
        _ => {
            let shown = matches[..matches.len().min(MATCHES_SHOWN_MAX)].join(", ");
            let more = if matches.len() > MATCHES_SHOWN_MAX { ", …" } else { "" };
            Err(CliError::Usage(format!("id \"{given}\" matches {} workloads: {shown}{more}", matches.len())))
        }
    }
}

/// The short form of an id, for log lines.
pub(crate) fn short(id: &str) -> String {
    crate::render::clean(id.get(..12).unwrap_or(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_and_names() {
        let all: Vec<(String, String)> =
            [("abc1", "web_http_AAAAAA"), ("abd2", "web_http_BBBBBB"), ("ab", "x_y_CCCCCC")]
                .map(|(id, name)| (id.to_owned(), name.to_owned()))
                .to_vec();
        assert_eq!(one("abc", &all).unwrap(), "abc1");
        assert_eq!(one("ab", &all).unwrap(), "ab");
        assert_eq!(one("web_http_BBBBBB", &all).unwrap(), "abd2");
        assert_eq!(one("a", &all).unwrap_err().to_string(), "id \"a\" matches 3 workloads: abc1, abd2, ab");
        assert_eq!(one("zz", &all).unwrap_err().to_string(), "no workload with id or name \"zz\"");
        let whole = "f".repeat(64);
        assert_eq!(one(&whole, &[]).unwrap(), whole);
    }
}
