//! A run that broke a promise: where, and how to see it again.

use std::fmt;

use clap::ValueEnum;

use super::fault::Fault;
use super::plan::Scenario;
use super::violation::Violation;

/// A run that has failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What was simulated.
    pub scenario: Scenario,
    /// Within so many of the scenario's steps it failed; with as many it fails again, and needs no more.
    pub step: u64,
    /// The first promise that was broken.
    pub violation: Violation,
}

impl Failure {
    /// The same run, to where it failed.
    pub(crate) fn prefix(&self) -> Scenario {
        Scenario { steps: self.step, ..self.scenario }
    }

    /// What repeats it.
    pub fn command(&self) -> String {
        command(&self.prefix())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scenario: Scenario { seed, .. }, step, violation } = self;
        write!(f, "seed {seed}, step {step}: {violation}\nto repeat it: {}", self.command())
    }
}

impl std::error::Error for Failure {}

fn command(scenario: &Scenario) -> String {
    let Scenario { seed, steps, without, sabotage } = scenario;
    let without = Fault::ALL.into_iter().filter(|fault| without.has(*fault));
    let without: Vec<String> = without.map(|fault| value_name(&fault)).collect();
    let mut command = format!("cargo xtask sim --seed {seed} --steps {steps}");
    if !without.is_empty() {
        command.push_str(" --without ");
        command.push_str(&without.join(","));
    }
    if let Some(sabotage) = sabotage {
        command.push_str(" --sabotage ");
        command.push_str(&value_name(sabotage));
    }
    command
}

/// How a value is written as an argument.
fn value_name(value: &impl ValueEnum) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}
