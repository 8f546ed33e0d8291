//! Tables of medians and ratios.

use super::{
    Samples,
    load::Sample,
    programs::LoadTarget,
    scenarios::{self, Scenario},
};
use crate::terminal::table;

/// Processor time: per request, or per chunk of a stream.
pub(super) fn cpu(samples: &Samples) -> String {
    let mut rows = vec![row(["", "per", "bare", "gateway", "ratio", "goal", "req/s"])];
    for scenario in scenarios::ALL {
        let cost = |sample: &Sample| {
            if scenario.per_chunk() {
                sample.watched.cpu_us_per_event.unwrap_or_default()
            } else {
                sample.watched.cpu_us_per_request
            }
        };
        let figure = |target, of: &dyn Fn(&Sample) -> f64| median(samples, scenario, target, of);
        let (Some(bare), Some(gateway)) =
            (figure(LoadTarget::Bare, &cost), figure(LoadTarget::Gateway, &cost))
        else {
            continue;
        };
        let rate = figure(LoadTarget::Gateway, &|sample| sample.rps).unwrap_or_default();
        rows.push(row([
            scenario.name,
            if scenario.per_chunk() { "chunk" } else { "request" },
            &format!("{bare:.2}"),
            &format!("{gateway:.2}"),
            &format!("{:.2}", gateway / bare),
            &scenario.goal.map_or_else(String::new, |goal| format!("<= {goal}")),
            &format!("{rate:.0}"),
        ]));
    }
    table(&rows)
}

/// Latency, and what the gateway adds to it, as a multiple of what the bare proxy adds.
pub(super) fn latency(samples: &Samples) -> String {
    let mut rows = vec![row(["", "direct", "bare", "gateway", "added"])];
    for scenario in scenarios::ALL {
        let p50 = |target| median(samples, scenario, target, &|sample| sample.latency_us.p50);
        let all = (p50(LoadTarget::Direct), p50(LoadTarget::Bare), p50(LoadTarget::Gateway));
        let (Some(direct), Some(bare), Some(gateway)) = all else { continue };
        rows.push(row([
            scenario.name,
            &format!("{direct:.0}"),
            &format!("{bare:.0}"),
            &format!("{gateway:.0}"),
            &added(direct, bare, gateway),
        ]));
    }
    table(&rows)
}

/// On a busy machine the bare proxy may seem to add nothing: then there is no ratio.
fn added(direct: f64, bare: f64, gateway: f64) -> String {
    let ratio = (gateway - direct) / (bare - direct);
    if bare > direct { format!("{ratio:.2}") } else { "-".to_owned() }
}

fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(str::to_owned).to_vec()
}

fn median(
    samples: &Samples,
    scenario: &Scenario,
    target: LoadTarget,
    of: &dyn Fn(&Sample) -> f64,
) -> Option<f64> {
    let samples = samples.get(&(scenario.name, target))?;
    middle(samples.iter().map(of).collect())
}

/// The median; of an even number of figures, the mean of the two in the middle.
fn middle(mut figures: Vec<f64>) -> Option<f64> {
    figures.sort_by(f64::total_cmp);
    let last = figures.len().checked_sub(1)?;
    Some(f64::midpoint(*figures.get(last / 2)?, *figures.get(last.div_ceil(2))?))
}

#[cfg(test)]
mod tests {
    use super::super::{
        Samples,
        load::{ProcessUsage, Quantiles, Sample},
        programs::LoadTarget,
        scenarios,
    };
    use super::{added, cpu, latency, middle};

    fn sample(cost: f64, p50: f64) -> Sample {
        let watched = ProcessUsage { cpu_us_per_request: cost, ..ProcessUsage::default() };
        let mut sample = Sample::default();
        (sample.watched, sample.latency_us) = (watched, Quantiles { p50 });
        sample
    }

    #[test]
    fn median_is_middle_value() {
        assert_eq!(middle(vec![]), None);
        assert_eq!(middle(vec![3.0, 1.0, 9.0]), Some(3.0));
        assert_eq!(middle(vec![1.0, 2.0, 4.0, 9.0]), Some(3.0));
    }

    #[test]
    fn noise_is_no_ratio() {
        assert_eq!(added(20.0, 50.0, 65.0), "1.50");
        assert_eq!(added(50.0, 50.0, 65.0), "-");
    }

    #[test]
    fn tables_hold_ratios_of_medians() {
        let name = scenarios::ALL[1].name;
        let samples = Samples::from([
            ((name, LoadTarget::Direct), vec![sample(1.0, 100.0)]),
            (
                (name, LoadTarget::Bare),
                vec![sample(10.0, 120.0), sample(20.0, 120.0), sample(90.0, 120.0)],
            ),
            ((name, LoadTarget::Gateway), vec![sample(30.0, 150.0)]),
        ]);
        let (cpu, latency) = (cpu(&samples), latency(&samples));
        assert!(cpu.contains("20.00    30.00   1.50  <= 1.5"), "{cpu}");
        assert!(latency.trim_end().ends_with("2.50"), "{latency}");
        assert_eq!(cpu.lines().count(), 2, "what was not measured is left out: {cpu}");
    }
}
