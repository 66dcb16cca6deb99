//! What is refused, what is bounded, and what the encoder chooses.

use super::*;

#[test]
fn a_block_cut_at_any_byte_is_a_shorter_list_or_cut_off() {
    let block = unhex(
        "3fe11f 8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661
         6c75 65 1008 7061 7373 776f 7264 0673 6563 7265 74 0f0d 0131 be",
    );
    let whole = decode(&mut HpackDecoder::new(), &block).unwrap();
    assert_eq!(whole.len(), 8);
    for end in 0..block.len() {
        match decode(&mut HpackDecoder::new(), &block[..end]) {
            Ok(fields) => assert!(whole.starts_with(&fields), "cut at {end}"),
            Err(fault) => assert_eq!(fault, HpackFault::Truncated, "cut at {end}"),
        }
    }
}

#[test]
fn what_no_encoder_may_send_is_a_fault() {
    use HpackFault::{Huffman, Index, LargeInteger, TableSize, Truncated};
    for (block, fault) in [
        // RFC 7541 §6.1: index 0; §2.3.3: beyond both tables, in each kind of field.
        ("80", Index),
        ("be", Index),
        ("c5", Index),
        ("ff 80 01", Index),
        ("7e 0161", Index),
        ("0f 2f 0161", Index),
        ("1f 2f 0161", Index),
        // §5.1
        ("ff ff ff ff ff ff", LargeInteger),
        ("41 7f ff ff ff ff ff", LargeInteger),
        // §5.2: padding of eight bits, of zeros, and EOS.
        ("41 82 1f ff", Huffman),
        ("41 81 00", Huffman),
        ("41 84 ff ff ff ff", Huffman),
        // §4.2: over the limit, and behind a field.
        ("3f e2 1f", TableSize),
        ("82 20", TableSize),
        ("82 3f e1 1f", TableSize),
        // Lengths beyond the block.
        ("41 05 61", Truncated),
        ("40 01", Truncated),
        ("40 01 61", Truncated),
        ("3f", Truncated),
        ("00", Truncated),
    ] {
        assert_eq!(decode(&mut HpackDecoder::new(), &unhex(block)), Err(fault), "{block}");
    }
}

#[test]
fn a_limit_that_was_lowered_has_to_be_followed_at_once() {
    let mut decoder = HpackDecoder::new();
    decoder.set_max_table_bytes(100);
    assert_eq!(decode(&mut decoder, &[0x82]), Err(HpackFault::NoTableSize));
    // 101, then 100.
    assert_eq!(decode(&mut decoder, &[0x3f, 0x46]), Err(HpackFault::TableSize));
    assert_eq!(decode(&mut decoder, &[0x3f, 0x45, 0x82]).map(|fields| fields.len()), Ok(1));
    assert_eq!(decode(&mut decoder, &[0x82]).map(|fields| fields.len()), Ok(1));
    // A limit that is raised needs no answer.
    decoder.set_max_table_bytes(4096);
    assert_eq!(decode(&mut decoder, &[0x82]).map(|fields| fields.len()), Ok(1));
}

#[test]
fn a_size_of_0_empties_the_table_which_can_grow_again() {
    let mut decoder = HpackDecoder::new();
    assert_eq!(decode(&mut decoder, &unhex("40 0161 0162 be")), Ok(pairs(&[("a", "b"), ("a", "b")])));
    assert_eq!(decode(&mut decoder, &unhex("20 3f e11f be")), Err(HpackFault::Index));
    assert_eq!(decode(&mut decoder, &unhex("40 0161 0162 be")), Ok(pairs(&[("a", "b"), ("a", "b")])));
}

#[test]
fn a_list_counts_32_bytes_a_field_and_stops_at_its_limit() {
    let block = unhex("40 0161 0162 be be 82");
    let within = |max_bytes, max_fields| {
        decode_within(&mut HpackDecoder::new(), &block, ListLimits { max_bytes, max_fields }).unwrap()
    };
    // Three of 34, one of 42.
    assert_eq!(within(144, 4).1, DecodedList { bytes: 144, fields: 4, is_too_large: false });
    for (max_bytes, max_fields, kept) in [(143, 4, 3), (144, 3, 3), (101, 4, 2), (33, 4, 0), (1000, 0, 0)] {
        let (fields, list) = within(max_bytes, max_fields);
        assert_eq!((fields.len(), list.bytes, list.is_too_large), (kept, 144, true), "{max_bytes} {max_fields}");
    }
}

#[test]
fn a_list_that_is_too_large_leaves_the_table_as_it_must_be() {
    let mut decoder = HpackDecoder::new();
    let none = ListLimits { max_bytes: 0, max_fields: 0 };
    let mut kept = KeptFields::default();
    decoder.decode(&unhex("40 0161 0162 0002 6364 0165"), none, &mut kept).unwrap();
    assert_eq!((kept.text.len(), kept.fields.len()), (0, 0));
    assert_eq!(decode(&mut decoder, &[0xbe]), Ok(pairs(&[("a", "b")])));
}

#[test]
fn a_byte_for_a_large_field_costs_no_memory_beyond_the_limit() {
    let mut decoder = HpackDecoder::new();
    let mut block = unhex("40 0161 7fa1 1e");
    block.extend([b'v'; 4000]);
    block.resize(block.len() + 100_000, 0xbe);
    let mut kept = KeptFields::default();
    let limits = ListLimits { max_bytes: 10_000, max_fields: 1000 };
    let list = decoder.decode(&block, limits, &mut kept).unwrap();
    assert_eq!((list.bytes, kept.fields.len()), (100_001 * 4033, 2));
    assert!(kept.text.capacity() < 20_000 && decoder.held() < 10_000);
}

#[test]
fn a_name_and_its_value_are_judged_once_and_stay_so_in_the_table() {
    let mut decoder = HpackDecoder::new();
    let mut kept = KeptFields::default();
    // `A: b`, `a: <LF>`, and both again; then `:method` with a bad value.
    decoder.decode(&unhex("40 0141 0162 40 0161 010a bf be 42 0100"), LIMITS, &mut kept).unwrap();
    let (upper, lower) = (FieldKind::Malformed, FieldKind::of(b"a"));
    let method = (FieldKind::Method, false);
    assert_eq!(kept.kinds, [(upper, true), (lower, false), (upper, true), (lower, false), method]);
}

#[test]
fn secrets_are_never_indexed_and_what_differs_each_time_stays_out_of_the_table() {
    let long = "0123456789012345678901234567890";
    for (name, value, first) in [
        ("authorization", long, 0x1f),
        ("Proxy-Authorization", "x", 0x1f),
        ("cookie", "a=1", 0x1f),
        ("set-cookie", "a=1", 0x1f),
        ("set-cookie", long, 0x0f),
        ("etag", "\"1\"", 0x0f),
        ("location", "/", 0x0f),
        ("content-length", "1", 0x0f),
        (":path", "/a?b", 0x04),
        ("X-Request-Id", long, 0x00),
        (":path", "/a", 0x44),
        ("cookie", long, 0x60),
        ("date", long, 0x61),
        ("content-type", "text/html", 0x5f),
        ("x-other", "1", 0x40),
    ] {
        let block = encode(&mut HpackEncoder::new(), &pairs(&[(name, value)]));
        assert_eq!(block[0], first, "{name}: {value}");
        let lower = name.to_ascii_lowercase();
        assert_eq!(decode(&mut HpackDecoder::new(), &block), Ok(pairs(&[(&lower, value)])));
    }
}

#[test]
fn what_came_before_is_one_byte_and_a_field_too_large_for_the_table_drives_none_away() {
    let mut encoder = HpackEncoder::new();
    let fields = pairs(&[(":status", "200"), ("content-type", "text/html"), ("Server", "x"), (":status", "418")]);
    let first = encode(&mut encoder, &fields);
    let large = encode(&mut encoder, &[(b"x-large".to_vec(), vec![b'x'; 3072])]);
    let again = encode(&mut encoder, &fields);
    assert_eq!(again, [0x88, 0xc0, 0xbf, 0xbe]);
    let mut decoder = HpackDecoder::new();
    for block in [first, large, again] {
        assert!(decode(&mut decoder, &block).is_ok());
    }
}

#[test]
fn a_status_is_an_index_where_there_is_one() {
    let mut encoder = HpackEncoder::new();
    let mut block = Vec::new();
    for status in [200, 404, 201, 201, 999] {
        encoder.status(&mut block, status);
    }
    let expected = [":status: 200", ":status: 404", ":status: 201", ":status: 201", ":status: 999"];
    let fields = decode(&mut HpackDecoder::new(), &block).unwrap();
    let shown = fields.iter().map(|(name, value)| [&name[..], value].join(&b": "[..]));
    assert_eq!(shown.collect::<Vec<_>>(), expected.map(|line| line.as_bytes().to_vec()));
    assert_eq!(block[..2], [0x88, 0x8d]);
}

#[test]
fn of_several_sizes_the_least_and_the_last_are_said() {
    for (sizes, said) in [
        (&[4096][..], &[][..]),
        (&[100_000], &[]),
        (&[0], &[0x20]),
        (&[100], &[0x3f, 0x45]),
        (&[0, 4096], &[0x20, 0x3f, 0xe1, 0x1f]),
        (&[100, 0, 100, 50], &[0x20, 0x3f, 0x13]),
        (&[100, 200, 4096], &[0x3f, 0x45, 0x3f, 0xe1, 0x1f]),
    ] {
        let mut encoder = HpackEncoder::new();
        sizes.iter().for_each(|size| encoder.set_max_table_bytes(*size));
        let mut block = Vec::new();
        encoder.begin(&mut block);
        assert_eq!(block, *said, "{sizes:?}");
        block.clear();
        encoder.begin(&mut block);
        assert!(block.is_empty(), "said once");
    }
    // Raised again later: the table is empty already, so the last size is all there is to say.
    let mut encoder = HpackEncoder::new();
    encoder.set_max_table_bytes(0);
    encoder.begin(&mut Vec::new());
    encoder.set_max_table_bytes(4096);
    let mut block = Vec::new();
    encoder.begin(&mut block);
    assert_eq!(block, [0x3f, 0xe1, 0x1f]);
}

#[test]
fn a_table_of_ones_own_size_is_as_large_as_the_peer_allows_and_no_larger() {
    let said = |encoder: &mut HpackEncoder| {
        let mut block = Vec::new();
        encoder.begin(&mut block);
        block
    };
    let mut small = HpackEncoder::with_limit(100);
    assert_eq!(said(&mut small), [0x3f, 0x45], "a peer would take 4,096 for granted");
    small.set_max_table_bytes(100_000);
    assert!(said(&mut small).is_empty());
    small.set_max_table_bytes(50);
    assert_eq!(said(&mut small), [0x3f, 0x13]);
    let mut none = HpackEncoder::with_limit(0);
    let twice: Vec<usize> = (0..2).map(|_| encode(&mut none, &pairs(&[("x-name", "value")])).len()).collect();
    assert_eq!((twice[0], none.held()), (twice[1] + 1, 0), "the size is said once, and nothing is kept");
    // More than the default only when the peer has said so.
    let mut large = HpackEncoder::with_limit(8192);
    assert!(said(&mut large).is_empty());
    large.set_max_table_bytes(100_000);
    assert_eq!(said(&mut large), [0x3f, 0xe1, 0x3f]);
}

#[test]
fn any_fields_come_back_whatever_becomes_of_the_table() {
    let mut random = Random(3);
    for _ in 0..50 {
        let (mut encoder, mut decoder) = (HpackEncoder::new(), HpackDecoder::new());
        for _ in 0..60 {
            if random.below(5) == 0 {
                for _ in 0..=random.below(3) {
                    let size = random.below(5000);
                    encoder.set_max_table_bytes(size);
                    decoder.set_max_table_bytes(size.min(4096));
                }
            }
            let count = random.below(12);
            let fields: Vec<TextPair> = (0..count).map(|_| random_field(&mut random)).collect();
            let block = encode(&mut encoder, &fields);
            let lower = fields.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone())).collect();
            assert_eq!(decode(&mut decoder, &block), Ok(lower));
        }
    }
}

fn random_field(random: &mut Random) -> TextPair {
    const NAMES: [&str; 9] =
        [":path", ":status", "Date", "cookie", "X-A", "x-b", "content-type", "authorization", "accept-encoding"];
    let name = match random.below(10) {
        0 => random.bytes(3).iter().map(|b| b'a' + b % 26).collect(),
        nth => NAMES[nth - 1].as_bytes().to_vec(),
    };
    let value = match random.below(4) {
        0 => {
            let len = random.below(60);
            random.bytes(len)
        }
        1 => b"gzip, deflate".to_vec(),
        nth => vec![b'0' + random.next() as u8 % 10; nth * 5],
    };
    (name, value)
}

#[test]
fn any_bytes_are_decoded_or_refused_and_memory_stays_bounded() {
    let mut random = Random(11);
    for _ in 0..20_000 {
        let mut decoder = HpackDecoder::new();
        for _ in 0..4 {
            let len = random.below(40);
            let block = random.bytes(len);
            if decode(&mut decoder, &block).is_err() {
                break;
            }
        }
        assert!(decoder.held() < 10_000);
    }
}
