//! Metrics of the database's connections.

use std::sync::Arc;

use opentelemetry::metrics::Meter;

use sluice_store::{PoolUsage, Store};

/// Publishes how many connections are open, in use and waited for.
pub(crate) fn observe(meter: &Meter, store: &Arc<dyn Store>) {
    let gauge = |name: &'static str, what: &'static str, unit: &'static str, read: fn(PoolUsage) -> usize| {
        let store = Arc::clone(store);
        meter
            .u64_observable_gauge(name)
            .with_description(what)
            .with_unit(unit)
            .with_callback(move |observer| observer.observe(read(store.pool_usage()) as u64, &[]))
            .build();
    };
    gauge("sluice.db.pool.limit", "Database connections that may be open", "{connection}", |pool| pool.limit);
    gauge("sluice.db.pool.size", "Database connections that are open", "{connection}", |pool| pool.open);
    gauge("sluice.db.pool.in_use", "Database connections that calls use", "{connection}", |pool| pool.in_use);
    gauge("sluice.db.pool.waiting", "Calls that wait for a database connection", "{call}", |pool| {
        pool.waiting
    });
}
