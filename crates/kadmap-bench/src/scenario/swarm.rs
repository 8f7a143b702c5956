//! Puts, gets and appends of a swarm in one process: how many per second, and how long one takes.

use crate::args::Part;
use crate::bench::Bench;
use crate::echo;
use crate::error::BenchError;
use crate::load::{Fault, Outcome, Turn};
use crate::records::{Lists, Records};
use crate::redundancy::Redundancy;
use crate::report::{ScenarioReport, Target};
use crate::swarm::Swarm;

/// Operations of each throughput measurement unless told otherwise: seconds at the speeds aimed at.
const OPS: u64 = 30_000;
/// Operations of each latency measurement unless told otherwise: enough for a p99.
const SEQUENTIAL_OPS: u64 = 4_000;
/// Lists that appends go to: many, as appends to one list contend for its record.
const LISTS: u64 = 256;
/// Echoes of the yardstick per thread.
const ECHOES: u64 = 50_000;

/// What the figures of one redundancy should be.
#[derive(Debug, Clone, Copy, Default)]
struct Targets {
    puts_per_s: Option<f64>,
    gets_per_s: Option<f64>,
    appends_per_s: Option<f64>,
    put_p50_ms: Option<f64>,
    get_p50_ms: Option<f64>,
}

impl Targets {
    fn of(redundancy: Redundancy) -> Self {
        match redundancy {
            Redundancy::DEFAULT => DEFAULT_TARGETS,
            Redundancy::LIGHT => LIGHT_TARGETS,
            _ => Self::default(),
        }
    }
}

const DEFAULT_TARGETS: Targets = Targets {
    puts_per_s: Some(5_000.0),
    gets_per_s: Some(10_000.0),
    appends_per_s: Some(5_000.0),
    put_p50_ms: Some(0.7),
    get_p50_ms: Some(0.4),
};
const LIGHT_TARGETS: Targets = Targets {
    puts_per_s: Some(10_000.0),
    gets_per_s: Some(30_000.0),
    appends_per_s: None,
    put_p50_ms: Some(0.45),
    get_p50_ms: Some(0.12),
};
/// The most that 32 nodes may take until all serve.
const JOINED_MS_MAX: f64 = 500.0;

/// What the throughput figures are compared with.
const ECHO_RATE: &str = "UDP echoes/s";
/// What the latency figures are compared with.
const ECHO_ROUND_TRIP: &str = "UDP echo p50";

pub(crate) fn run(bench: &Bench<'_>) -> Result<ScenarioReport, BenchError> {
    let settings = format!(
        "{} nodes in one process, {}, {} B values; throughput {} in flight on {} threads, latency one at a time on {}",
        bench.nodes(),
        bench.place(),
        bench.args.value_bytes,
        bench.args.in_flight,
        bench.threads(),
        bench.latency_threads(),
    );
    let mut report = ScenarioReport::new("swarm", settings);
    let cases = [Redundancy::DEFAULT, Redundancy::LIGHT];
    let asked = bench.args.replication.is_some() || bench.args.consistency.is_some();
    for redundancy in cases.into_iter().take(if asked { 1 } else { cases.len() }) {
        let redundancy = bench.redundancy(redundancy);
        let case = Case { bench, redundancy, targets: Targets::of(redundancy) };
        case.throughput(&mut report)?;
        case.latency(&mut report)?;
    }
    Ok(report)
}

/// One redundancy to measure with.
struct Case<'a> {
    bench: &'a Bench<'a>,
    redundancy: Redundancy,
    targets: Targets,
}

impl Case<'_> {
    fn throughput(&self, report: &mut ScenarioReport) -> Result<(), BenchError> {
        let wanted = [Part::Puts, Part::Gets, Part::Appends].map(|part| self.bench.args.wants(part));
        if wanted == [false; 3] {
            return Ok(());
        }
        let (bench, targets) = (self.bench, self.targets);
        let echo =
            echo::within_process(bench.threads(), ECHOES, bench.args.in_flight, bench.args.value_bytes)?;
        let housed = bench.swarm(bench.nodes(), bench.threads(), self.redundancy.builder())?;
        let joined = housed.swarm.joined_in().as_secs_f64() * 1e3;
        housed.swarm.first_gets()?;
        report.add(self.name("joined in"), Some(joined), "ms", Some(Target::AtMost(JOINED_MS_MAX)), None);
        report.add(self.name("UDP echoes"), Some(echo.per_second), "/s", None, None);
        let ops = bench.args.ops.unwrap_or(OPS);
        let (puts, gets) = {
            let records = Records::new("key", ops, bench.args.value_bytes);
            (records.clone(), records)
        };
        let add = |report: &mut ScenarioReport, what: &str, outcome: &Outcome, least: Option<f64>| {
            self.count(report, what, outcome);
            let rate = Some(outcome.per_second());
            report.add(
                self.name(what),
                rate,
                "/s",
                least.map(Target::AtLeast),
                Some((echo.per_second, ECHO_RATE)),
            );
        };
        if wanted[0] || wanted[1] {
            let outcome = self.load(&housed.swarm, "puts/s", ops, 1, move |turn| puts.clone().put(turn));
            add(report, "puts", &outcome, targets.puts_per_s);
        }
        if wanted[1] {
            let outcome =
                self.load(&housed.swarm, "gets/s", ops, 2, move |turn| gets.clone().read_random(turn));
            add(report, "gets", &outcome, targets.gets_per_s);
        }
        if wanted[2] {
            let lists = Lists::new(LISTS, bench.args.value_bytes);
            let work = lists.clone();
            let outcome =
                self.load(&housed.swarm, "appends/s", ops, 3, move |turn| work.clone().append(turn));
            add(report, "appends", &outcome, targets.appends_per_s);
            if outcome.failed == 0 {
                let check = move |turn| lists.clone().check(turn, ops);
                report.count(&self.load(&housed.swarm, "lists read back", LISTS.min(ops), 4, check));
            }
        }
        Ok(())
    }

    fn latency(&self, report: &mut ScenarioReport) -> Result<(), BenchError> {
        let wanted = [Part::PutLatency, Part::GetLatency].map(|part| self.bench.args.wants(part));
        if wanted == [false; 2] {
            return Ok(());
        }
        let (bench, targets) = (self.bench, self.targets);
        let threads = bench.latency_threads();
        let mut echo = echo::within_process(1, ECHOES / 10, 1, bench.args.value_bytes)?;
        let echo_p50 = echo.round_trips.p50_ms();
        let housed = bench.swarm(bench.nodes(), threads, self.redundancy.builder())?;
        housed.swarm.first_gets()?;
        report.add(self.name("UDP echo p50"), echo_p50, "ms", None, None);
        let ops = bench.args.ops.unwrap_or(SEQUENTIAL_OPS).min(SEQUENTIAL_OPS * 10);
        let (puts, gets) = {
            let records = Records::new("key", ops, bench.args.value_bytes);
            (records.clone(), records)
        };
        let base = echo_p50.map(|p50| (p50, ECHO_ROUND_TRIP));
        let add = |report: &mut ScenarioReport, what: &str, mut outcome: Outcome, most: Option<f64>| {
            self.count(report, what, &outcome);
            let latencies = &mut outcome.latencies;
            let (p50, p99) = (latencies.p50_ms(), latencies.p99_ms());
            report.add(self.name(&format!("{what} p50")), p50, "ms", most.map(Target::AtMost), base);
            report.add(self.name(&format!("{what} p99")), p99, "ms", None, base);
        };
        let sequence = |what: &str, salt| {
            bench.progress.begin(self.name(what));
            bench.sequence(ops, salt)
        };
        let outcome = sequence("put latency", 5)
            .run(&housed.swarm, &bench.progress, move |turn| puts.clone().put(turn));
        if wanted[0] {
            add(report, "put", outcome, targets.put_p50_ms);
        }
        if wanted[1] {
            let outcome = sequence("get latency", 6)
                .run(&housed.swarm, &bench.progress, move |turn| gets.clone().read_random(turn));
            add(report, "get", outcome, targets.get_p50_ms);
        }
        Ok(())
    }

    /// Counts what went wrong, and names the measurement in which it did.
    fn count(&self, report: &mut ScenarioReport, what: &str, outcome: &Outcome) {
        report.count(outcome);
        let bad = outcome.failed + outcome.wrong;
        let share = (bad > 0).then(|| bad as f64 * 100.0 / (bad + outcome.succeeded) as f64);
        report.add(
            self.name(&format!("{what} failed or wrong")),
            share,
            "%",
            Some(Target::AtMost(0.0)),
            None,
        );
    }

    fn load<F, Fut>(&self, swarm: &Swarm, what: &str, ops: u64, salt: u64, operation: F) -> Outcome
    where
        F: Fn(Turn) -> Fut + Clone + Send + 'static,
        Fut: Future<Output = Result<(), Fault>> + Send + 'static,
    {
        self.bench.progress.begin(self.name(what));
        self.bench.load(ops, salt).run(swarm, &self.bench.progress, operation)
    }

    fn name(&self, what: &str) -> String {
        format!("{} {what}", self.redundancy)
    }
}
