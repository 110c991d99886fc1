//! Frames of HTTP/2 that mean harm, from somebody who is nobody: they cost their own connection, and the server goes on.

use detectviz_tests::{Http2, Server, editions};

use super::{MAX_GROWTH, memory};

#[test]
fn floods_of_frames_end_their_connection_alone() {
    let server = Server::builder(editions()[0]).allow_log("remotely-reset pending-accept streams").start();
    let nobody = server.anonymous();
    let host = nobody.host();
    let fields = [(":method", "GET"), (":scheme", "https"), (":path", "/livez"), (":authority", &*host)];
    let (before, _) = memory(&server);
    let mut witness = Http2::open(&nobody).unwrap();
    for _ in 0..5 {
        let mut resetting = Http2::open(&nobody).unwrap();
        resetting.reset_rapidly(&fields, 20_000);
        resetting.closed().unwrap();
        let mut continuing = Http2::open(&nobody).unwrap();
        let padding = "x".repeat(8000);
        let large = [&fields[..], &[("padding", &*padding)]].concat();
        continuing.continue_headers(&large, 10_000);
        continuing.closed().unwrap();
        let answer = witness.request(&fields, b"", &[]).unwrap();
        assert!(matches!(answer, detectviz_tests::Reply::Answer { ok: true, .. }), "{answer:?}");
    }
    let grown = memory(&server).0.saturating_sub(before);
    assert!(grown < MAX_GROWTH, "{grown} bytes more than before");
}
