//! The Grafana dashboard asks only for metrics that the hub has.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::http::web::Web;

const DASHBOARD: &str = include_str!("../../packaging/grafana-dashboard.json");

/// The queries anywhere in the dashboard.
fn queries<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(fields) => {
            for (key, field) in fields {
                match field {
                    Value::String(text) if ["expr", "query"].contains(&&**key) => found.push(text),
                    _ => queries(field, found),
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|one| queries(one, found)),
        _ => {}
    }
}

/// The names of metrics in a query: words that start as ours do.
fn metrics(query: &str) -> impl Iterator<Item = &str> {
    let words = query.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("linehub_") || word.starts_with("process_"))
}

#[test]
fn the_dashboard_uses_only_metrics_that_exist() {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let mut found = Vec::new();
    queries(&dashboard, &mut found);
    let used: BTreeSet<_> = found.into_iter().flat_map(metrics).collect();
    assert!(used.len() > 15, "{used:?}");

    let page = Web::start().get("/metrics").body;
    let samples = page.lines().filter(|line| !line.starts_with('#'));
    let existing: BTreeSet<_> = samples.filter_map(|line| line.split(['{', ' ']).next()).collect();
    let unknown: Vec<_> = used.difference(&existing).collect();
    assert!(unknown.is_empty(), "{unknown:?} are not among {existing:?}");
}
