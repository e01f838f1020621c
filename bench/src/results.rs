//! What was measured, and where the bars lie.

use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// How often and how long.
#[derive(Clone, Copy)]
pub(crate) struct Rounds {
    pub(crate) count: usize,
    pub(crate) time: Duration,
}

impl Rounds {
    // Many short rounds: whatever else the machine does hits a few of them, and the medians are of the others.
    pub(crate) const FULL: Self = Self { count: 15, time: Duration::from_millis(700) };
    pub(crate) const QUICK: Self = Self { count: 5, time: Duration::from_millis(400) };
}

/// One line of the result.
#[derive(Serialize)]
pub(crate) struct Figure {
    name: &'static str,
    /// The measured value, with its unit.
    value: String,
    /// What is compared with the bar.
    ratio: f64,
    /// `≥ 0.80` or `≤ 1.2`; none for what is only told.
    bar: Option<String>,
    reached: Option<bool>,
}

impl Figure {
    pub(crate) const fn name(&self) -> &'static str {
        self.name
    }
}

/// Where the bar lies.
#[derive(Clone, Copy)]
pub(crate) enum Bar {
    AtLeast(f64),
    AtMost(f64),
    None,
}

impl Bar {
    pub(crate) fn figure(self, name: &'static str, value: String, ratio: f64) -> Figure {
        let (bar, reached) = match self {
            Self::AtLeast(least) => (Some(format!("≥ {least}")), Some(ratio >= least)),
            Self::AtMost(most) => (Some(format!("≤ {most}")), Some(ratio <= most)),
            Self::None => (None, None),
        };
        Figure { name, value, ratio, bar, reached }
    }
}

/// Values of every round by name.
#[derive(Default)]
pub(crate) struct Samples {
    values: BTreeMap<&'static str, Vec<f64>>,
    /// Each measured against what was taken right before it, so that a machine that drifts does not tilt it.
    ratios: BTreeMap<&'static str, Vec<f64>>,
}

impl Samples {
    pub(crate) fn add(&mut self, name: &'static str, value: f64) {
        self.values.entry(name).or_default().push(value);
    }

    pub(crate) fn add_ratio(&mut self, name: &'static str, ratio: f64) {
        self.ratios.entry(name).or_default().push(ratio);
    }

    pub(crate) fn median(&self, name: &'static str) -> Option<f64> {
        median(self.values.get(name)?.clone())
    }

    pub(crate) fn ratio(&self, name: &'static str) -> Option<f64> {
        median(self.ratios.get(name)?.clone())
    }

    /// The median of the ratios round by round.
    pub(crate) fn ratio_to(&self, name: &'static str, other: &'static str) -> Option<f64> {
        let (values, others) = (self.values.get(name)?, self.values.get(other)?);
        median(values.iter().zip(others).map(|(value, other)| value / other).collect())
    }
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// Prints the figures as a table.
pub(crate) fn print(figures: &[Figure]) {
    println!("{:<44} {:>16} {:>8} {:>8}", "figure", "value", "ratio", "bar");
    for figure in figures {
        let reached = figure.reached.map_or("", |reached| if reached { "reached" } else { "MISSED" });
        let bar = figure.bar.as_deref().unwrap_or_default();
        println!("{:<44} {:>16} {:>8.2} {bar:>8}  {reached}", figure.name, figure.value, figure.ratio);
    }
}
