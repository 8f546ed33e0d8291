//! A provider that answers every request alike, one write at a time.
//!
//! A streamed answer goes out in lockstep with its reader: what follows a chunk with text is written
//! when that text has arrived, so that chunks never share a read and a measurement repeats.

use super::answers;
use anyhow::Context as _;
use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{Ipv4Addr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        mpsc::{self, Receiver, Sender},
    },
    thread,
    time::Duration,
};

/// The timeout for the previous chunk to arrive.
const LOCKSTEP: Duration = Duration::from_mins(1);

/// The provider. Its threads end with the task.
#[derive(Debug)]
pub(super) struct LockstepUpstream {
    port: u16,
    arrived: Sender<()>,
}

/// A request, as far as the answer depends on it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct ReceivedRequest {
    path: String,
    streamed: bool,
}

impl LockstepUpstream {
    /// Starts to listen on a free port.
    pub(super) fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        let (arrived, arrivals) = mpsc::channel();
        let arrivals = Arc::new(Mutex::new(arrivals));
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let arrivals = Arc::clone(&arrivals);
                thread::spawn(move || serve(&connection, &arrivals));
            }
        });
        Ok(Self { port, arrived })
    }

    /// Returns the port of the upstream.
    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Lets what follows a chunk with text go out.
    pub(super) fn text_arrived(&self) -> anyhow::Result<()> {
        self.arrived.send(()).context("the upstream has ended")
    }
}

/// Answers until the peer leaves.
fn serve(connection: &TcpStream, arrivals: &Mutex<Receiver<()>>) -> anyhow::Result<()> {
    connection.set_nodelay(true)?;
    let mut reader = BufReader::with_capacity(1 << 16, connection);
    let mut writer = connection;
    while let Some(request) = read(&mut reader)? {
        if !request.streamed {
            writer.write_all(&answers::whole(&request.path))?;
            continue;
        }
        let arrivals = arrivals.lock().ok().context("another connection has failed")?;
        while arrivals.try_recv().is_ok() {}
        writer.write_all(answers::STREAM_HEAD.as_bytes())?;
        for chunk in answers::chunks(&request.path) {
            writer.write_all(&answers::framed(&chunk))?;
            if answers::has_text(&chunk) {
                arrivals.recv_timeout(LOCKSTEP)?;
            }
        }
        writer.write_all(b"0\r\n\r\n")?;
    }
    Ok(())
}

/// Reads a request; nothing if the peer has left.
fn read(reader: &mut BufReader<&TcpStream>) -> anyhow::Result<Option<ReceivedRequest>> {
    let mut request = ReceivedRequest::default();
    let (mut length, mut chunked, mut line) = (0, false, String::new());
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    line.split(' ').nth(1).context("not a request line")?.clone_into(&mut request.path);
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let header = line.trim_end().to_ascii_lowercase();
        let Some((name, value)) = header.split_once(':') else { break };
        match name {
            "content-length" => length = value.trim().parse()?,
            "transfer-encoding" => chunked = value.contains("chunked"),
            _ => {}
        }
    }
    let mut body = Vec::new();
    loop {
        if chunked {
            line.clear();
            reader.read_line(&mut line)?;
            length = usize::from_str_radix(line.trim_end(), 16)?;
        }
        let before = body.len();
        body.resize(before + length, 0);
        reader.read_exact(body.get_mut(before..).unwrap_or_default())?;
        if chunked {
            line.clear();
            reader.read_line(&mut line)?;
        }
        if !chunked || length == 0 {
            break;
        }
    }
    // The flag stands before or after the messages, never in the middle of a long body.
    let text = String::from_utf8_lossy(&body);
    request.streamed = text.contains("\"stream\":true") || text.contains("\"stream\": true");
    Ok(Some(request))
}
