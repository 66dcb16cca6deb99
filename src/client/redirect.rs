//! What a redirect makes of a request, decided in one place.
