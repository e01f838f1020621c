use crate::live::{Door, Hub};
use parlour_core::Core;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use std::fmt;

/// What is known without counting, gathered when somebody asks.
pub(super) struct Gathered {
    pub(super) core: Core,
    pub(super) hub: Hub,
}

impl fmt::Debug for Gathered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Gathered")
    }
}

impl Collector for Gathered {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let store = &self.core.store;
        let mut gauge = |name: &str, about: &str, value: u64| {
            let value = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            value.encode(encoder.encode_descriptor(name, about, None, MetricType::Gauge)?)
        };
        gauge("store_changes_waiting", "Changes that wait for the writer", store.waiting_changes() as u64)?;
        gauge("store_accepts_writes", "1 while changes are taken", u64::from(store.accepts_writes()))?;
        if let Some((database, log)) = store.file_bytes() {
            gauge("store_database_bytes", "Size of the database file", database)?;
            gauge("store_log_bytes", "Size of the write-ahead log", log)?;
        }
        gauge("process_resident_bytes", "Memory of this process", resident_bytes())?;
        gauge("process_open_files", "File handles of this process", open_files())?;
        if let Some(round_trips) = store.round_trips() {
            let about = "Times that PostgreSQL was waited for";
            let family = encoder.encode_descriptor("store_round_trips", about, None, MetricType::Counter)?;
            ConstCounter::new(round_trips).encode(family)?;
        }
        self.encode_live(&mut encoder)?;
        let caches = self.core.cache_statistics();
        let about = "Questions that a cache could answer";
        let mut family = encoder.encode_descriptor("cache_hits", about, None, MetricType::Counter)?;
        for (cache, of) in caches {
            ConstCounter::new(of.hits).encode(family.encode_family(&[("cache", cache)])?)?;
        }
        let about = "Questions that a cache could not answer";
        let mut family = encoder.encode_descriptor("cache_misses", about, None, MetricType::Counter)?;
        for (cache, of) in caches {
            ConstCounter::new(of.misses).encode(family.encode_family(&[("cache", cache)])?)?;
        }
        let about = "Memory that a cache takes, about";
        let mut family = encoder.encode_descriptor("cache_bytes", about, None, MetricType::Gauge)?;
        for (cache, of) in caches {
            ConstGauge::new(i64::try_from(of.bytes).unwrap_or(i64::MAX))
                .encode(family.encode_family(&[("cache", cache)])?)?;
        }
        let about = "Always 1; the label says which release runs";
        let mut family = encoder.encode_descriptor("build_info", about, None, MetricType::Gauge)?;
        ConstGauge::new(1_i64).encode(family.encode_family(&[("version", env!("CARGO_PKG_VERSION"))])?)
    }
}

impl Gathered {
    fn encode_live(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let counted = Door::ALL.map(|door| ([("protocol", door.as_str())], self.hub.counted(door)));
        let about = "Sockets, streams and waiting requests that are open";
        let mut family = encoder.encode_descriptor("live_sockets_open", about, None, MetricType::Gauge)?;
        for (labels, of) in &counted {
            ConstGauge::new(of.open.cast_signed()).encode(family.encode_family(labels)?)?;
        }
        let about = "Events that they were told";
        let mut family = encoder.encode_descriptor("live_frames", about, None, MetricType::Counter)?;
        for (labels, of) in &counted {
            ConstCounter::new(of.frames).encode(family.encode_family(labels)?)?;
        }
        let about = "How many were closed because they did not take what they were told";
        let mut family = encoder.encode_descriptor("live_resyncs", about, None, MetricType::Counter)?;
        for (labels, of) in &counted {
            ConstCounter::new(of.resyncs).encode(family.encode_family(labels)?)?;
        }
        Ok(())
    }
}

/// 0 where the system does not say.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kib =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.unwrap_or_default() * 1024
}

/// 0 where the system does not say.
fn open_files() -> u64 {
    std::fs::read_dir("/proc/self/fd").map_or(0, |files| files.count() as u64)
}
