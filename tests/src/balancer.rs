//! A balancer in front of several gateways, such as a cluster has.

use crate::{RawConnection, request};
use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    io,
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time,
};

/// The interval of readiness checks.
const PROBE: Duration = Duration::from_millis(50);

/// Passes each connection on to the next gateway that was ready when last asked. Dropping it closes
/// everything.
#[derive(Debug)]
pub struct Balancer {
    address: SocketAddr,
    pool: Arc<Pool>,
    _serving: JoinSet<()>,
}

#[derive(Debug, Default)]
struct Pool {
    members: Mutex<Vec<(SocketAddr, bool)>>,
    next: AtomicUsize,
}

impl Balancer {
    /// Balances between `members`, which are taken for ready.
    pub async fn start(members: &[SocketAddr]) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let pool = Arc::new(Pool::default());
        *pool.lock() = members.iter().map(|member| (*member, true)).collect();
        let mut serving = JoinSet::new();
        serving.spawn(accept(listener, Arc::clone(&pool)));
        serving.spawn(probe(Arc::clone(&pool)));
        Self { address, pool, _serving: serving }
    }

    /// Returns the address of the balancer.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Puts `new` in the place of `old`; it gets connections once it is ready.
    pub fn replace(&self, old: SocketAddr, new: SocketAddr) {
        for member in self.pool.lock().iter_mut().filter(|(member, _)| *member == old) {
            *member = (new, false);
        }
    }

    /// Whether `member` was ready when last asked.
    pub fn is_ready(&self, member: SocketAddr) -> bool {
        self.pool.lock().contains(&(member, true))
    }
}

impl Pool {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(SocketAddr, bool)>> {
        self.members.lock().expect("nobody panics with it")
    }

    fn choose(&self) -> Option<SocketAddr> {
        let ready: Vec<_> = self.lock().iter().filter(|(_, ready)| *ready).copied().collect();
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        ready.get(turn % ready.len().max(1)).map(|(member, _)| *member)
    }
}

async fn accept(listener: TcpListener, pool: Arc<Pool>) {
    let mut passing = JoinSet::new();
    while let Ok((mut caller, _)) = listener.accept().await {
        let member = pool.choose();
        passing.spawn(async move {
            let Some(member) = member else { return };
            let Ok(mut gateway) = TcpStream::connect(member).await else { return };
            // How it ends is for both sides to see.
            let _ = io::copy_bidirectional(&mut caller, &mut gateway).await;
        });
        while passing.try_join_next().is_some() {}
    }
}

async fn probe(pool: Arc<Pool>) {
    loop {
        let members: Vec<_> = pool.lock().iter().map(|(member, _)| *member).collect();
        for asked in members {
            let ready = is_ready(asked).await;
            for member in pool.lock().iter_mut().filter(|(member, _)| *member == asked) {
                member.1 = ready;
            }
        }
        time::sleep(PROBE).await;
    }
}

async fn is_ready(member: SocketAddr) -> bool {
    // Whoever does not listen, or not any more, is not ready.
    let Some(mut raw) = RawConnection::try_connect(member).await else { return false };
    raw.send(request("GET", "/health/ready", &[("Connection", "close")], b"")).await;
    raw.try_reply().await.is_some_and(|reply| reply.status() == 200)
}
