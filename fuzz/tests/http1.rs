//! Responses that are made up from parts of the grammar, right and wrong, read by our parser and by
//! hyper's.
#![cfg(test)]

use gateway_fuzz::run;
use proptest::prelude::*;

fn status_line() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.0 200 OK\r\n",
        "HTTP/1.1 204 No Content\r\n",
        "HTTP/1.1 304 Not Modified\r\n",
        "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n",
        "HTTP/1.1 100 Continue\n\nHTTP/1.1 200\n",
        "HTTP/1.1 200\r\n",
        "HTTP/1.1 99 X\r\n",
        "HTTP/1.2 200 OK\r\n",
        "ICY 200 OK\r\n",
        "",
    ])
}

fn field() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "content-length: 5\r\n",
        "Content-Length:5\n",
        "content-length: 5, 5\r\n",
        "content-length: x\r\n",
        "transfer-encoding: chunked\r\n",
        "Transfer-Encoding: CHUNKED \r\n",
        "connection: close\r\n",
        "a: b\r\n",
        "a:\tb \r\n",
        "a : b\r\n",
        " folded\r\n",
        "a: \u{e9}\r\n",
        "no colon\r\n",
        "a: \u{1}\r\n",
    ])
}

fn body() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "hello",
        "hell",
        "5\r\nhello\r\n",
        "5;x=y\r\nhello\r\n",
        "0\r\n\r\n",
        "0\r\na: b\r\n\r\n",
        "0\r\nbad\r\n\r\n",
        "05 \r\nhello\r\n",
        "5\nhello\r\n",
        "g\r\n",
        "\r\n",
        "ffffffffffffffffff\r\n",
    ])
}

fn response() -> impl Strategy<Value = Vec<u8>> {
    let fields = prop::collection::vec(field(), 0..4);
    let bodies = prop::collection::vec(body(), 0..4);
    (any::<u8>(), status_line(), fields, prop::sample::select(vec!["\r\n", "\n", ""]), bodies)
        .prop_map(|(first, line, fields, end, bodies)| {
            let text = [&[line], &*fields, &[end], &*bodies].concat().concat();
            [&[first], text.as_bytes()].concat()
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn hyper_reads_a_response_the_same(data in response()) {
        run("http1_differential", &data);
    }

    #[test]
    fn response_is_the_same_however_it_is_cut(data in response()) {
        run("http1_response", &data);
    }
}
