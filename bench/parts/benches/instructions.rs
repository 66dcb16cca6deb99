//! How many instructions the codec takes, and one turn: counted by callgrind, the same on any machine.

use std::hint::black_box;

use gungraun::{library_benchmark, library_benchmark_group, main};
use parts::messages::{ANSWER, BROWSER, CHUNKS, ECHO, PIPELINE, PLAIN};
use parts::{RequestReader, ResponseReader, Turn};

#[library_benchmark]
#[bench::plain(RequestReader::warm(PLAIN), PLAIN)]
#[bench::browser(RequestReader::warm(BROWSER), BROWSER)]
fn request_head(mut reader: RequestReader, message: &str) -> (usize, RequestReader) {
    // What grew is handed back: its end is not counted.
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
#[bench::plain(Turn::warm(PLAIN))]
#[bench::browser(Turn::warm(BROWSER))]
#[bench::pipeline_of_16(Turn::warm(&PIPELINE))]
#[bench::echo_16_kib(Turn::warm(&ECHO))]
fn turn(mut turn: Turn) -> Turn {
    turn.take();
    turn
}

library_benchmark_group!(name = codec; benchmarks = request_head, response_head, chunked);
library_benchmark_group!(name = turns; benchmarks = turn);
main!(library_benchmark_groups = codec, turns);
