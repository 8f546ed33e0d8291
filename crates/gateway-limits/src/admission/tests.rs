use super::*;
use tokio::task::JoinSet;

const PATIENCE: Duration = Duration::from_secs(1);

fn admission(max_concurrent: usize, queue: usize) -> Admission {
    let settings =
        AdmissionSettings { max_concurrent, max_per_tenant: 2, queue, queue_timeout: PATIENCE };
    Admission::new(settings, Arc::default())
}

async fn enter(admission: &Admission) -> Result<AdmissionPermit> {
    Ok(admission.admit(None, Priority::Interactive).await?.unwrap())
}

#[tokio::test(start_paused = true)]
async fn slot_is_held_until_released() {
    let admission = admission(2, 4);
    let (first, second) = (enter(&admission).await.unwrap(), enter(&admission).await.unwrap());
    assert_eq!(admission.active(), 2);
    let (third, ()) = tokio::join!(enter(&admission), async {
        time::sleep(PATIENCE / 2).await;
        drop(first);
    });
    drop((second, third.unwrap()));
    assert_eq!(admission.active(), 0);
}

#[tokio::test(start_paused = true)]
async fn queued_request_times_out() {
    let admission = admission(1, 4);
    let held = enter(&admission).await.unwrap();
    let began = time::Instant::now();
    let error = enter(&admission).await.unwrap_err();
    assert_eq!((error.kind(), began.elapsed().as_secs()), (ErrorKind::Overloaded, 1));
    drop(held);
    assert!(enter(&admission).await.is_ok(), "the place did not go to one that had left");
}

#[tokio::test(start_paused = true)]
async fn full_queue_rejects_immediately() {
    let admission = admission(1, 3);
    let _held = enter(&admission).await.unwrap();
    let mut waiting = JoinSet::new();
    for _ in 0..3 {
        let admission = admission.clone();
        waiting.spawn(async move { enter(&admission).await.is_ok() });
    }
    time::sleep(PATIENCE / 10).await;
    let began = time::Instant::now();
    assert!(enter(&admission).await.is_err());
    assert_eq!(began.elapsed().as_millis(), 0);
    // Those that leave make room.
    waiting.shutdown().await;
    let began = time::Instant::now();
    assert!(enter(&admission).await.is_err());
    assert_eq!(began.elapsed().as_secs(), 1);
}

/// In which order those are let in that came one after the other.
async fn order(count: usize, queue: usize) -> Vec<usize> {
    let admission = admission(1, queue);
    let held = enter(&admission).await.unwrap();
    let (status, mut order) = tokio::sync::mpsc::unbounded_channel();
    let mut waiting = JoinSet::new();
    for n in 0..count {
        let (admission, status) = (admission.clone(), status.clone());
        waiting.spawn(async move {
            let permit = enter(&admission).await.unwrap();
            status.send(n).unwrap();
            drop(permit);
        });
        time::sleep(Duration::from_millis(1)).await;
    }
    drop((held, status));
    let mut seen = Vec::new();
    while let Some(n) = order.recv().await {
        seen.push(n);
    }
    seen
}

#[tokio::test(start_paused = true)]
async fn short_queue_is_fifo_and_long_queue_is_lifo() {
    assert_eq!(order(3, 8).await, [0, 1, 2]);
    assert_eq!(order(6, 8).await, [5, 4, 0, 1, 2, 3], "until it is short again");
}

#[tokio::test(start_paused = true)]
async fn batch_requests_leave_fifth_of_slots_free() {
    let admission = admission(5, 0);
    let mut held = Vec::new();
    while let Ok(permit) = admission.admit(None, Priority::Batch).await {
        held.push(permit);
    }
    assert_eq!(held.len(), 4);
    assert!(enter(&admission).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn tenant_share_is_bounded() {
    let admission = admission(9, 4);
    let enter = async |tenant: &str| {
        let tenant: Arc<str> = tenant.into();
        admission.admit(Some(&tenant), Priority::Interactive).await
    };
    let held = (enter("a").await.unwrap(), enter("a").await.unwrap());
    assert_eq!(enter("a").await.unwrap_err().code(), "tenant_overloaded");
    assert!(enter("b").await.is_ok());
    drop(held);
    assert!(enter("a").await.is_ok());
    assert_eq!(admission.active(), 0);
}

#[tokio::test]
async fn memory_decides_too() {
    let admission = admission(9, 4);
    let enters = async |priority| admission.admit(None, priority).await.is_ok();
    admission.pressure.set_limits(100 << 20, 0.8);
    for (megabytes, interactive, batch) in
        [(50, true, true), (80, true, false), (100, false, false), (79, true, true)]
    {
        admission.pressure.record(megabytes << 20, 0.0);
        assert_eq!(enters(Priority::Interactive).await, interactive, "{megabytes}");
        assert_eq!(enters(Priority::Batch).await, batch, "{megabytes}");
    }
}

/// Any number of concurrent requests leaves neither missing nor additional slots.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn places_are_neither_lost_nor_made() {
    let admission = admission(4, 64);
    let mut tasks = JoinSet::new();
    for worker in 0..64_u32 {
        let admission = admission.clone();
        tasks.spawn(async move {
            for round in 0..200 {
                let entering = enter(&admission);
                if (worker + round) % 7 == 0 {
                    // Some leave while they wait.
                    drop(time::timeout(Duration::ZERO, entering).await);
                } else if let Ok(permit) = entering.await {
                    assert!(admission.active() <= 4);
                    tokio::task::yield_now().await;
                    drop(permit);
                }
            }
        });
    }
    tasks.join_all().await;
    assert_eq!(admission.active(), 0);
    assert!(enter(&admission).await.is_ok());
}
