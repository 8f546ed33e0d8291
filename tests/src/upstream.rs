//! A scripted provider, which follows its script however wrong it is.

use crate::{
    PATIENCE,
    exchange::{Exchange, ExchangeEnd},
    http::{Body, MessageHead},
    openai,
    script::{Script, ScriptStep},
};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinSet,
    time::{self, Instant},
};

/// A provider on its own port.
///
/// Each request takes the next script; without one, the usual script if there is one; without that
/// it is answered as OpenAI would, streamed or not. Dropping it closes everything.
#[derive(Debug)]
pub struct Upstream {
    port: u16,
    shared: Arc<SharedState>,
    _serving: JoinSet<()>,
}

#[derive(Debug)]
struct SharedState {
    state: Mutex<UpstreamState>,
    changed: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct UpstreamState {
    scripts: VecDeque<Script>,
    usual: Option<Script>,
    /// The script for the request of this number and body, if none is queued.
    numbered: Option<fn(usize, &[u8]) -> Script>,
    /// The script for the request of this path and body, if none is queued.
    addressed: Option<fn(&str, &[u8]) -> Script>,
    /// The script for the request with this head and body, if none is queued.
    by_head: Option<fn(&MessageHead, &[u8]) -> Script>,
    exchanges: Vec<Exchange>,
    /// Whether requests are answered without being recorded.
    is_forgetful: bool,
    connections: usize,
}

impl Upstream {
    /// Starts it on a free port.
    pub async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let shared =
            Arc::new(SharedState { state: Mutex::default(), changed: watch::channel(()).0 });
        let mut serving = JoinSet::new();
        serving.spawn(accept(listener, Arc::clone(&shared)));
        Self { port, shared, _serving: serving }
    }

    /// Returns the base URL of its API.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/v1", self.port)
    }

    /// The port it listens on.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Queues the script of the next request.
    pub fn next(&self, script: Script) {
        self.shared.with(|state| state.scripts.push_back(script));
    }

    /// Sets the script of requests without a queued one.
    pub fn always(&self, script: Script) {
        self.shared.with(|state| state.usual = Some(script));
    }

    /// Sets the scripts of requests without a queued one, by number and body.
    pub fn numbered(&self, script: fn(usize, &[u8]) -> Script) {
        self.shared.with(|state| state.numbered = Some(script));
    }

    /// Sets the scripts of requests without a queued one, by path and body.
    pub fn addressed(&self, script: fn(&str, &[u8]) -> Script) {
        self.shared.with(|state| state.addressed = Some(script));
    }

    /// Sets the scripts of requests without a queued one, by head and body.
    pub fn by_head(&self, script: fn(&MessageHead, &[u8]) -> Script) {
        self.shared.with(|state| state.by_head = Some(script));
    }

    /// Stops recording requests, for load that would fill the memory of the test.
    pub fn forget(&self) {
        self.shared.with(|state| state.is_forgetful = true);
    }

    /// Every request so far.
    pub fn exchanges(&self) -> Vec<Exchange> {
        self.shared.with(|state| state.exchanges.clone())
    }

    /// Returns the last exchange.
    pub fn last(&self) -> Exchange {
        self.exchanges().pop().expect("a request")
    }

    /// Returns the number of connections so far.
    pub fn connections(&self) -> usize {
        self.shared.with(|state| state.connections)
    }

    /// Waits until `number` requests have arrived.
    pub async fn arrived(&self, number: usize) {
        self.until(|exchanges| exchanges.len() >= number).await;
    }

    /// Waits until a request has arrived and every one so far has ended; returns the end of the
    /// last one.
    pub async fn ended(&self) -> ExchangeEnd {
        let over = |it: &Exchange| it.ended.is_some();
        self.until(|exchanges| !exchanges.is_empty() && exchanges.iter().all(over)).await;
        self.last().ended.expect("it has ended")
    }

    /// Waits until what it remembers is so.
    pub async fn until(&self, is_so: impl Fn(&[Exchange]) -> bool) {
        let mut changes = self.shared.changed.subscribe();
        let waiting = async {
            while !self.shared.with(|state| is_so(&state.exchanges)) {
                changes.changed().await.expect("the upstream is there");
            }
        };
        let is_so = time::timeout(PATIENCE, waiting).await.is_ok();
        assert!(is_so, "in vain; the upstream remembers {:#?}", self.exchanges());
    }
}

impl SharedState {
    fn with<T>(&self, act: impl FnOnce(&mut UpstreamState) -> T) -> T {
        act(&mut self.state.lock().expect("nobody panicked"))
    }

    /// Notes a request and takes its script.
    fn take(&self, connection: usize, head: MessageHead, body: Vec<u8>) -> (usize, Script) {
        let taken = self.with(|state| {
            let planned = state.scripts.pop_front().or_else(|| state.usual.clone());
            let number = state.exchanges.len();
            let numbered = || state.numbered.map(|script| script(number, &body));
            let addressed = || state.addressed.map(|script| script(head.word(1), &body));
            let by_head = || state.by_head.map(|script| script(&head, &body));
            let script = planned.or_else(numbered).or_else(addressed).or_else(by_head);
            let script = script.unwrap_or_else(|| openai::usual(&body));
            if !state.is_forgetful {
                let exchange = Exchange { connection, head, body, sent: 0, ended: None };
                state.exchanges.push(exchange);
            }
            (number, script)
        });
        self.changed.send_replace(());
        taken
    }

    fn note(&self, number: usize, change: impl FnOnce(&mut Exchange)) {
        self.with(|state| state.exchanges.get_mut(number).map(change));
        self.changed.send_replace(());
    }
}

async fn accept(listener: TcpListener, shared: Arc<SharedState>) {
    let mut serving = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let connection = shared.with(|state| {
            state.connections += 1;
            state.connections
        });
        serving.spawn(serve(connection, stream, Arc::clone(&shared)));
        while serving.try_join_next().is_some() {}
    }
}

async fn serve(connection: usize, stream: TcpStream, shared: Arc<SharedState>) {
    stream.set_nodelay(true).expect("a TCP socket");
    let (mut reader, mut writer) = stream.into_split();
    let mut buffer = Vec::new();
    while let Some((head, body)) = request(&mut reader, &mut buffer).await {
        let (number, script) = shared.take(connection, head, body);
        let began = Instant::now();
        let played = tokio::select! {
            played = play(script, &mut writer, &shared, number) => played,
            () = left(&mut reader, &mut buffer) => ScriptEnd::Alone,
        };
        let ended = match played {
            ScriptEnd::Alone => ExchangeEnd::Left(began.elapsed()),
            ScriptEnd::Open | ScriptEnd::Closed | ScriptEnd::Reset => ExchangeEnd::Played,
        };
        shared.note(number, |exchange| exchange.ended = Some(ended));
        match played {
            ScriptEnd::Open => {}
            ScriptEnd::Alone | ScriptEnd::Closed => return,
            ScriptEnd::Reset => {
                reader.as_ref().set_zero_linger().expect("a TCP socket");
                return writer.forget();
            }
        }
    }
}

/// The next request of a connection, if there is one.
async fn request(
    reader: &mut OwnedReadHalf,
    buffer: &mut Vec<u8>,
) -> Option<(MessageHead, Vec<u8>)> {
    let head = loop {
        if let Some(head) = MessageHead::take(buffer) {
            break head;
        }
        more(reader, buffer).await?;
    };
    let (mut framing, mut body) = (head.body(Body::Ended), Vec::new());
    loop {
        framing.take(buffer, &mut body);
        if framing == Body::Ended {
            return Some((head, body));
        }
        more(reader, buffer).await?;
    }
}

async fn more(reader: &mut OwnedReadHalf, buffer: &mut Vec<u8>) -> Option<()> {
    let read = reader.read_buf(buffer).await;
    read.is_ok_and(|read| read > 0).then_some(())
}

/// Returns when the peer has left.
async fn left(reader: &mut OwnedReadHalf, buffer: &mut Vec<u8>) {
    while more(reader, buffer).await.is_some() {}
}

/// The end of a script.
#[derive(Clone, Copy)]
enum ScriptEnd {
    /// The connection can be used again.
    Open,
    Closed,
    Reset,
    /// The peer had left.
    Alone,
}

async fn play(
    script: Script,
    writer: &mut OwnedWriteHalf,
    shared: &SharedState,
    number: usize,
) -> ScriptEnd {
    for act in script.0 {
        let sent = match act {
            ScriptStep::Send(bytes) => send(writer, shared, number, &bytes).await,
            ScriptStep::Drip(bytes) => drip(writer, shared, number, &bytes).await,
            ScriptStep::Flood(bytes) => flood(writer, shared, number, &bytes).await,
            ScriptStep::Wait(delay) => {
                time::sleep(delay).await;
                true
            }
            ScriptStep::Stall => std::future::pending().await,
            ScriptStep::Close => return ScriptEnd::Closed,
            ScriptStep::Reset => return ScriptEnd::Reset,
        };
        if !sent {
            return ScriptEnd::Alone;
        }
    }
    ScriptEnd::Open
}

/// Whether the peer was there to take it.
async fn send(
    writer: &mut OwnedWriteHalf,
    shared: &SharedState,
    number: usize,
    bytes: &[u8],
) -> bool {
    let sent = writer.write_all(bytes).await.is_ok();
    shared.note(number, |exchange| exchange.sent += bytes.len());
    sent
}

async fn drip(
    writer: &mut OwnedWriteHalf,
    shared: &SharedState,
    number: usize,
    bytes: &[u8],
) -> bool {
    for byte in bytes {
        if !send(writer, shared, number, &[*byte]).await {
            return false;
        }
        tokio::task::yield_now().await;
    }
    true
}

async fn flood(
    writer: &mut OwnedWriteHalf,
    shared: &SharedState,
    number: usize,
    bytes: &[u8],
) -> bool {
    while send(writer, shared, number, bytes).await {
        tokio::task::yield_now().await;
    }
    false
}
