//! The weights of `Accept-Encoding` (RFC 9110 §12.4.2 and §12.5.3).

use crate::message::header::Header;

/// The weight that the client gives this coding, in thousandths; `None` where it does not name it.
pub(crate) fn weight(header: &Header, name: &str) -> Option<u16> {
    header.values("Accept-Encoding").flat_map(|list| list.split(',')).find_map(|element| {
        let mut parts = element.split(';').map(str::trim);
        if !parts.next()?.eq_ignore_ascii_case(name) {
            return None;
        }
        let weight = parts.find_map(|parameter| parameter.strip_prefix("q=").or(parameter.strip_prefix("Q=")));
        // A weight that cannot be read is taken for a refusal: plain content is always right.
        Some(weight.map_or(1000, |weight| thousandths(weight).unwrap_or(0)))
    })
}

/// RFC 9110 §12.4.2: a number from 0 to 1 with three decimals at most.
fn thousandths(weight: &str) -> Option<u16> {
    let (whole, decimals) = weight.split_once('.').unwrap_or((weight, ""));
    if !matches!(whole, "0" | "1") || decimals.len() > 3 || !decimals.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    format!("{whole}{decimals:0<3}").parse().ok().filter(|weight| *weight <= 1000)
}
