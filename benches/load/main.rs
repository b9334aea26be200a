//! A closed-loop load generator: so many keep-alive connections, each sending its next request when the answer to the
//! last one is there. One thread, so that it takes as little of the machine as it can. `scripts/bench.py` runs it.

mod etcd;
mod http;
mod keys;
mod work;
mod worker;

use std::cell::RefCell;
use std::error::Error;
use std::io::Write as _;
use std::rc::Rc;
use std::time::{Duration, Instant};

use clap::Parser;
use hdrhistogram::Histogram;

use http::Connection;
use keys::{Keys, Selection};
use work::{Step, Work};
use worker::Worker;

/// The longest latency that is told apart from longer ones: a minute.
const LATENCY_MAX_US: u64 = 60_000_000;

/// Loads a server. Prints `begin` and `end` on lines of their own when measuring begins and ends, so that others can look
/// at the machine then, and at last one line of JSON with what was measured.
#[derive(Parser)]
struct Arguments {
    /// Where the server listens, `127.0.0.1:8080`.
    #[arg(long)]
    address: String,
    /// What every connection does.
    #[arg(long)]
    work: Work,
    /// How many connections do it.
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// How long it is measured.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// How long it runs before that.
    #[arg(long, default_value_t = 1.0)]
    warmup: f64,
    /// Connections beside them that apply 100-change operations to as many other resources without pause, and are not
    /// measured.
    #[arg(long, default_value_t = 0)]
    beside_large: usize,
    #[command(flatten)]
    selection: Selection,
    /// What `cargo bench` adds.
    #[arg(long, hide = true)]
    bench: bool,
}

/// What was measured, over all connections.
struct Measured {
    latency: Histogram<u64>,
    operations: u64,
    round_trips: u64,
    conflicts: u64,
    failures: u64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, run(arguments))
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let (address, apart) = (&arguments.address, arguments.beside_large > 0);
    let keys = Keys::prepare(address, arguments.work, &arguments.selection, apart).await?;
    let keys = Rc::new(keys);
    let measured = Rc::new(RefCell::new(Measured {
        latency: Histogram::new_with_bounds(1, LATENCY_MAX_US, 3)?,
        operations: 0,
        round_trips: 0,
        conflicts: 0,
        failures: 0,
    }));
    let large = std::iter::repeat_n(Work::Large, arguments.beside_large);
    let works = std::iter::repeat_n(arguments.work, arguments.connections)
        .map(|work| (work, true))
        .chain(large.map(|work| (work, false)));
    let mut workers = Vec::new();
    for (number, (work, counted)) in works.enumerate() {
        let mut connection = Connection::open(&arguments.address).await?;
        let mut worker = Worker::new(work, number, keys.clone(), !counted);
        worker.start(&mut connection).await?;
        workers.push((worker, connection, counted));
    }
    let begin = Instant::now() + Duration::from_secs_f64(arguments.warmup);
    let end = begin + Duration::from_secs_f64(arguments.seconds);
    let mut tasks = vec![tokio::task::spawn_local(announce(begin, end))];
    for (worker, connection, counted) in workers {
        let measured = counted.then(|| measured.clone());
        tasks.push(tokio::task::spawn_local(drive(
            worker,
            connection,
            measured,
            (begin, end),
        )));
    }
    for task in tasks {
        task.await??;
    }
    report(&arguments, &measured.borrow())
}

async fn announce(begin: Instant, end: Instant) -> std::io::Result<()> {
    for (instant, word) in [(begin, "begin"), (end, "end")] {
        tokio::time::sleep_until(instant.into()).await;
        writeln!(std::io::stdout(), "{word}")?;
    }
    Ok(())
}

/// Counts what finishes between `begin` and `end`, as the log of pgbench is read too.
async fn drive(
    mut worker: Worker,
    mut connection: Connection,
    measured: Option<Rc<RefCell<Measured>>>,
    (begin, end): (Instant, Instant),
) -> std::io::Result<()> {
    loop {
        let started = Instant::now();
        if started >= end {
            return Ok(());
        }
        let step = worker.step(&mut connection).await?;
        let finished = Instant::now();
        if let Some(measured) = &measured
            && finished >= begin
            && finished <= end
        {
            measured.borrow_mut().add(&step, finished - started);
        }
    }
}

impl Measured {
    fn add(&mut self, step: &Step, latency: Duration) {
        self.round_trips += step.round_trips;
        self.conflicts += step.conflicts;
        if step.failed {
            self.failures += 1;
        } else {
            self.operations += 1;
            let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
            self.latency.saturating_record(micros);
        }
    }
}

fn report(arguments: &Arguments, measured: &Measured) -> Result<(), Box<dyn Error>> {
    let quantile = |share: f64| measured.latency.value_at_quantile(share);
    let report = serde_json::json!({
        "operations": measured.operations,
        "per_second": measured.operations as f64 / arguments.seconds,
        "round_trips": measured.round_trips,
        "conflicts": measured.conflicts,
        "failures": measured.failures,
        "p50_us": quantile(0.5),
        "p99_us": quantile(0.99),
        "p999_us": quantile(0.999),
        "max_us": measured.latency.max(),
    });
    println!("{report}");
    Ok(())
}
