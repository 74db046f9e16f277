//! Metrics as Envoy keeps them.

use std::collections::BTreeMap;

use super::calls::Answer;
use super::host::Metric;
use super::link::Given;
use super::status;

const COUNTER: u32 = 0;
const GAUGE: u32 = 1;
const HISTOGRAM: u32 = 2;

type Metrics = BTreeMap<u32, Metric>;

pub(super) fn define(metrics: &mut Metrics, kind: u32, name: &[u8]) -> Answer {
    if kind > HISTOGRAM {
        return Err(status::BAD_ARGUMENT);
    }
    let id = metrics.len() as u32 + 1;
    let name = name.to_vec();
    let metric = Metric {
        kind,
        name,
        value: 0,
    };
    metrics.insert(id, metric);
    Ok(vec![Given::Number(u64::from(id))])
}

pub(super) fn get(metrics: &Metrics, id: u32) -> Answer {
    let metric = metrics.get(&id).ok_or(status::NOT_FOUND)?;
    if metric.kind == HISTOGRAM {
        return Err(status::BAD_ARGUMENT);
    }
    Ok(vec![Given::Number(metric.value)])
}

pub(super) fn record(metrics: &mut Metrics, id: u32, value: u64) -> Answer {
    let metric = metrics.get_mut(&id).ok_or(status::NOT_FOUND)?;
    metric.value = match metric.kind {
        COUNTER => metric.value.saturating_add(value),
        _ => value,
    };
    Ok(Vec::new())
}

pub(super) fn increment(metrics: &mut Metrics, id: u32, by: i64) -> Answer {
    let metric = metrics.get_mut(&id).ok_or(status::NOT_FOUND)?;
    match metric.kind {
        COUNTER if by > 0 => {}
        GAUGE => {}
        _ => return Err(status::BAD_ARGUMENT),
    }
    metric.value = metric.value.saturating_add_signed(by);
    Ok(Vec::new())
}
