//! How long broadcasts take, as a histogram. The Hub observes, the metrics read, and neither waits.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// The upper bounds of the buckets, in seconds. A last one without a bound follows.
pub(crate) const BOUNDS: [f64; 12] =
    [0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 10.0];

/// See the [module's documentation](self).
#[derive(Debug, Default)]
pub(crate) struct Histogram {
    /// The observations in each bucket alone; those beyond all bounds are in `beyond`.
    buckets: [AtomicU64; BOUNDS.len()],
    beyond: AtomicU64,
    /// In microseconds.
    sum: AtomicU64,
}

impl Histogram {
    /// Adds `count` observations of this time.
    pub(crate) fn observe(&self, time: Duration, count: u64) {
        let seconds = time.as_secs_f64();
        let bucket = BOUNDS.iter().zip(&self.buckets).find(|(bound, _)| seconds <= **bound);
        bucket.map_or(&self.beyond, |(_, bucket)| bucket).fetch_add(count, Relaxed);
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.sum.fetch_add(micros.saturating_mul(count), Relaxed);
    }

    /// The number of observations up to each bound, and the number of all.
    pub(crate) fn cumulative(&self) -> (Vec<(f64, u64)>, u64) {
        let mut count = 0;
        let buckets = BOUNDS.iter().zip(&self.buckets).map(|(bound, bucket)| {
            count += bucket.load(Relaxed);
            (*bound, count)
        });
        let buckets = buckets.collect();
        (buckets, count + self.beyond.load(Relaxed))
    }

    /// The sum of all observations, in seconds.
    pub(crate) fn sum(&self) -> f64 {
        Duration::from_micros(self.sum.load(Relaxed)).as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_observation_is_in_its_bucket_and_in_all_larger_ones() {
        let histogram = Histogram::default();
        histogram.observe(Duration::from_micros(300), 2);
        histogram.observe(Duration::from_secs(60), 1);
        let (buckets, count) = histogram.cumulative();
        assert_eq!(count, 3);
        assert_eq!(buckets[1], (0.000_25, 0));
        assert_eq!(buckets[2], (0.0005, 2));
        assert_eq!(buckets[11], (10.0, 2));
        assert!((histogram.sum() - 60.0006).abs() < 1e-9);
    }
}
