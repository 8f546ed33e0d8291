//! Alerts about budgets: to the log, the metrics and a webhook.

use gateway_config::BudgetsSection;
use gateway_limits::{BudgetAlert, BudgetAlerts};
use gateway_tasks::unix_time;
use gateway_tools::{ClientSettings, ServiceClient, notify};
use metrics::counter;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;
use std::{pin::Pin, sync::Arc, time::Duration};
use tokio::{
    sync::{Mutex, mpsc},
    time,
};

/// The alerts that wait for a slow webhook; more are only logged and counted.
const QUEUE: usize = 256;
/// The pauses before further attempts at a delivery.
const PAUSES: [Duration; 3] =
    [Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(25)];

/// An alert on its way to a webhook.
#[derive(Debug)]
pub(crate) struct AlertDelivery {
    url: SecretString,
    body: Vec<u8>,
}

/// Returns the queue of alerts, and what makes the task that delivers them.
pub(crate) fn deliveries() -> (mpsc::Sender<AlertDelivery>, impl FnMut() -> AlertTask) {
    let (sender, receiver) = mpsc::channel(QUEUE);
    let receiver = Arc::new(Mutex::new(receiver));
    (sender, move || Box::pin(deliver(Arc::clone(&receiver))))
}

/// The delivery of alerts, until the gateway ends.
type AlertTask = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Returns the alerts that a configuration asks for, delivered through `queue`.
pub(crate) fn alerts(
    settings: &BudgetsSection,
    queue: &mpsc::Sender<AlertDelivery>,
) -> BudgetAlerts {
    let thresholds = settings.alert_thresholds.iter();
    let thresholds = thresholds.filter_map(|percent| u8::try_from(*percent).ok()).collect();
    let (queue, url) = (queue.clone(), settings.alert_webhook.clone());
    let receiver = move |alert: BudgetAlert| {
        record(&alert);
        let Some(url) = url.clone() else { return };
        if queue.try_send(AlertDelivery { url, body: body(&alert) }).is_err() {
            tracing::warn!("budget alert not sent to the webhook: too many are waiting");
        }
    };
    BudgetAlerts { thresholds, receiver: Arc::new(receiver) }
}

/// Logs and counts an alert.
fn record(alert: &BudgetAlert) {
    let client = alert.client.clone().unwrap_or_default();
    let (limit_usd, spent_usd) = (alert.limit.dollars(), alert.spent.dollars());
    tracing::warn!(
        target: "gateway::budgets",
        tenant = alert.tenant,
        client,
        budget = &*alert.budget,
        percent = alert.percent,
        limit_usd,
        spent_usd,
        "budget threshold passed"
    );
    let percent = alert.percent.to_string();
    let labels = [("tenant", alert.tenant.clone()), ("client", client), ("percent", percent)];
    counter!("llm_gateway_budget_alerts_total", &labels).increment(1);
}

fn body(alert: &BudgetAlert) -> Vec<u8> {
    let body = json!({
        "object": "budget_alert",
        "at": unix_time().as_secs(),
        "tenant": alert.tenant,
        "client": alert.client,
        "budget": &*alert.budget,
        "percent": alert.percent,
        "limit_usd": alert.limit.dollars(),
        "spent_usd": alert.spent.dollars(),
    });
    body.to_string().into_bytes()
}

async fn deliver(receiver: Arc<Mutex<mpsc::Receiver<AlertDelivery>>>) {
    // One task at a time: another is made only after a panic of this one.
    let mut receiver = receiver.lock().await;
    let mut client = None;
    while let Some(AlertDelivery { url, body }) = receiver.recv().await {
        // The client is made with the first alert: most gateways send none.
        if client.is_none() {
            client = ServiceClient::new(&ClientSettings::default()).ok();
        }
        let Some(client) = &client else { continue };
        let mut pauses = PAUSES.into_iter();
        while let Err(error) = notify(client, url.expose_secret(), body.clone()).await {
            let Some(pause) = pauses.next() else {
                tracing::error!(%error, "budget alert could not be sent to the webhook");
                break;
            };
            time::sleep(pause).await;
        }
    }
}
