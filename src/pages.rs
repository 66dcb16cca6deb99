//! The pages of the repository, so that their programs are compiled. Each program of a page is a test of
//! the documentation: `cargo test --doc`.

macro_rules! pages {
    ($($name:ident: $path:literal,)*) => { $(
        #[doc = include_str!($path)]
        mod $name {}
    )* };
}

pages! {
    readme: "../README.md",
    from_axum: "../docs/from-axum.md",
    from_go: "../docs/from-go.md",
    from_reqwest: "../docs/from-reqwest.md",
    guide_body: "../docs/guide/body.md",
    guide_client: "../docs/guide/client.md",
    guide_cookies: "../docs/guide/cookies.md",
    guide_errors: "../docs/guide/errors.md",
    guide_events: "../docs/guide/events.md",
    guide_files: "../docs/guide/files.md",
    guide_forms: "../docs/guide/forms.md",
    guide_handlers: "../docs/guide/handlers.md",
    guide_http2: "../docs/guide/http2.md",
    guide_limits: "../docs/guide/limits.md",
    guide_live: "../docs/guide/live.md",
    guide_messages: "../docs/guide/messages.md",
    guide_urls: "../docs/guide/urls.md",
    guide_middleware: "../docs/guide/middleware.md",
    guide_net: "../docs/guide/net.md",
    guide_pool: "../docs/guide/pool.md",
    guide_production: "../docs/guide/production.md",
    guide_proxies: "../docs/guide/proxies.md",
    guide_requests: "../docs/guide/requests.md",
    guide_reverse_proxy: "../docs/guide/reverse-proxy.md",
    guide_routing: "../docs/guide/routing.md",
    guide_service: "../docs/guide/service.md",
    guide_serving: "../docs/guide/serving.md",
    guide_shutdown: "../docs/guide/shutdown.md",
    guide_testing: "../docs/guide/testing.md",
    guide_tls: "../docs/guide/tls.md",
    guide_tower: "../docs/guide/tower.md",
    guide_tracing: "../docs/guide/tracing.md",
}
