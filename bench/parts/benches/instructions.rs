//! How many instructions the codec takes, and one exchange: counted by callgrind, the same on any machine.

use std::hint::black_box;

use gungraun::{library_benchmark, library_benchmark_group, main};
use parts::messages::{ANSWER, BROWSER, CHUNKS, ECHO, PIPELINE, PLAIN};
use parts::{Exchange, RequestReader, ResponseReader};

#[library_benchmark]
#[bench::plain(RequestReader::warm(PLAIN), PLAIN)]
#[bench::browser(RequestReader::warm(BROWSER), BROWSER)]
fn request_head(mut reader: RequestReader, message: &str) -> (usize, RequestReader) {
    // The value is returned, so that its drop is not counted.
    (reader.read(black_box(message)), reader)
}

#[library_benchmark]
#[bench::plain(ResponseReader::warm(ANSWER))]
fn response_head(mut reader: ResponseReader) -> (nethttp::Response, ResponseReader) {
    (reader.read(black_box(ANSWER)), reader)
}

#[library_benchmark]
#[bench::chunks_64_of_1_kib(&CHUNKS)]
fn chunked(body: &[u8]) -> usize {
    parts::read_chunks(black_box(body))
}

#[library_benchmark]
#[bench::plain(Exchange::warm(PLAIN))]
#[bench::browser(Exchange::warm(BROWSER))]
#[bench::pipeline_of_16(Exchange::warm(&PIPELINE))]
#[bench::echo_16_kib(Exchange::warm(&ECHO))]
fn exchange(mut exchange: Exchange) -> Exchange {
    exchange.take();
    exchange
}

library_benchmark_group!(name = codec; benchmarks = request_head, response_head, chunked);
library_benchmark_group!(name = exchanges; benchmarks = exchange);
main!(library_benchmark_groups = codec, exchanges);
