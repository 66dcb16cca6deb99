//! A client and a server that speak to each other, whatever they do: see `checker`.

use super::super::hpack::Random;
use super::*;

#[test]
fn a_client_and_a_server_end_every_stream_whatever_they_do() {
    let mut random = Random(5);
    for round in 0..400 {
        let len = 20 + random.below(200);
        let script = random.bytes(len);
        checker::check_pair(&script);
        if round % 4 == 0 {
            // One kind of step over and over.
            let step = [random.next() as u8, random.next() as u8];
            checker::check_pair(&step.repeat(100));
        }
    }
}

#[test]
fn a_core_survives_any_bytes() {
    let mut random = Random(9);
    for _ in 0..3_000 {
        let len = random.below(300);
        let script = random.bytes(len);
        checker::check_server_bytes(&script);
        checker::check_client_bytes(&script);
    }
}
