//! Acknowledged turns and booked requests survive killed processes on Postgres, exactly once.
//!
//! `GATEWAY_TEST_GATEWAY_KILLS` and `GATEWAY_TEST_POSTGRES_KILLS` set the number of rounds; the
//! default is a few.

use crate::crashes::{rounds, under};
use gateway_tests::{Gateway, Postgres, Setup};
use std::time::Duration;
use tokio::time;

fn setup(postgres: &Postgres) -> Setup {
    Setup::new().sharing_postgres(postgres).env("LLM_GATEWAY_LOG_LEVEL", "warn")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_gateway_on_postgres_loses_and_duplicates_nothing() {
    let kills = rounds("GATEWAY_TEST_GATEWAY_KILLS", 4);
    let postgres = Postgres::start().await;
    let mut gateway = setup(&postgres).start().await;
    let turns = under(&mut gateway, async |gateway: &mut Gateway| {
        for round in 0..kills {
            time::sleep(Duration::from_millis(300 + 137 * round % 700)).await;
            gateway.kill();
            gateway.revive().await;
        }
    });
    let (turns, _) = turns.await;
    assert!(turns > 20, "only {turns} turns were acknowledged: nothing was shown");
    gateway_tests::print_measurement(&format!("{kills} kills, {turns} turns: each there once"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_postgres_loses_and_duplicates_nothing() {
    let kills = rounds("GATEWAY_TEST_POSTGRES_KILLS", 3);
    let mut postgres = Postgres::start().await;
    let mut gateway = setup(&postgres).start().await;
    let turns = under(&mut gateway, async |_: &mut Gateway| {
        for round in 0..kills {
            time::sleep(Duration::from_millis(700 + 137 * round % 700)).await;
            postgres.kill();
            time::sleep(Duration::from_millis(100)).await;
            postgres.revive().await;
        }
    });
    let (turns, declared) = turns.await;
    assert!(turns > 20, "only {turns} turns were acknowledged: nothing was shown");
    gateway_tests::print_measurement(&format!(
        "{kills} kills of Postgres, {turns} turns: each there once; {declared} declared not stored"
    ));
}
