//! How long the codec takes, and one exchange.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput};
use parts::messages::{ANSWER, BROWSER, CHUNKS, CLOSING, ECHO, PIPELINE, PIPELINE_DEPTH, PLAIN};
use parts::{Exchange, RequestReader, ResponseReader, read_chunks, serving};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    codec(&mut criterion);
    exchange(&mut criterion, "plain", PLAIN, 1);
    exchange(&mut criterion, "browser", BROWSER, 1);
    exchange(&mut criterion, "echo16k", &ECHO, 1);
    exchange(&mut criterion, "pipeline", &PIPELINE, PIPELINE_DEPTH);
    connection(&mut criterion);
    criterion.final_summary();
}

fn codec(c: &mut Criterion) {
    let mut group = c.benchmark_group("codec");
    for (name, message) in [("request/plain", PLAIN), ("request/browser", BROWSER)] {
        let mut reader = RequestReader::warm(message);
        group.throughput(Throughput::Bytes(message.len() as u64));
        group.bench_function(name, |b| b.iter(|| reader.read(black_box(message))));
    }
    let mut reader = ResponseReader::warm(ANSWER);
    group.throughput(Throughput::Bytes(ANSWER.len() as u64));
    group.bench_function("response", |b| b.iter(|| reader.read(black_box(ANSWER))));
    group.throughput(Throughput::Bytes(CHUNKS.len() as u64));
    group.bench_function("chunked", |b| b.iter(|| read_chunks(black_box(&CHUNKS))));
    group.finish();
}

/// One message of several requests on a connection that is kept.
fn exchange(c: &mut Criterion, name: &str, message: &'static str, requests: usize) {
    let mut exchange = Exchange::warm(message);
    let mut group = c.benchmark_group("exchange");
    group.throughput(Throughput::Elements(requests as u64));
    group.bench_function(name, |b| b.iter(|| exchange.take()));
    group.finish();
}

/// A connection for one request, from dialing to its end.
fn connection(c: &mut Criterion) {
    let (runtime, dialer) = serving();
    c.bench_function("exchange/churn", |b| {
        b.iter_batched_ref(
            Vec::new,
            |answer| {
                runtime.block_on(async {
                    let mut stream = dialer.dial().await.expect("the listener is there");
                    stream.write_all(CLOSING.as_bytes()).await.expect("the buffer holds it");
                    stream.read_to_end(answer).await.expect("the server closes in order");
                });
            },
            BatchSize::SmallInput,
        );
    });
}
