//! The simulator that a test sends to, without a network and with the test's clock.

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use serde_json::{Map, Value, json};

use crate::client::{InProcessService, ServiceResponse};
use crate::clock::Clock;
use crate::run::testing::TestService;
use crate::simulator::{ReceivedMessage, SimulatedResponse, Simulator};

#[derive(Debug, Clone)]
pub(super) struct InProcessSimulator {
    pub(super) simulator: Simulator,
    pub(super) clock: Clock,
}

#[async_trait]
impl InProcessService for InProcessSimulator {
    async fn carry(&self, request: Request<Bytes>) -> ServiceResponse {
        self.clock.sleep(self.simulator.one_way()).await;
        let answer = self.simulator.handle(&request);
        self.clock.sleep(self.simulator.one_way()).await;
        match answer {
            SimulatedResponse::Whole(response) => ServiceResponse::Whole(response),
            SimulatedResponse::Truncated(response) => {
                ServiceResponse::Truncated(Response::from_parts(response.into_parts().0, ()))
            }
            SimulatedResponse::Reset => ServiceResponse::Reset,
            SimulatedResponse::Hang => std::future::pending().await,
        }
    }
}

impl TestService for InProcessSimulator {
    fn sent(&self, group: Option<&str>) -> Value {
        if let Some(group) = group {
            return messages(self.simulator.received_by(group));
        }
        let all = self.simulator.received().into_iter();
        all.map(|(group, received)| (group, messages(received))).collect::<Map<_, _>>().into()
    }

    fn count(&self, group: Option<&str>) -> u64 {
        match group {
            Some(group) => self.simulator.count(group),
            None => self.simulator.stats().messages(),
        }
    }

    fn plan(&self, faults: &str) -> Result<(), String> {
        let plan = faults.parse().map_err(|error: crate::simulator::ParseFaultError| error.to_string())?;
        self.simulator.plan(plan);
        Ok(())
    }
}

fn messages(received: Vec<ReceivedMessage>) -> Value {
    received.into_iter().map(message).collect()
}

/// A sent message with the API's field names, and the service's response to it.
fn message(received: ReceivedMessage) -> Value {
    let mut message: Map<String, Value> = serde_json::from_str(received.raw.get()).unwrap_or_default();
    let at = std::time::Duration::from_millis(received.at).as_secs_f64();
    message.insert("id".to_owned(), received.id.into());
    message.insert("group".to_owned(), received.group.into());
    message.insert("at".to_owned(), json!(at));
    message.insert("from".to_owned(), received.from.into());
    if received.recalled {
        message.insert("recalled".to_owned(), true.into());
    }
    message.into()
}
