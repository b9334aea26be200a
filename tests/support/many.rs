//! Many at once: servers over one database, clients of theirs, and work that all of them begin together.

use std::sync::Barrier;

use super::client::Client;
use super::server::Server;

/// Two servers over one database: what they do meets in Postgres only.
pub fn pair() -> [Server; 2] {
    let first = Server::start();
    let second = Server::over(&first.database_url, |_| {}, |_| {});
    [first, second]
}

/// Clients whose connections are open, divided among the servers.
pub fn clients(servers: &[Server], count: usize) -> Vec<Client> {
    let made = (0..count).map(|index| servers[index % servers.len()].client());
    made.map(|mut client| {
        client.get("/health/live").expect(200);
        client
    })
    .collect()
}

/// Does `work` with every client, all at the same time; the results in their order.
pub fn at_once<T: Send>(
    clients: &mut [Client],
    work: impl Fn(usize, &mut Client) -> T + Sync,
) -> Vec<T> {
    let (barrier, work) = (&Barrier::new(clients.len()), &work);
    std::thread::scope(|scope| {
        let spawn = |(index, client)| {
            scope.spawn(move || {
                barrier.wait();
                work(index, client)
            })
        };
        let threads: Vec<_> = clients.iter_mut().enumerate().map(spawn).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    })
}
