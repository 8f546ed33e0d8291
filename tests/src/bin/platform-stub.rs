//! The services of the platform, as far as the gateway sees them, for trying it out: each answers in
//! the shape of the real one, on its usual port.
//!
//! ```text
//! platform-stub [--newer] [HOST]
//! ```
//!
//! As they are today, services refuse members that they do not know; with `--newer` the search knows
//! taxonomies, chunks and similar chapters.

use gateway_tests::platform::PlatformStub;
use std::{
    env,
    io::{self, Write as _},
    net::{IpAddr, Ipv4Addr},
};

#[tokio::main]
async fn main() -> io::Result<()> {
    let (flags, hosts): (Vec<_>, Vec<_>) = env::args().skip(1).partition(|it| it == "--newer");
    let host = hosts.first().map(|host| host.parse::<IpAddr>());
    let host = host.transpose().map_err(io::Error::other)?.unwrap_or(Ipv4Addr::LOCALHOST.into());
    let platform = PlatformStub::on_usual_ports(host, !flags.is_empty()).await;
    let services = [
        ("semantic-search", &platform.semantic_search),
        ("ai-agents", &platform.ai_agents),
        ("code-orchestrator", &platform.code_orchestrator),
        ("inference", &platform.inference),
        ("context-management", &platform.context_management),
    ];
    for (name, service) in services {
        writeln!(io::stdout(), "{name} {}", service.url())?;
    }
    std::future::pending().await
}
