//! A figure, its limit and its target.

use std::fmt;

use serde::Serialize;

/// A figure that has a target.
#[derive(Clone, Debug, Serialize)]
pub(in crate::load) struct Goal {
    what: String,
    figure: f64,
    unit: &'static str,
    /// What it is measured against, in the same unit.
    limit: f64,
    against: &'static str,
    ratio: f64,
    target: Target,
    is_met: bool,
}

/// Where a ratio should be.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::load) enum Target {
    AtLeast(f64),
    AtMost(f64),
}

impl Goal {
    /// Whether a figure reaches its target, measured against `limit`.
    pub(super) fn new(
        what: String,
        (figure, unit): (f64, &'static str),
        (limit, against): (f64, &'static str),
        target: Target,
    ) -> Self {
        let ratio = figure / limit;
        let is_met = match target {
            Target::AtLeast(least) => ratio >= least,
            Target::AtMost(most) => ratio <= most,
        };
        Self { what, figure, unit, limit, against, ratio, target, is_met }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, figure, unit, limit, against, ratio, target, is_met } = self;
        let met = if *is_met { "met" } else { "not met" };
        let (sign, target) = match target {
            Target::AtLeast(least) => (">=", least),
            Target::AtMost(most) => ("<=", most),
        };
        write!(
            f,
            "{met:<7}  {what}: {figure:.2} {unit} = {ratio:.2} x {limit:.2} ({against}); target {sign} {target}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_met_at_its_edge() {
        let is_met =
            |figure, target| Goal::new(String::new(), (figure, ""), (2.0, ""), target).is_met;
        assert!(is_met(1.0, Target::AtLeast(0.5)) && !is_met(0.9, Target::AtLeast(0.5)));
        assert!(is_met(4.0, Target::AtMost(2.0)) && !is_met(4.1, Target::AtMost(2.0)));
        assert!(!is_met(f64::NAN, Target::AtMost(2.0)), "what was not measured");
    }
}
