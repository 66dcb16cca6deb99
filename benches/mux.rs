//! What a lookup costs among 10, 1,000 and 10,000 routes, and what registering them costs.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion};
use nethttp::{Body, Method, Request, ResponseWriter, Result, ServeMux};

const SIZES: [usize; 3] = [10, 1_000, 10_000];

async fn silent(_: &mut ResponseWriter, _: &mut Request) -> Result<()> {
    Ok(())
}

/// Half of the routes are names, half have a wildcard; all share two segments.
fn mux(routes: usize) -> ServeMux {
    let mux = ServeMux::new();
    for n in 0..routes / 2 {
        mux.handle(&format!("GET /api/v1/name{n}/list"), silent);
        mux.handle(&format!("GET /api/v1/kind{n}/{{id}}"), silent);
    }
    mux
}

fn get(target: &str) -> Request {
    Request::new(Method::GET, target.parse().expect("a target"), Body::empty())
}

fn lookup(c: &mut Criterion) {
    let targets = [
        ("name", "/api/v1/name3/list"),
        ("wildcard", "/api/v1/kind3/42"),
        ("escaped", "/api/v1/kind3/%34%32"),
        ("nothing", "/api/v1/none/list"),
    ];
    for (what, target) in targets {
        let mut group = c.benchmark_group(format!("lookup/{what}"));
        for size in SIZES {
            let (mux, request) = (mux(size), get(target));
            group.bench_function(BenchmarkId::from_parameter(size), |b| b.iter(|| mux.lookup(black_box(&request))));
        }
        group.finish();
    }
}

fn register(c: &mut Criterion) {
    let mut group = c.benchmark_group("register");
    group.sample_size(10);
    for size in SIZES {
        group.bench_function(BenchmarkId::from_parameter(size), |b| b.iter(|| mux(black_box(size))));
    }
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    lookup(&mut criterion);
    register(&mut criterion);
    criterion.final_summary();
}
