//! The end of an exchange that takes longer than its upstream allows as a whole.
//!
//! Most exchanges have no such end and pay a look at an empty cell. Cutting is dropping: HTTP/1 closes its
//! connection, HTTP/2 resets the one stream. Who has no answer yet gets the page of a timeout before that,
//! because every single wait ends at the deadline, too.

use std::{
    cell::Cell,
    pin::{Pin, pin},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use tokio::time::Sleep;

use super::lifeline::Lifeline;
use crate::{id::RequestId, telemetry::outcome::CutShort};

tokio::task_local! {
    static DEADLINE: Cell<Option<(Instant, RequestId)>>;
}

/// Runs an exchange to its end, or until shortly after the deadline that was [set](set) meanwhile; `None` then.
pub async fn run<T>(exchange: impl Future<Output = T>) -> Option<T> {
    DEADLINE
        .scope(Cell::new(None), async {
            let mut exchange = pin!(exchange);
            let mut alarm = Alarm::default();
            std::future::poll_fn(|context| {
                if let Poll::Ready(done) = exchange.as_mut().poll(context) {
                    return Poll::Ready(Some(done));
                }
                match DEADLINE.with(Cell::get) {
                    None => Poll::Pending,
                    Some((deadline, request_id)) => alarm.poll(deadline, context).map(|()| {
                        Lifeline::present().note_cut(CutShort::TookTooLong);
                        tracing::warn!(%request_id, "an exchange was cut: it took longer than total_timeout or read_timeout of its upstream allows"
                        );
                        None
                    }),
                }
            })
            .await
        })
        .await
}

/// Sets when the exchange that this task runs is to be over, or that it may go on.
pub fn set(deadline: Option<Instant>, request_id: RequestId) {
    // An error says that nothing watches: the exchange runs outside of `run`, in a unit test.
    let _ = DEADLINE.try_with(|cell| cell.set(deadline.map(|deadline| (deadline, request_id))));
}

#[derive(Default)]
struct Alarm(Option<(Instant, Pin<Box<Sleep>>)>);

impl Alarm {
    fn poll(&mut self, deadline: Instant, context: &mut Context<'_>) -> Poll<()> {
        if self.0.as_ref().is_none_or(|(set, _)| *set != deadline) {
            let sleep = tokio::time::sleep_until((deadline + FOR_THE_PAGE).into());
            self.0 = Some((deadline, Box::pin(sleep)));
        }
        match &mut self.0 {
            Some((_, sleep)) => sleep.as_mut().poll(context),
            None => Poll::Pending,
        }
    }
}

/// What is left to tell whoever has no answer yet.
const FOR_THE_PAGE: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_exchange_ends_at_its_deadline_and_not_without_one() {
        let start = tokio::time::Instant::now();
        let hour = Duration::from_secs(3600);
        let slow = async {
            set(None, RequestId::random());
            tokio::time::sleep(hour).await;
            set(
                Some(Instant::now() + Duration::from_secs(1)),
                RequestId::random(),
            );
            "done"
        };
        assert_eq!(run(slow).await, Some("done"));
        assert_eq!(start.elapsed(), hour);

        let cut = async {
            set(
                Some(start.into_std() + hour + Duration::from_secs(2)),
                RequestId::random(),
            );
            std::future::pending::<()>().await;
        };
        assert_eq!(run(cut).await, None);
        let taken = start.elapsed() - hour;
        assert!(
            taken >= Duration::from_secs(2) && taken < Duration::from_secs(3),
            "{taken:?}"
        );
    }
}
