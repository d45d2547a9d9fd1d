//! The spec of a set as a client sent it, checked and completed.

use eru_api::controller::{ReplicaSetSpec, Strategy as SentStrategy};
use eru_api::pb;
use eru_reconcile::{Millis, Policy, Strategy, UnknownPolicy};
use eru_types::limits::{DEPLOY_COUNT_MAX, RECORD_BYTES_MAX};
use eru_types::name::{SetName, excerpt};
use eru_types::{AppName, EntrypointName, Labels, NameError, PodName, labels::LabelError};
use prost::Message as _;

/// Longest time of a strategy: a day. Longer ones are mistaken units.
const STRATEGY_MS_MAX: i64 = 24 * 3600 * 1000;
/// Longest image name, in bytes.
const IMAGE_BYTES_MAX: usize = 1024;
/// Labels that begin so are the controller's own.
const LABEL_PREFIX: &str = "replicaset";

/// A spec that was found good.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked {
    /// Name of the set.
    pub name: SetName,
    /// Instances wanted.
    pub count: u32,
    /// How the set behaves.
    pub strategy: Strategy,
    /// The message; its template is complete.
    pub spec: ReplicaSetSpec,
}

/// Why a spec was refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SpecError {
    /// There is none.
    #[error("spec is missing")]
    Missing,
    /// A name is not one.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The count is out of bounds.
    #[error("count must be between 0 and {DEPLOY_COUNT_MAX}, got {0}")]
    Count(i32),
    /// There is nothing to deploy.
    #[error("template is missing: it is the deploy request of one instance")]
    NoTemplate,
    /// The template says something else than the spec.
    #[error("template.{field} is \"{}\", but the spec says \"{}\"; leave one of them empty", excerpt(.template), excerpt(.spec))]
    Disagree {
        /// The field.
        field: &'static str,
        /// What the template says.
        template: String,
        /// What the spec says.
        spec: String,
    },
    /// The template sets what the controller sets.
    #[error("template.{0} must be empty: the controller sets it")]
    Ours(&'static str),
    /// The labels are not good.
    #[error(transparent)]
    Labels(#[from] LabelError),
    /// A label is the controller's.
    #[error("labels: key \"{}\" is reserved for the controller", excerpt(.0))]
    OurLabel(String),
    /// The strategy places several instances at once.
    #[error("template.deploy_strategy must be AUTO, GLOBAL or DRAINED, as instances are deployed one by one, got {0}")]
    DeployStrategy(String),
    /// A time is out of bounds.
    #[error("strategy.{field} must be between 0 (the default) and {STRATEGY_MS_MAX} ms, got {value}")]
    Time {
        /// The field.
        field: &'static str,
        /// The refused value.
        value: i64,
    },
    /// The policy is not one.
    #[error("strategy.{0}")]
    Keep(#[from] UnknownPolicy),
    /// The image is not a name.
    #[error("image must be at most {IMAGE_BYTES_MAX} bytes without control characters, got \"{}\"", excerpt(.0))]
    Image(String),
    /// It is too large to be stored.
    #[error("spec must be at most {RECORD_BYTES_MAX} bytes, got {0}")]
    TooLarge(usize),
}

/// Checks a spec and completes it.
///
/// # Errors
/// [`SpecError`], the first that is found.
pub fn check(spec: Option<ReplicaSetSpec>) -> Result<Checked, SpecError> {
    let mut spec = spec.ok_or(SpecError::Missing)?;
    let size = spec.encoded_len();
    // Base64 makes four bytes of three.
    if size > RECORD_BYTES_MAX * 3 / 4 {
        return Err(SpecError::TooLarge(size));
    }
    let name = SetName::new(&spec.name)?;
    let count = count(spec.count)?;
    let strategy = strategy(spec.strategy.as_ref())?;
    let mut template = spec.template.take().ok_or(SpecError::NoTemplate)?;
    let mut entrypoint = template.entrypoint.take().unwrap_or_default();
    agree("name", &mut template.name, &mut spec.appname)?;
    agree("entrypoint.name", &mut entrypoint.name, &mut spec.entrypoint)?;
    agree("podname", &mut template.podname, &mut spec.podname)?;
    agree("image", &mut template.image, &mut spec.image)?;
    AppName::new(&template.name)?;
    EntrypointName::new(&entrypoint.name)?;
    PodName::new(&template.podname)?;
    if template.image.len() > IMAGE_BYTES_MAX || template.image.chars().any(char::is_control) {
        return Err(SpecError::Image(template.image));
    }
    check_template(&template)?;
    template.count = 0;
    template.entrypoint = Some(entrypoint);
    spec.template = Some(template);
    Ok(Checked { name, count, strategy, spec })
}

/// A number of instances.
///
/// # Errors
/// [`SpecError::Count`].
pub fn count(count: i32) -> Result<u32, SpecError> {
    u32::try_from(count).ok().filter(|n| *n <= DEPLOY_COUNT_MAX).ok_or(SpecError::Count(count))
}

/// Whether the instances of `a` may go on as instances of `b`.
pub fn same_instances(a: &ReplicaSetSpec, b: &ReplicaSetSpec) -> bool {
    a.template == b.template
}

/// Whether the runtime is asked to restart an instance that ends.
pub fn engine_restarts(spec: &ReplicaSetSpec) -> bool {
    let entrypoint = spec.template.as_ref().and_then(|template| template.entrypoint.as_ref());
    entrypoint.is_some_and(|entrypoint| !matches!(entrypoint.restart.as_str(), "" | "no"))
}

fn agree(field: &'static str, template: &mut String, spec: &mut String) -> Result<(), SpecError> {
    match (template.is_empty(), spec.is_empty()) {
        (true, _) => template.clone_from(spec),
        (false, true) => spec.clone_from(template),
        (false, false) if template == spec => {}
        (false, false) => {
            return Err(SpecError::Disagree { field, template: template.clone(), spec: spec.clone() });
        }
    }
    Ok(())
}

fn check_template(template: &pb::DeployOptions) -> Result<(), SpecError> {
    use pb::deploy_options::Strategy::{Auto, Drained, Global};
    for (field, is_empty) in [
        ("op_id", template.op_id.is_empty()),
        ("owner", template.owner.is_empty()),
        ("owner_epoch", template.owner_epoch == 0),
    ] {
        if !is_empty {
            return Err(SpecError::Ours(field));
        }
    }
    Labels::from_user(template.labels.clone())?;
    let is_ours = |key: &&String| key.as_str() == LABEL_PREFIX || key.starts_with("replicaset.");
    if let Some(key) = template.labels.keys().find(is_ours) {
        return Err(SpecError::OurLabel(key.clone()));
    }
    match pb::deploy_options::Strategy::try_from(template.deploy_strategy) {
        Ok(Auto | Global | Drained) => Ok(()),
        Ok(other) => Err(SpecError::DeployStrategy(other.as_str_name().to_owned())),
        Err(_) => Err(SpecError::DeployStrategy(template.deploy_strategy.to_string())),
    }
}

fn strategy(sent: Option<&SentStrategy>) -> Result<Strategy, SpecError> {
    let default = Strategy::default();
    let Some(sent) = sent else { return Ok(default) };
    let time = |field, value: i64, default| match value {
        0 => Ok(default),
        1..=STRATEGY_MS_MAX => Ok(Millis(value)),
        _ => Err(SpecError::Time { field, value }),
    };
    Ok(Strategy {
        min_healthy: time("min_healthy_ms", sent.min_healthy_ms, default.min_healthy)?,
        healthy_deadline: time("healthy_deadline_ms", sent.healthy_deadline_ms, default.healthy_deadline)?,
        unhealthy_after: time("unhealthy_after_ms", sent.unhealthy_after_ms, default.unhealthy_after)?,
        return_settle: time("return_settle_ms", sent.return_settle_ms, default.return_settle)?,
        keep: if sent.keep.is_empty() { Policy::Best } else { sent.keep.parse()? },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> ReplicaSetSpec {
        let entrypoint = pb::EntrypointOptions { name: "web".into(), command: "serve".into(), ..Default::default() };
        ReplicaSetSpec {
            name: "shop".into(),
            appname: "shop".into(),
            podname: "local".into(),
            count: 3,
            template: Some(pb::DeployOptions { entrypoint: Some(entrypoint), count: 9, ..Default::default() }),
            ..Default::default()
        }
    }

    fn with(change: impl FnOnce(&mut ReplicaSetSpec, &mut pb::DeployOptions)) -> ReplicaSetSpec {
        let mut spec = good();
        let mut template = spec.template.take().unwrap();
        change(&mut spec, &mut template);
        spec.template = Some(template);
        spec
    }

    #[test]
    fn a_good_one_is_completed() {
        let checked = check(Some(good())).unwrap();
        let template = checked.spec.template.unwrap();
        assert_eq!((template.name.as_str(), template.podname.as_str(), template.count), ("shop", "local", 0));
        assert_eq!((checked.spec.entrypoint.as_str(), checked.count), ("web", 3));
        assert_eq!(checked.strategy, Strategy::default());
    }

    #[test]
    fn each_refusal_names_the_thing() {
        let strategy = |s: SentStrategy| with(|spec, _| spec.strategy = Some(s));
        for (spec, text) in [
            (ReplicaSetSpec::default(), "replicaset name is empty".to_owned()),
            (with(|s, _| s.name = "a/b".into()), "replicaset name must be".to_owned()),
            (with(|s, _| s.name = "x".repeat(64)), "replicaset name must be".to_owned()),
            (with(|s, _| s.count = -3), "count must be between 0 and 10000, got -3".to_owned()),
            (with(|s, _| s.count = i32::MAX), "count must be between 0 and 10000, got 2147483647".to_owned()),
            (with(|s, _| s.appname.clear()), "app name is empty".to_owned()),
            (with(|s, _| s.appname = "../x".into()), "app name must be".to_owned()),
            (with(|s, _| s.podname.clear()), "pod name is empty".to_owned()),
            (with(|_, t| t.entrypoint = None), "entrypoint name is empty".to_owned()),
            (with(|s, _| s.entrypoint = "api".into()), "template.entrypoint.name is \"web\"".to_owned()),
            (with(|s, _| s.image = "a\nb".into()), "image must be".to_owned()),
            (with(|_, t| t.op_id = "x".into()), "template.op_id must be empty".to_owned()),
            (with(|_, t| t.owner = "x".into()), "template.owner must be empty".to_owned()),
            (with(|_, t| t.owner_epoch = 1), "template.owner_epoch must be empty".to_owned()),
            (with(|_, t| drop(t.labels.insert("eru.x".into(), "1".into()))), "\"eru.x\" is reserved".to_owned()),
            (
                with(|_, t| drop(t.labels.insert("replicaset.slot".into(), "1".into()))),
                "\"replicaset.slot\" is reserved for the controller".to_owned(),
            ),
            (with(|_, t| t.deploy_strategy = 2), "deploy_strategy must be AUTO, GLOBAL or DRAINED".to_owned()),
            (with(|_, t| t.deploy_strategy = 77), "one by one, got 77".to_owned()),
            (with(|s, _| s.spec_yaml = "x".repeat(RECORD_BYTES_MAX)), "spec must be at most".to_owned()),
            (
                strategy(SentStrategy { min_healthy_ms: -1, ..Default::default() }),
                "strategy.min_healthy_ms must be between 0 (the default) and 86400000 ms, got -1".to_owned(),
            ),
            (
                strategy(SentStrategy { healthy_deadline_ms: i64::MAX, ..Default::default() }),
                "strategy.healthy_deadline_ms".to_owned(),
            ),
            (
                strategy(SentStrategy { unhealthy_after_ms: i64::MIN, ..Default::default() }),
                "strategy.unhealthy_after_ms".to_owned(),
            ),
            (
                strategy(SentStrategy { return_settle_ms: STRATEGY_MS_MAX + 1, ..Default::default() }),
                "strategy.return_settle_ms".to_owned(),
            ),
            (
                strategy(SentStrategy { keep: "newest\0".into(), ..Default::default() }),
                "strategy.keep must be best, original, replacement, longest or healthiest, got \"newest\\0\""
                    .to_owned(),
            ),
        ] {
            let error = check(Some(spec)).unwrap_err().to_string();
            assert!(error.contains(&text), "{error:?} does not say {text:?}");
        }
        assert_eq!(check(None), Err(SpecError::Missing));
        assert_eq!(check(Some(ReplicaSetSpec { template: None, ..good() })), Err(SpecError::NoTemplate));
    }

    #[test]
    fn restart_policies() {
        let restart =
            |policy: &str| engine_restarts(&with(|_, t| t.entrypoint.as_mut().unwrap().restart = policy.into()));
        assert!(restart("always") && restart("on-failure:3") && !restart("") && !restart("no"));
    }
}
