//! Middleware believes of a request's fields what the slow reference believes of them, and nothing that is sent forges a line of a log.

use crate::play::middleware::{Served, request_of, served};
use crate::reference::believed::{allowed_origin, client, coding_is_accepted, id, identity, is_forged};
use crate::reference::coding::slowly_decoded;

/// The first line says who sends the request and its method, each further one is a field: `src/play/middleware.rs`.
pub fn check(data: &[u8]) {
    let Some((sender, request)) = request_of(data) else { return };
    let (method, header, peer) = (request.method.clone(), request.header.clone(), sender.address());
    let Served { response, saw, log } = served(sender, request);

    assert_eq!(log.len(), 1, "one request is one line");
    assert!(!log[0].contains(char::is_control), "{:?} could be read as two lines", log[0]);
    let ids: Vec<&str> = response.header.values("X-Request-Id").collect();
    let expected_id = id(&header).filter(|_| sender.is_proxy());
    assert!(ids.len() == 1 && expected_id.map_or(ids[0].len() == 36, |sent| sent == ids[0]), "{ids:?}");
    let origin = allowed_origin(&header);
    assert_eq!(response.header.get("Access-Control-Allow-Origin"), origin.as_deref());
    if method == "OPTIONS" && header.contains("Origin") && header.contains("Access-Control-Request-Method") {
        return assert!(response.status == 204 && saw.is_none(), "a preflight reaches nobody");
    }

    let expected = identity(&header);
    let status = match &expected {
        Err(refused) => *refused,
        // What host a proxy has told decides as well.
        Ok(_) if sender.is_proxy() && response.status == 403 => 403,
        Ok(_) if !sender.is_proxy() && is_forged(&method, &header) => 403,
        Ok(_) => 200,
    };
    assert_eq!(response.status, status);
    let Some(saw) = saw.filter(|_| status == 200) else { return };
    assert_eq!(Ok(saw.user), expected);
    assert_eq!(saw.id, ids[0]);
    if let Some(client) = client(sender, &header) {
        assert_eq!(saw.client, client.or(peer));
    }
    let coding = response.header.get("Content-Encoding");
    assert!(coding.is_none_or(|coding| coding_is_accepted(&header, coding)), "{coding:?} was not asked for");
    let content = coding.map_or(Some(response.content.to_vec()), |coding| slowly_decoded(coding, &response.content));
    assert!(method == "HEAD" || content.is_some_and(|content| content == saw.content.as_bytes()));
}
