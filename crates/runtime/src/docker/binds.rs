//! Volumes of a request as the engine's binds.

use crate::port::{CreateRequest, Error, Result};
use eru_types::{Volume, name::excerpt};

/// `source:target:mode` of every volume.
pub(super) fn binds(request: &CreateRequest) -> Result<Vec<String>> {
    request.allotment.volumes_limit.iter().map(|volume| bind(volume, request)).collect()
}

fn bind(volume: &Volume, request: &CreateRequest) -> Result<String> {
    let bad = |why: &str| Error::Invalid(format!("volume \"{}\": {why}", excerpt(&volume.to_string())));
    let source = if volume.is_scheduled() {
        let plan = request.allotment.volume_plan_limit.get(&volume.to_string());
        let mut devices = plan.into_iter().flatten().map(|(device, _)| device);
        let (Some(device), None) = (devices.next(), devices.next()) else {
            return Err(bad("no single device is planned for it"));
        };
        // A folder of its own: others on the same device do not see it. It outlives the workload, see
        // docs/decisions/0010-folders-of-scheduled-volumes-stay.md.
        format!("{}/{}", device.trim_end_matches('/'), request.name)
    } else {
        expand(volume.source(), &request.env)
    };
    let target = expand(volume.target(), &request.env);
    let escapes =
        |path: &str| path.contains(':') || path.chars().any(char::is_control) || path.split('/').any(|p| p == "..");
    if source.is_empty() || escapes(&source) || (source.contains('/') && !source.starts_with('/')) {
        return Err(bad(&format!("its source must be an absolute path or a name, is \"{}\"", excerpt(&source))));
    }
    if !target.starts_with('/') || escapes(&target) {
        return Err(bad(&format!("its target must be an absolute path, is \"{}\"", excerpt(&target))));
    }
    let has = |flag| volume.flags().contains(flag);
    let mode = match (has('r'), has('w'), has('o')) {
        (false, false, false) | (_, true, false) => "rw",
        (true, false, _) | (false, false, true) => "ro",
        (_, true, true) => return Err(bad("the engine knows ro and rw, but not write-only")),
    };
    Ok(format!("{source}:{target}:{mode}"))
}

/// `text` with `$NAME` and `${NAME}` replaced by the last value in `env`; a name without one by nothing.
fn expand(text: &str, env: &[(String, String)]) -> String {
    let value = |name: &str| env.iter().rev().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_str());
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let braced = rest.strip_prefix('{').and_then(|inner| inner.split_once('}'));
        if let Some((name, after)) = braced {
            out.push_str(value(name));
            rest = after;
            continue;
        }
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
        if end == 0 {
            out.push('$');
        } else {
            out.push_str(value(&rest[..end]));
        }
        rest = &rest[end..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::request;

    fn one(volume: &str, plan: &[(&str, &str)]) -> Result<String> {
        let mut wanted = request("app_web_aaaaaa", &["x"]);
        wanted.env = vec![
            ("A".into(), "old".into()),
            ("A".into(), "/new".into()),
            ("B_1".into(), "b".into()),
            ("C".into(), "x:y".into()),
        ];
        let volume: Volume = volume.parse().unwrap();
        let devices = plan.iter().map(|(device, _)| ((*device).to_owned(), 100)).collect();
        wanted.allotment.volume_plan_limit.insert(volume.to_string(), devices);
        wanted.allotment.volumes_limit.push(volume);
        Ok(binds(&wanted)?.remove(0))
    }

    #[test]
    fn volumes_become_binds() {
        for (volume, want) in [
            ("/sys:/sys:ro", "/sys:/sys:ro"),
            ("/proc/:/hostProc/", "/proc/:/hostProc/:rw"),
            ("/a:/b:r", "/a:/b:ro"),
            ("/a:/b:rw:100", "/a:/b:rw"),
            ("data:/b", "data:/b:rw"),
            ("$A/x:/b", "/new/x:/b:rw"),
            ("/x/${B_1}y:/b/$B_1-$NONE", "/x/by:/b/b-:rw"),
            ("/a$:/b", "/a$:/b:rw"),
        ] {
            assert_eq!(one(volume, &[]).unwrap(), want, "{volume}");
        }
        assert_eq!(one("AUTO:/data:rwm:100", &[("/dev/vol/", "")]).unwrap(), "/dev/vol/app_web_aaaaaa:/data:rw");
    }

    #[test]
    fn volumes_that_cannot_be_are_refused() {
        for (volume, plan, part) in [
            ("AUTO:/data:rw:100", &[][..], "no single device"),
            ("AUTO:/data:rw:100", &[("/a", ""), ("/b", "")], "no single device"),
            ("$NONE:/b", &[], "source"),
            ("a/b:/b", &[], "source"),
            ("$C:/b", &[], "source"),
            ("/a:/$C", &[], "target"),
            ("/a:/b:wo", &[], "write-only"),
        ] {
            let error = one(volume, plan).unwrap_err().to_string();
            assert!(error.contains(part), "{volume}: {error}");
        }
    }
}
