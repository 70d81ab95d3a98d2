//! The admin side in front of a Hub that does not answer.

use axum::{
    body::Body,
    extract::Request,
    http::{Method, StatusCode},
};

use super::*;
use crate::{
    actors::{
        messages::{Ask, Broadcast, ByHttp, Inspect, Kick, ListAfter, Rename, Tell},
        stubs::{soon, stub},
    },
    config::AdminConfig,
};

/// The status of a request whose Hub has this long to answer.
async fn status_of_stuck_hub(path: &str, draining: bool) -> StatusCode {
    let (broadcast, _broadcasts) = stub::<ByHttp<Broadcast>>();
    let (tell, _tells) = stub::<ByHttp<Tell>>();
    let (kick, _kicks) = stub::<ByHttp<Kick>>();
    let (rename, _renames) = stub::<Rename>();
    let (ask, _asks) = stub::<Ask>();
    let (list, _lists) = stub::<ListAfter>();
    let (inspect, _inspects) = stub::<Inspect>();
    let feed = Feed::new(1000).start();
    let (position, fetch) = (feed.clone().recipient(), feed.recipient());
    let desk = Desk { broadcast, tell, kick, rename, ask, list, inspect, position, fetch };
    let readers = Arc::new(Semaphore::new(1));
    let admin = Admin {
        checks: Checks::new(&AdminConfig::default(), "0123456789abcdef".parse().unwrap()),
        desk,
        streams: Streams::new(readers, Throttle::default()).unwrap(),
        latency: Arc::default(),
        log_lost: Arc::default(),
        draining: CancellationToken::new(),
        questions: Arc::new(Semaphore::new(1)),
        others: Arc::new(Semaphore::new(1)),
        max_line: 100,
        outbox: 1000,
        reverse: true,
    };
    if draining {
        admin.draining.cancel();
    }
    let request = Request::builder().method(Method::GET).uri(path).header("host", "localhost");
    let request = request.body(Body::empty()).unwrap();
    let router = routes::router(Arc::new(admin));
    let slots = Rc::new(Slots::new(CancellationToken::new()));
    let peer = [127, 0, 0, 1].into();
    soon(routes::answer(request, peer, slots.activity().await, router)).await.status()
}

#[actix::test]
async fn a_hub_that_does_not_answer_is_not_healthy_and_still_ready() {
    tokio::time::pause();
    assert_eq!(status_of_stuck_hub("/healthz", false).await, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(status_of_stuck_hub("/readyz", false).await, StatusCode::OK);
    assert_eq!(status_of_stuck_hub("/readyz", true).await, StatusCode::SERVICE_UNAVAILABLE);
}
