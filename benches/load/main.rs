//! A closed-loop load generator: so many keep-alive connections, each sending its next request when the answer to the
//! last one is there. One thread, so that it takes as little of the machine as it can. `scripts/bench.py` runs it.

mod etcd;
mod http;
mod work;

use std::cell::RefCell;
use std::error::Error;
use std::rc::Rc;
use std::time::{Duration, Instant};

use clap::Parser;
use hdrhistogram::Histogram;

use http::Connection;
use work::{Shared, Step, Work, Worker};

/// The longest latency that is told apart from longer ones: a minute.
const LATENCY_MAX_US: u64 = 60_000_000;

/// Loads a server and prints one line of JSON with what was measured.
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
    /// How many resources there are.
    #[arg(long, default_value_t = 100_000)]
    keys: usize,
    /// Connections beside them that apply 100-change operations without pause, and are not measured.
    #[arg(long, default_value_t = 0)]
    beside_large: usize,
    /// The collection; created where it is not there.
    #[arg(long, default_value = "accounts")]
    collection: String,
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
    let shared = Rc::new(
        Shared::prepare(
            &arguments.address,
            arguments.work,
            &arguments.collection,
            arguments.keys,
        )
        .await?,
    );
    let measured = Rc::new(RefCell::new(Measured {
        latency: Histogram::new_with_bounds(1, LATENCY_MAX_US, 3)?,
        operations: 0,
        round_trips: 0,
        conflicts: 0,
        failures: 0,
    }));
    let begin = Instant::now() + Duration::from_secs_f64(arguments.warmup);
    let end = begin + Duration::from_secs_f64(arguments.seconds);
    let mut tasks = Vec::new();
    let large = std::iter::repeat_n(Work::Large, arguments.beside_large);
    let works = std::iter::repeat_n(arguments.work, arguments.connections)
        .map(|work| (work, true))
        .chain(large.map(|work| (work, false)));
    for (number, (work, counted)) in works.enumerate() {
        let connection = Connection::open(&arguments.address).await?;
        let worker = Worker::new(work, number, shared.clone());
        let measured = measured.clone();
        tasks.push(tokio::task::spawn_local(async move {
            drive(worker, connection, &measured, (begin, end), counted).await
        }));
    }
    for task in tasks {
        task.await??;
    }
    report(&arguments, &measured.borrow())
}

async fn drive(
    mut worker: Worker,
    mut connection: Connection,
    measured: &RefCell<Measured>,
    (begin, end): (Instant, Instant),
    counted: bool,
) -> std::io::Result<()> {
    worker.start(&mut connection).await?;
    loop {
        let started = Instant::now();
        if started >= end {
            return Ok(());
        }
        let Step {
            round_trips,
            conflicts,
            failed,
        } = worker.step(&mut connection).await?;
        let finished = Instant::now();
        if counted && started >= begin && finished <= end {
            let mut measured = measured.borrow_mut();
            measured.round_trips += round_trips;
            measured.conflicts += conflicts;
            if failed {
                measured.failures += 1;
            } else {
                measured.operations += 1;
                let micros = u64::try_from((finished - started).as_micros()).unwrap_or(u64::MAX);
                measured.latency.saturating_record(micros);
            }
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
