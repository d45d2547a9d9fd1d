//! The fan-out of events to subscribers.

use crate::port::{Action, Event};
use eru_types::EngineId;
use futures::{StreamExt, future::ready, stream::BoxStream};
use parking_lot::Mutex;
use tokio::sync::broadcast;
use tokio_stream::wrappers::BroadcastStream;

/// How many events a subscriber may be behind before its stream ends. It then lists, which costs less than reading more.
const EVENTS_LEN_MAX: usize = 4096;

/// Sends each event to every subscriber. The buffer is made with the first subscriber, so that a thousand engines that
/// nobody watches cost nothing.
#[derive(Default)]
pub(crate) struct EventHub {
    sender: Mutex<Option<broadcast::Sender<Event>>>,
}

impl EventHub {
    /// Tells all subscribers of now.
    pub(crate) fn publish(&self, id: &EngineId, action: Action) {
        if let Some(sender) = &*self.sender.lock() {
            let event = Event { id: id.clone(), action, at_ms: crate::clock::now_ms(), exit: None };
            // An error only says that nobody listens any more.
            let _ = sender.send(event);
        }
    }

    /// What is published from now on. The stream ends when events were lost or the hub disconnects.
    pub(crate) fn subscribe(&self) -> BoxStream<'static, Event> {
        let mut sender = self.sender.lock();
        let sender = sender.get_or_insert_with(|| broadcast::channel(EVENTS_LEN_MAX).0);
        BroadcastStream::new(sender.subscribe()).take_while(|e| ready(e.is_ok())).filter_map(|e| ready(e.ok())).boxed()
    }

    /// Ends the streams of all subscribers.
    pub(crate) fn disconnect(&self) {
        self.sender.lock().take();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_subscriber_that_lost_events_is_told_by_the_end_of_its_stream() {
        let hub = EventHub::default();
        let id = EngineId::new("x").unwrap();
        let mut stream = hub.subscribe();
        for _ in 0..EVENTS_LEN_MAX + 1 {
            hub.publish(&id, Action::Died);
        }
        assert_eq!(stream.next().await, None);
        let mut stream = hub.subscribe();
        hub.publish(&id, Action::Started);
        hub.disconnect();
        assert_eq!(stream.next().await.unwrap().action, Action::Started);
        assert_eq!(stream.next().await, None);
    }
}
