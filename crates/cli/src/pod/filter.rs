//! Which nodes `pod resource` shows.

use eru_api::pb;
use eru_types::name::excerpt;
use std::str::FromStr;

/// A condition on what of a node has been given away.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum ResourceFilter {
    All,
    If(Field, Comparison, f64),
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Field {
    Cpu,
    Memory,
    Storage,
    Volume,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Comparison {
    Above,
    AtLeast,
    Below,
    AtMost,
    Equal,
}

impl ResourceFilter {
    pub fn keeps(self, node: &pb::NodeResource) -> bool {
        let Self::If(field, comparison, bound) = self else { return true };
        let ratio = match field {
            Field::Cpu => node.cpu_percent,
            Field::Memory => node.memory_percent,
            Field::Storage => node.storage_percent,
            Field::Volume => node.volume_percent,
        };
        match comparison {
            Comparison::Above => ratio > bound,
            Comparison::AtLeast => ratio >= bound,
            Comparison::Below => ratio < bound,
            Comparison::AtMost => ratio <= bound,
            Comparison::Equal => ratio == bound,
        }
    }
}

impl FromStr for ResourceFilter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = text.trim().is_empty() || text.trim() == "all";
        if all { Ok(Self::All) } else { condition(text).ok_or_else(|| refusal(text)) }
    }
}

fn condition(text: &str) -> Option<ResourceFilter> {
    let at = text.find(['<', '>', '='])?;
    let field = match text[..at].trim() {
        "cpu" => Field::Cpu,
        "memory" => Field::Memory,
        "storage" => Field::Storage,
        "volume" => Field::Volume,
        _ => return None,
    };
    let rest = &text[at..];
    let operators = [
        (">=", Comparison::AtLeast),
        ("<=", Comparison::AtMost),
        ("==", Comparison::Equal),
        (">", Comparison::Above),
        ("<", Comparison::Below),
    ];
    let (number, comparison) = operators.iter().find_map(|(op, c)| Some((rest.strip_prefix(op)?.trim(), *c)))?;
    let (number, scale) = number.strip_suffix('%').map_or((number, 1.0), |number| (number.trim(), 0.01));
    let bound = number.parse::<f64>().ok().filter(|n| n.is_finite())? * scale;
    Some(ResourceFilter::If(field, comparison, bound))
}

fn refusal(text: &str) -> String {
    format!("must be (cpu|memory|storage|volume) (>|>=|<|<=|==) NUMBER[%], or all, got \"{}\"", excerpt(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions() {
        let keeps = |text: &str| {
            let node = pb::NodeResource { cpu_percent: 0.4, memory_percent: 0.1, ..Default::default() };
            text.parse::<ResourceFilter>().unwrap().keeps(&node)
        };
        for yes in ["all", "cpu >= 40%", "cpu==0.4", "memory<0.2", "storage <= 0", "cpu > 39.9 %"] {
            assert!(keeps(yes), "{yes}");
        }
        for no in ["cpu > 40%", "cpu<0.4", "volume > 0"] {
            assert!(!keeps(no), "{no}");
        }
        for bad in ["cpu", "disk > 1", "cpu > x", "cpu => 1", "cpu > NaN", "> 1"] {
            assert!(bad.parse::<ResourceFilter>().is_err(), "{bad}");
        }
    }
}
