use fastrand::Rng;

/// Ranks 0, 1, 2 … with a frequency of 1, 1/2, 1/3 … (Zipf, exponent 1).
pub(crate) struct Zipf(Vec<f64>);

impl Zipf {
    pub(crate) fn new(ranks: usize) -> Self {
        let mut sum = 0.0;
        let cumulated = (1..=ranks).map(|rank| {
            sum += 1.0 / rank as f64;
            sum
        });
        Self(cumulated.collect())
    }

    pub(crate) fn rank(&self, random: &mut Rng) -> usize {
        let total = self.0.last().copied().unwrap_or(1.0);
        let point = random.f64() * total;
        self.0.partition_point(|cumulated| *cumulated < point).min(self.0.len() - 1)
    }
}
