//! Images of the daemon.

use super::{call::Call, fault::Fault, lines::JsonLines, runtime::Docker, target::Target};
use crate::{port::*, reason::one_line};
use base64::{Engine, engine::general_purpose::URL_SAFE};
use eru_types::name::excerpt;
use futures::{StreamExt, stream, stream::BoxStream};
use http::{HeaderValue, Method, StatusCode, header::HeaderName};
use serde::Deserialize;
use serde_json::json;
use std::time::Duration;

/// How much longer than any other change a pull may take before it says anything: registries are asked first.
const PULL_BEGINS_WITHIN: Duration = Duration::from_secs(120);
/// How long a prune may take beyond any other change: it deletes layers.
const PRUNE_WITHIN: Duration = Duration::from_secs(300);
/// Who we are for a registry.
const AUTH: HeaderName = HeaderName::from_static("x-registry-auth");
/// The tag of an image that names none.
const LATEST: &str = "latest";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Found {
    id: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
}

impl From<Found> for Image {
    fn from(found: Found) -> Self {
        // The engine's word for an image that lost its name.
        let tags = found.repo_tags.unwrap_or_default().into_iter().filter(|tag| tag != "<none>:<none>").collect();
        Self { id: found.id, tags }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Gone {
    untagged: Option<String>,
    deleted: Option<String>,
}

#[derive(Deserialize)]
struct Progress {
    #[serde(default)]
    id: String,
    #[serde(default)]
    status: String,
    #[serde(rename = "progressDetail", default)]
    detail: Option<Detail>,
    error: Option<String>,
}

#[derive(Default, Deserialize)]
struct Detail {
    #[serde(default)]
    current: i64,
    #[serde(default)]
    total: i64,
}

impl Docker {
    pub(super) async fn find_image(&self, name: &str) -> Result<Option<Image>> {
        if name.is_empty() {
            return Ok(None);
        }
        match self.transport.json::<Found>(Call::get(Target::new(&["images", name, "json"]))).await {
            Ok(found) => Ok(Some(found.into())),
            Err(fault) if fault.is(StatusCode::NOT_FOUND) => Ok(None),
            Err(fault) => Err(self.error(fault)),
        }
    }

    pub(super) async fn list_images(&self, filter: &str) -> Result<Vec<Image>> {
        let target = Target::new(&["images", "json"]);
        let target =
            if filter.is_empty() { target } else { target.with("filters", json!({"reference": [filter]}).to_string()) };
        let found: Vec<Found> = self.transport.json(Call::get(target)).await.map_err(|fault| self.error(fault))?;
        Ok(found.into_iter().map(Image::from).collect())
    }

    pub(super) async fn pull_image(
        &self,
        name: &str,
        login: Option<&RegistryLogin>,
    ) -> Result<BoxStream<'static, Result<PullProgress>>> {
        let (image, tag) = reference(name)?;
        let target = Target::new(&["images", "create"]).with("fromImage", image).with("tag", tag);
        let mut call = Call::post(target).longer(PULL_BEGINS_WITHIN);
        if let Some(login) = login {
            call = call.header(AUTH, credentials(login));
        }
        let answer = self.transport.open(call).await.map_err(|fault| match fault {
            Fault::Refused { message, .. } => cannot_pull(name, &message),
            other => self.error(other),
        })?;
        let pull = Pull {
            lines: JsonLines::new(answer.into_body()),
            name: name.to_owned(),
            endpoint: self.options.endpoint.clone(),
            silent_max: self.options.silent_pull_max,
        };
        let progress = stream::try_unfold(pull, async |mut pull| Ok(pull.step().await?.map(|step| (step, pull))));
        Ok(progress.boxed())
    }

    pub(super) async fn delete_image(&self, name: &str) -> Result<Vec<String>> {
        let missing = || Error::NoImage(name.to_owned());
        if name.is_empty() {
            return Err(missing());
        }
        let call = Call::new(Method::DELETE, Target::new(&["images", name]));
        let gone: Vec<Gone> = self.transport.json(call).await.map_err(|fault| match fault {
            fault if fault.is(StatusCode::NOT_FOUND) => missing(),
            Fault::Refused { status: StatusCode::CONFLICT, message } => Error::Invalid(message),
            other => self.error(other),
        })?;
        let line = |Gone { untagged, deleted }| match (untagged, deleted) {
            (Some(name), _) => format!("Untagged: {name}"),
            (None, Some(id)) => format!("Deleted: {id}"),
            (None, None) => String::new(),
        };
        Ok(gone.into_iter().map(line).filter(|line| !line.is_empty()).collect())
    }

    pub(super) async fn delete_dangling_images(&self) -> Result<()> {
        let target = Target::new(&["images", "prune"]).with("filters", json!({"dangling": ["true"]}).to_string());
        self.transport.done(Call::post(target).longer(PRUNE_WITHIN)).await.map_err(|fault| self.error(fault))
    }
}

/// An image on its way.
struct Pull {
    lines: JsonLines,
    name: String,
    endpoint: String,
    silent_max: Duration,
}

impl Pull {
    async fn step(&mut self) -> Result<Option<PullProgress>> {
        let told = tokio::time::timeout(self.silent_max, self.lines.next::<Progress>()).await;
        let step = told.map_err(|_| self.broke(&format!("no progress for {} s", self.silent_max.as_secs_f64())))?;
        let step = step.map_err(|fault| match fault {
            Fault::Nonsense(_) => cannot_pull(&self.name, &fault.to_string()),
            cut => self.broke(&cut.to_string()),
        });
        match step? {
            None => Ok(None),
            Some(Progress { error: Some(error), .. }) => Err(cannot_pull(&self.name, &error)),
            Some(step) => Ok(Some(step.into())),
        }
    }

    /// Nothing more is heard of it, as opposed to a refusal.
    fn broke(&self, cause: &str) -> Error {
        let cause = format!("{cause}, fetching image \"{}\"", excerpt(&self.name));
        Error::Unavailable { endpoint: self.endpoint.clone(), cause }
    }
}

impl From<Progress> for PullProgress {
    fn from(step: Progress) -> Self {
        let Detail { current, total } = step.detail.unwrap_or_default();
        let bytes = |n: i64| u64::try_from(n).unwrap_or(0);
        Self { layer: one_line(&step.id), status: one_line(&step.status), bytes: (bytes(current), bytes(total)) }
    }
}

fn cannot_pull(name: &str, cause: &str) -> Error {
    Error::Failed(format!("cannot pull image \"{}\": {}", excerpt(name), one_line(cause)))
}

/// Name and tag, or name and digest. Without either the engine would fetch every tag there is.
fn reference(name: &str) -> Result<(&str, &str)> {
    let bad = name.is_empty() || name.chars().any(|c| c.is_whitespace() || c.is_control());
    if bad {
        return Err(Error::Invalid(format!("image must be NAME, NAME:TAG or NAME@DIGEST, got \"{}\"", excerpt(name))));
    }
    if let Some((name, digest)) = name.split_once('@') {
        return Ok((name, digest));
    }
    // A colon before a slash is that of the registry's port.
    match name.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => Ok((name, tag)),
        _ => Ok((name, LATEST)),
    }
}

fn credentials(login: &RegistryLogin) -> HeaderValue {
    let text = json!({"username": login.username, "password": login.password}).to_string();
    let mut value = HeaderValue::from_str(&URL_SAFE.encode(text)).expect("base64 is visible ASCII");
    value.set_sensitive(true);
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_taken_apart() {
        for (name, want) in [
            ("busybox", ("busybox", "latest")),
            ("a/b:1", ("a/b", "1")),
            ("127.0.0.1:5000/web", ("127.0.0.1:5000/web", "latest")),
            ("127.0.0.1:5000/web:1", ("127.0.0.1:5000/web", "1")),
            ("a@sha256:00", ("a", "sha256:00")),
        ] {
            assert_eq!(reference(name).unwrap(), want);
        }
        for bad in ["", "a b", "a\n"] {
            assert!(reference(bad).unwrap_err().to_string().contains("NAME:TAG"), "{bad:?}");
        }
    }

    #[test]
    fn a_login_is_sent_and_not_shown() {
        let value = credentials(&RegistryLogin { username: "u".into(), password: "p".into() });
        assert_eq!(URL_SAFE.decode(value.as_bytes()).unwrap(), br#"{"password":"p","username":"u"}"#);
        assert!(value.is_sensitive());
    }
}
