//! A proxy between the server and Postgres' unix socket: it reads the messages of the wire protocol, and breaks the
//! connection at the very one that a test names.

use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use tempfile::TempDir;

pub(super) use crate::support::{PATIENCE, eventually};

/// What to do to the next message that it is meant for; then everything passes again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// COMMIT does not get to Postgres; both sides are cut.
    CutBeforeCommit,
    /// COMMIT is answered; the answer does not get to the server.
    CutAfterCommit,
    /// COMMIT is passed on, and nobody waits for what becomes of it.
    CutWithCommit,
    /// The server is cut; Postgres gets COMMIT once [`Proxy::release`] is called.
    HoldCommit,
    /// The server is cut, and Postgres only once [`Proxy::release`] is called; it never sees COMMIT.
    HoldAndDropCommit,
    /// Both sides are cut instead of passing on the n-th message of the server from now, whatever it is.
    CutAt(usize),
}

/// The proxy; gone when dropped, with all its connections.
pub(super) struct Proxy {
    directory: TempDir,
    shared: Arc<Shared>,
    database_url: String,
}

struct Shared {
    upstream: PathBuf,
    state: Mutex<State>,
    changed: Condvar,
    ended: AtomicBool,
}

#[derive(Default)]
struct State {
    armed: Option<Fault>,
    /// What was seen of the server since the proxy was armed.
    messages: usize,
    /// Faults that have happened.
    struck: usize,
    refusing: bool,
    released: bool,
    connections: Vec<UnixStream>,
}

/// What becomes of a message.
enum Verdict {
    Pass,
    PassAndCut,
    PassAndMute,
    Cut,
    Hold { pass: bool },
}

impl Proxy {
    /// Before the Postgres of a database's URI.
    pub(super) fn before(database_url: &str) -> Self {
        let (scheme, rest) = database_url.split_once('@').unwrap();
        let (host, tail) = rest.split_once(':').unwrap();
        let upstream = percent_encoding::percent_decode_str(host)
            .decode_utf8()
            .unwrap()
            .into_owned();
        let directory = tempfile::Builder::new()
            .prefix("ifmatch-proxy-")
            .permissions(std::fs::Permissions::from_mode(0o755))
            .tempdir_in("/tmp")
            .unwrap();
        let listener = UnixListener::bind(directory.path().join(".s.PGSQL.5432")).unwrap();
        let shared = Arc::new(Shared {
            upstream: PathBuf::from(upstream).join(".s.PGSQL.5432"),
            state: Mutex::default(),
            changed: Condvar::new(),
            ended: AtomicBool::new(false),
        });
        let accepting = shared.clone();
        std::thread::spawn(move || accept(&listener, &accepting));
        let encoded = directory.path().to_str().unwrap().replace('/', "%2F");
        let database_url = format!("{scheme}@{encoded}:{tail}");
        Self {
            directory,
            shared,
            database_url,
        }
    }

    /// The URI of the same database through this proxy.
    pub(super) fn database_url(&self) -> &str {
        &self.database_url
    }

    pub(super) fn arm(&self, fault: Fault) {
        let mut state = self.shared.state.lock().unwrap();
        (state.armed, state.messages, state.released) = (Some(fault), 0, false);
    }

    /// Takes back what has not happened; whether it was still to happen.
    pub(super) fn disarm(&self) -> bool {
        self.shared.state.lock().unwrap().armed.take().is_some()
    }

    /// How many faults have happened.
    pub(super) fn struck(&self) -> usize {
        self.shared.state.lock().unwrap().struck
    }

    /// Lets go of what is held.
    pub(super) fn release(&self) {
        self.shared.state.lock().unwrap().released = true;
        self.shared.changed.notify_all();
    }

    /// Waits until a fault has happened.
    #[track_caller]
    pub(super) fn wait_struck(&self, count: usize) {
        let state = self.shared.state.lock().unwrap();
        let (state, _) = self
            .shared
            .changed
            .wait_timeout_while(state, PATIENCE, |state| state.struck < count)
            .unwrap();
        assert!(state.struck >= count, "the fault did not happen");
    }

    /// Postgres is away: connections are cut, and new ones too.
    pub(super) fn refuse(&self) {
        let mut state = self.shared.state.lock().unwrap();
        state.refusing = true;
        cut_all(&mut state);
    }

    /// Every connection breaks; new ones may be made.
    pub(super) fn cut(&self) {
        cut_all(&mut self.shared.state.lock().unwrap());
    }

    /// Postgres takes no new connections; those there are go on.
    pub(super) fn refuse_new(&self) {
        self.shared.state.lock().unwrap().refusing = true;
    }

    /// Postgres is back.
    pub(super) fn allow(&self) {
        self.shared.state.lock().unwrap().refusing = false;
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        let mut state = self
            .shared
            .state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        state.released = true;
        cut_all(&mut state);
        drop(state);
        self.shared.changed.notify_all();
        // Wakes the listener up.
        let _ = UnixStream::connect(self.directory.path().join(".s.PGSQL.5432"));
    }
}

fn cut_all(state: &mut State) {
    for connection in state.connections.drain(..) {
        let _ = connection.shutdown(Shutdown::Both);
    }
}

fn accept(listener: &UnixListener, shared: &Arc<Shared>) {
    for client in listener.incoming() {
        if shared.ended.load(Ordering::SeqCst) {
            return;
        }
        let Ok(client) = client else { return };
        let mut state = shared.state.lock().unwrap();
        if state.refusing {
            continue;
        }
        let Ok(postgres) = UnixStream::connect(&shared.upstream) else {
            continue;
        };
        state
            .connections
            .extend([client.try_clone().unwrap(), postgres.try_clone().unwrap()]);
        drop(state);
        let link = Arc::new(Link {
            client,
            postgres,
            mute: AtomicBool::new(false),
        });
        let (requests, answers, shared) = (link.clone(), link, shared.clone());
        std::thread::spawn(move || {
            if !matches!(requests.forward(&shared), Ok(Leave::Postgres)) {
                let _ = requests.postgres.shutdown(Shutdown::Both);
            }
            let _ = requests.client.shutdown(Shutdown::Both);
        });
        std::thread::spawn(move || {
            let _ = answers.back();
            let _ = answers.postgres.shutdown(Shutdown::Both);
            let _ = answers.client.shutdown(Shutdown::Both);
        });
    }
}

/// The two sides of one connection.
struct Link {
    client: UnixStream,
    postgres: UnixStream,
    /// Whether Postgres' answers are kept back.
    mute: AtomicBool,
}

/// Which side is left to itself when forwarding has ended.
enum Leave {
    Neither,
    /// It is still doing what it was told, or will answer; the other direction ends it.
    Postgres,
}

impl Link {
    fn forward(&self, shared: &Shared) -> std::io::Result<Leave> {
        let (mut from, mut to) = (&self.client, &self.postgres);
        let mut startup = vec![0; 4];
        from.read_exact(&mut startup)?;
        startup.resize(
            i32::from_be_bytes([startup[0], startup[1], startup[2], startup[3]]).unsigned_abs()
                as usize,
            0,
        );
        from.read_exact(&mut startup[4..])?;
        to.write_all(&startup)?;
        let mut lone = HashSet::new();
        while let Some(message) = read_whole(from)? {
            if let Some(statement) = lone_prepared(&message) {
                lone.insert(statement.to_vec());
            }
            let commits = commits(&message, &lone);
            match judge(shared, commits) {
                Verdict::Pass => to.write_all(&message)?,
                Verdict::Cut => return Ok(Leave::Neither),
                Verdict::PassAndCut => {
                    to.write_all(&message)?;
                    return Ok(Leave::Neither);
                }
                Verdict::PassAndMute => {
                    self.mute.store(true, Ordering::SeqCst);
                    to.write_all(&message)?;
                    // The answer's way ends both sides; only then the server learns of it.
                    wait_closed(from);
                    return Ok(Leave::Postgres);
                }
                Verdict::Hold { pass } => {
                    self.mute.store(true, Ordering::SeqCst);
                    from.shutdown(Shutdown::Both)?;
                    let state = shared.state.lock().unwrap();
                    let held = shared
                        .changed
                        .wait_timeout_while(state, PATIENCE, |state| !state.released)
                        .unwrap();
                    drop(held);
                    if pass {
                        to.write_all(&message)?;
                        return Ok(Leave::Postgres);
                    }
                    return Ok(Leave::Neither);
                }
            }
        }
        Ok(Leave::Neither)
    }

    fn back(&self) -> std::io::Result<()> {
        let (mut from, mut to) = (&self.postgres, &self.client);
        let mut chunk = vec![0; 1 << 16];
        loop {
            let length = from.read(&mut chunk)?;
            if length == 0 || self.mute.load(Ordering::SeqCst) {
                return Ok(());
            }
            to.write_all(&chunk[..length])?;
        }
    }
}

/// Ends when the connection does.
fn wait_closed(mut stream: &UnixStream) {
    while stream.read(&mut [0; 64]).is_ok_and(|length| length > 0) {}
}

/// The name under which a message prepares a statement that is a transaction by itself.
fn lone_prepared(message: &[u8]) -> Option<&[u8]> {
    let (b'P', content) = (message[0], &message[5..]) else {
        return None;
    };
    let mut parts = content.split(|byte| *byte == 0);
    let (name, text) = (parts.next()?, parts.next()?);
    text.starts_with(b"WITH s AS MATERIALIZED (SELECT set_config(")
        .then_some(name)
}

/// Whether a message makes Postgres commit.
fn commits(message: &[u8], lone: &HashSet<Vec<u8>>) -> bool {
    match (message[0], &message[5..]) {
        (b'Q', text) => text.starts_with(b"COMMIT"),
        (b'B', content) => {
            let statement = content.split(|byte| *byte == 0).nth(1);
            statement.is_some_and(|name| lone.contains(name))
        }
        _ => false,
    }
}

fn judge(shared: &Shared, commits: bool) -> Verdict {
    let mut state = shared.state.lock().unwrap();
    state.messages += 1;
    let verdict = match state.armed {
        Some(Fault::CutAt(number)) if state.messages == number => Verdict::Cut,
        Some(Fault::CutBeforeCommit) if commits => Verdict::Cut,
        Some(Fault::CutAfterCommit) if commits => Verdict::PassAndMute,
        Some(Fault::CutWithCommit) if commits => Verdict::PassAndCut,
        Some(Fault::HoldCommit) if commits => Verdict::Hold { pass: true },
        Some(Fault::HoldAndDropCommit) if commits => Verdict::Hold { pass: false },
        _ => return Verdict::Pass,
    };
    state.armed = None;
    state.struck += 1;
    shared.changed.notify_all();
    verdict
}

/// One message; the execution of a prepared statement, which is several, in one piece: Postgres acts on nothing less.
fn read_whole(from: &UnixStream) -> std::io::Result<Option<Vec<u8>>> {
    let Some(mut whole) = read_message(from)? else {
        return Ok(None);
    };
    let mut last = whole[0];
    while whole[0] == b'B' && last != b'S' {
        let Some(next) = read_message(from)? else {
            return Ok(None);
        };
        last = next[0];
        whole.extend(next);
    }
    Ok(Some(whole))
}

/// One message with its head: a type and a length that counts itself.
fn read_message(mut from: &UnixStream) -> std::io::Result<Option<Vec<u8>>> {
    let mut message = vec![0; 5];
    if from.read(&mut message[..1])? == 0 {
        return Ok(None);
    }
    from.read_exact(&mut message[1..])?;
    let length = u32::from_be_bytes([message[1], message[2], message[3], message[4]]) as usize;
    message.resize(length + 1, 0);
    from.read_exact(&mut message[5..])?;
    Ok(Some(message))
}
