//! Micro-benchmarks of the pure core: what reading a request, deciding and believing cost without a database.
//!
//! `cargo bench --bench core`. Batches are cloned outside of what is timed.

use std::error::Error;
use std::hint::black_box;

use criterion::measurement::WallTime;
use criterion::{BatchSize, BenchmarkGroup, Criterion, Throughput};
use uuid::Uuid;

use ifmatch::protocol::belief::believe;
use ifmatch::protocol::clock::Timestamp;
use ifmatch::protocol::command::{Action, Command};
use ifmatch::protocol::condition::{Conditions, TagList};
use ifmatch::protocol::decide::decide;
use ifmatch::protocol::limits::BODY_BYTES_MAX;
use ifmatch::protocol::media::ContentType;
use ifmatch::protocol::name::{Collection, Key, ResourceName, Tenant, TransactionId};
use ifmatch::protocol::operation::parse_put;
use ifmatch::protocol::prefer::Preferences;
use ifmatch::protocol::state::Resource;
use ifmatch::protocol::tag::StateTag;
use ifmatch::protocol::world::{Ground, World};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// 2026-11-25, in microseconds since 1970.
const NOW: Timestamp = Timestamp::from_micros(1_795_000_000_000_000);
/// 30 days earlier.
const GROUND: Ground = Ground {
    now: NOW,
    purge_horizon: Timestamp::from_micros(1_792_400_000_000_000),
    version_floor: 0,
    epoch: 0,
};
/// Commands of a full batch.
const BATCH: usize = 64;

fn main() -> Result<()> {
    let mut criterion = Criterion::default().configure_from_args();
    headers(&mut criterion);
    operations(&mut criterion)?;
    decisions(&mut criterion)?;
    criterion.final_summary();
    Ok(())
}

fn headers(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("header");
    let one: &[&[u8]] = &[br#""7.6fde8c61e9429a6c""#];
    let ten = [r#""7.6fde8c61e9429a6c""#; 10].join(", ");
    let ten: &[&[u8]] = &[ten.as_bytes()];
    for (name, lines) in [
        ("star", &[b"*".as_slice()][..]),
        ("1 tag", one),
        ("10 tags", ten),
    ] {
        group.bench_function(format!("If-Match, {name}"), |bencher| {
            bencher.iter(|| Conditions::parse(black_box(lines), &[], &[], &[]));
        });
    }
    group.bench_function("if_match of a change", |bencher| {
        bencher.iter(|| TagList::parse_change(black_box("7.6fde8c61e9429a6c")));
    });
    let prefer: &[&[u8]] = &[
        b"return=representation, handling=strict; foo=\"a,b\"",
        b"wait=10",
    ];
    group.bench_function("Prefer", |bencher| {
        bencher.iter(|| Preferences::parse(black_box(prefer)));
    });
    group.bench_function("Content-Type", |bencher| {
        bencher.iter(|| ContentType::parse(black_box(b"application/json; charset=utf-8")));
    });
    group.finish();
}

fn operations(criterion: &mut Criterion) -> Result<()> {
    let mut group = criterion.benchmark_group("operation");
    for changes in [2, 100] {
        let content = operation(&(0..changes).collect::<Vec<_>>(), "1.0000000000000001");
        parse_put(content.as_bytes(), true).map_err(|problem| format!("{problem:?}"))?;
        group.throughput(Throughput::Elements(changes as u64));
        group.bench_function(format!("parse, {changes} changes"), |bencher| {
            bencher.iter(|| parse_put(black_box(content.as_bytes()), true));
        });
    }
    group.finish();
    Ok(())
}

/// `decide` and `believe`: operations of two changes under exact tags, alone and 64 of them, and 64 under `*` on one key.
fn decisions(criterion: &mut Criterion) -> Result<()> {
    let pairs = |count: usize| -> Result<Vec<Command>> {
        (0..count)
            .map(|number| command(number, &[2 * number, 2 * number + 1], "1.0000000000000001"))
            .collect()
    };
    let hot: Result<Vec<Command>> = (0..BATCH)
        .map(|number| command(number, &[0], "*"))
        .collect();
    let (one, many, hot) = (pairs(1)?, pairs(BATCH)?, hot?);
    let mut group = criterion.benchmark_group("decide");
    decide_batch(&mut group, "1 command", &one)?;
    decide_batch(&mut group, "64 commands", &many)?;
    decide_batch(&mut group, "64 commands, one hot key", &hot)?;
    group.finish();
    let mut group = criterion.benchmark_group("believe");
    for (name, commands) in [("1 command", &one), ("64 commands", &many)] {
        let schemas = Default::default();
        let certain = || believe(black_box(commands), GROUND, &schemas, BODY_BYTES_MAX);
        if certain().is_none() {
            return Err("exact tags are believed".into());
        }
        group.throughput(Throughput::Elements(commands.len() as u64));
        group.bench_function(name, |bencher| bencher.iter_with_large_drop(certain));
    }
    group.finish();
    Ok(())
}

fn decide_batch(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    commands: &[Command],
) -> Result<()> {
    let world = world()?;
    let decide_all = |world: &mut World| {
        commands
            .iter()
            .filter(|command| decide(world, black_box(command)).is_ok())
            .count()
    };
    // Refusals are cheaper: a batch that is timed has none.
    if decide_all(&mut world.clone()) != commands.len() {
        return Err("every command of the batch succeeds".into());
    }
    group.throughput(Throughput::Elements(commands.len() as u64));
    group.bench_function(name, |bencher| {
        let fresh = || world.clone();
        bencher.iter_batched_ref(fresh, decide_all, BatchSize::SmallInput);
    });
    Ok(())
}

/// As many resources as the batches name, all at version 1.
fn world() -> Result<World> {
    let mut world = World::new(GROUND, BODY_BYTES_MAX);
    for key in 0..2 * BATCH {
        let resource = Resource {
            tag: StateTag {
                version: 1,
                nonce: 1,
            },
            deleted: false,
            media_type: "application/json".into(),
            body: Some(r#"{"balance":1000}"#.into()),
            updated_at: NOW,
            transaction: TransactionId::from_uuid(Uuid::nil()),
        };
        world.load_resource(name(key)?, resource);
    }
    Ok(world)
}

fn name(key: usize) -> Result<ResourceName> {
    Ok(ResourceName {
        collection: Collection::parse("accounts").ok_or("a collection")?,
        key: Key::parse(&format!("k{key:07}")).ok_or("a key")?,
    })
}

/// `PUT /transactions/{id}` that names a new transaction.
fn command(number: usize, keys: &[usize], tag: &str) -> Result<Command> {
    let content = operation(keys, tag);
    let content = parse_put(content.as_bytes(), true).map_err(|problem| format!("{problem:?}"))?;
    // Version 7, as old as NOW, and its number.
    let millis = u128::try_from(NOW.micros() / 1000)?;
    let id = (millis << 80) | (7 << 76) | (2 << 62) | number as u128;
    Ok(Command {
        tenant: Tenant::parse("default").ok_or("a tenant")?,
        id: TransactionId::from_uuid(Uuid::from_u128(id)),
        nonce: number as i64 + 2,
        representation: false,
        strict: false,
        conditions: Ok(Conditions {
            if_none_match: Some(TagList::Star),
            ..Conditions::default()
        }),
        key: None,
        action: Action::Put(Ok(content)),
    })
}

fn operation(keys: &[usize], tag: &str) -> String {
    let changes: Vec<String> = keys
        .iter()
        .map(|key| {
            format!(
                r#"{{"method":"PUT","target":"/resources/accounts/k{key:07}","if_match":"{tag}","body":{{"balance":{key}}}}}"#
            )
        })
        .collect();
    format!(r#"{{"changes":[{}]}}"#, changes.join(","))
}
