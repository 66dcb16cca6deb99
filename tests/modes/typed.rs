//! Parts of a request as types of the program's own: what is wrong with them is the peer's fault.
#![cfg(feature = "json")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use nethttp::server::{ServerEvent, problem_details};
use nethttp::{Method, Request, ResponseWriter, Result, ServeMux};
use serde::Deserialize;

use crate::site::{Site, in_all_modes, whole};

#[derive(Deserialize)]
struct Order {
    item: String,
    count: u8,
}

async fn by_query(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    let id: u32 = r.path_parse("id")?;
    let (same,): (u64,) = r.path_as()?;
    let order: Order = r.query_as()?;
    w.write(format!("{id} {same}: {} {}", order.count, order.item)).await
}

async fn by_form(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    let order: Order = r.form_as().await?;
    w.write(format!("{} {}", order.count, order.item)).await
}

async fn by_json(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    let order: Order = r.json().await?;
    w.write(format!("{} {}", order.count, order.item)).await
}

fn mux() -> ServeMux {
    let mux = ServeMux::new();
    mux.handle("GET /orders/{id}", by_query);
    mux.handle("POST /form", by_form);
    mux.handle("POST /json", by_json);
    mux
}

#[tokio::test(start_paused = true)]
async fn what_is_right_is_read_and_what_is_wrong_is_the_peers_fault() {
    in_all_modes(async |mode| {
        let own_faults = Arc::new(AtomicU32::new(0));
        let count = own_faults.clone();
        let site = Site::with(
            mode,
            mux(),
            |server| {
                server.on_event = Some(Arc::new(move |event: &ServerEvent| {
                    count.fetch_add(u32::from(event.is_own_fault()), Ordering::Relaxed);
                }));
            },
            |_| {},
        );
        let status = |(status, text): (u16, String), reason: &str, message: &str| {
            assert_eq!(text, format!("{status} {reason}: {message}\n"));
            status
        };
        let bad = |answer| move |message: &str| assert_eq!(status(answer, "Bad Request", message), 400);

        assert_eq!(site.ask("/orders/7?item=pear&count=3").await, (200, "7 7: 3 pear".into()));
        bad(site.ask("/orders/7?item=pear&count=300").await)(
            "`count` in the query is not a whole number from 0 to 255",
        );
        bad(site.ask("/orders/7?count=3").await)("`item` in the query is missing");
        bad(site.ask("/orders/x?count=3").await)("`id` in the path is refused: invalid digit found in string");

        let send = async |path: &str, content_type: &str, content: &'static str| {
            let request = site.request(Method::POST, path, content).with_header("Content-Type", content_type);
            whole(site.client.send(request).await).await
        };
        let form = "application/x-www-form-urlencoded";
        assert_eq!(send("/form", form, "item=pear&count=3").await, (200, "3 pear".into()));
        bad(send("/form", form, "item=pear&count=").await)("`count` in the form is not a whole number from 0 to 255");

        let json = "application/json";
        assert_eq!(send("/json", json, r#"{"item":"pear","count":3}"#).await, (200, "3 pear".into()));
        bad(send("/json", json, r#"{"item":"pear"}"#).await)("`count` in the JSON content is missing");
        bad(send("/json", json, "{").await)("the content is JSON that ends too early");
        let other = send("/json", "text/plain", "{}").await;
        assert_eq!(status(other, "Unsupported Media Type", "the content is not JSON by its Content-Type"), 415);
        assert_eq!(own_faults.load(Ordering::Relaxed), 0);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn problem_details_name_the_field_and_nothing_else() {
    in_all_modes(async |mode| {
        let on_error = |server: &mut nethttp::Server| server.on_error = Some(Arc::new(problem_details));
        let site = Site::with(mode, mux(), on_error, |_| {});
        let detail = |text: &str, detail: &str| {
            assert_eq!(text, format!("{{\"title\":\"Bad Request\",\"status\":400,\"detail\":\"{detail}\"}}"));
        };
        detail(
            &site.ask("/orders/7?item=pear&count=SECRET").await.1,
            "`count` in the query is not a whole number from 0 to 255",
        );
        detail(
            &site.ask("/orders/7?item=%ff&count=1").await.1,
            "a name or a value in a form or a query that is no UTF-8",
        );
        let send = async |path: &str, content_type: &str, content: &'static str| {
            let request = site.request(Method::POST, path, content).with_header("Content-Type", content_type);
            whole(site.client.send(request).await).await.1
        };
        detail(&send("/form", "application/x-www-form-urlencoded", "count=1").await, "`item` in the form is missing");
        detail(
            &send("/json", "application/json", r#"{"item":["SECRET"],"count":1}"#).await,
            "`item` in the JSON content is not text",
        );
    })
    .await;
}
