use super::*;
use futures_util::{FutureExt as _, task::noop_waker_ref};
use std::task::Context;

fn tenant(name: &str) -> Arc<str> {
    name.into()
}

/// Leases of 100 bytes. `a40` takes 40 of tenant `a` in a lease of its own, `-0` drops the first
/// lease; expected is for each what it took at once, `+` or `.`.
#[track_caller]
fn check(steps: &str, expected: &str) {
    let budget = Arc::new(MemoryBudget::new(100));
    let (mut leases, mut seen) = (Vec::new(), String::new());
    for step in steps.split(' ') {
        let (who, number) = step.split_at(1);
        let number: usize = number.parse().unwrap();
        if who == "-" {
            leases[number] = None;
            continue;
        }
        let mut lease = budget.lease(&tenant(who));
        let took = lease.grow(number).now_or_never().is_some();
        seen.push(if took { '+' } else { '.' });
        leases.push(Some(lease));
    }
    assert_eq!(seen, expected, "{steps}");
    drop(leases);
    assert_eq!(budget.held(), 0);
    assert!(lock(&budget.state).tenants.is_empty());
}

#[test]
fn single_tenant_leaves_a_quarter_free() {
    check("a40 a35", "++");
    check("a40 a36", "+.");
    check("a75 b25", "++");
}

#[test]
fn tenant_within_its_share_is_served_first() {
    check("a75 b20 a1", "++.");
    check("a50 b20 b10", "+++");
    check("a70 b20 b10", "+++");
}

#[test]
fn dropped_lease_returns_its_bytes() {
    check("a75 -0 a75", "++");
}

#[test]
fn body_beyond_the_limit_has_to_be_alone() {
    check("a500", "+");
    check("a1 b500", "+.");
}

#[test]
fn try_grow_takes_only_what_fits() {
    let budget = Arc::new(MemoryBudget::new(100));
    let mut lease = budget.lease(&tenant("a"));
    assert!(lease.try_grow(70) && !lease.try_grow(30), "a quarter stays free");
    assert_eq!((lease.bytes(), budget.held()), (70, 70));
    drop(lease);
    assert_eq!(budget.held(), 0);
}

#[test]
fn attached_lease_ends_with_the_last_bytes() {
    let budget = Arc::new(MemoryBudget::new(100));
    let mut lease = budget.lease(&tenant("a"));
    assert!(lease.grow(3).now_or_never().is_some());
    let bytes = lease.attach(vec![1, 2, 3]);
    let slice = bytes.slice(1..2);
    drop(bytes);
    assert_eq!((budget.held(), &slice[..]), (3, &[2][..]));
    drop(slice);
    assert_eq!(budget.held(), 0);
}

/// Two unfinished bodies fill the memory: one of them is finished, then the other.
#[test]
fn unfinished_bodies_do_not_wait_for_each_other() {
    let budget = Arc::new(MemoryBudget::new(100));
    let cx = &mut Context::from_waker(noop_waker_ref());
    let mut one = budget.lease(&tenant("a"));
    let mut other = budget.lease(&tenant("b"));
    one.charge(50);
    other.charge(50);
    assert!(one.poll_grow(cx, 20).is_pending(), "it waits first");
    assert!(other.poll_grow(cx, 20).is_pending());
    assert!(one.poll_grow(cx, 20).is_ready());
    assert!(other.poll_grow(cx, 20).is_pending(), "one at a time");
    assert!(one.poll_grow(cx, 20).is_ready(), "to its end");
    let done = one.attach(vec![0; 90]);
    assert!(other.poll_grow(cx, 20).is_pending(), "the memory is still exceeded");
    drop(done);
    assert!(other.poll_grow(cx, 20).is_ready());
}

#[test]
fn bodies_that_wait_to_be_decoded_do_not_block_each_other() {
    let budget = Arc::new(MemoryBudget::new(100));
    let tenant = tenant("a");
    let cx = &mut Context::from_waker(noop_waker_ref());
    let mut bodies = Vec::new();
    for _ in 0..2 {
        let mut lease = budget.lease(&tenant);
        assert!(lease.poll_grow(cx, 35).is_ready());
        bodies.push(lease.attach(vec![0; 35]));
    }
    let mut plain = budget.lease(&tenant);
    assert!(plain.poll_grow(cx, 40).is_pending());
    assert!(plain.poll_grow(cx, 40).is_pending(), "it waits for whole bodies");
    drop(plain);
    let [mut one, mut other] = [0, 1].map(|_| budget.lease_beside(&tenant, 35));
    assert!(one.poll_grow(cx, 40).is_pending());
    assert!(other.poll_grow(cx, 40).is_pending());
    assert!(one.poll_grow(cx, 40).is_ready(), "one of them may exceed the limit");
    assert!(other.poll_grow(cx, 40).is_pending());
    let decoded = one.attach(bodies.remove(0));
    assert!(other.poll_grow(cx, 40).is_pending(), "a whole body is used");
    drop(decoded);
    assert!(other.poll_grow(cx, 40).is_ready());
    drop((other, bodies));
    assert_eq!(budget.held(), 0);
    assert!(lock(&budget.state).tenants.is_empty());
}
