//! Over a wire that spoils bytes a client gets what the server wrote, or an error; and both go on with others.

use crate::input::Input;
use crate::play::run;
use crate::play::tls::{Edit, Stage};

/// `r` and bytes for the server, `c` and bytes for the client, or edits of what passes between them.
pub fn check(data: &[u8]) {
    let mut input = Input(data);
    let (action, protocols) = (input.byte(), input.byte());
    run(async {
        let stage = Stage::new(protocols);
        match action {
            b'r' => stage.send_to_server(input.0).await,
            b'c' => stage.send_to_client(input.0).await,
            _ => {
                let mut edits = [Vec::new(), Vec::new()];
                while !input.is_empty() && edits[0].len() + edits[1].len() < 20 {
                    let direction = input.number() % 2;
                    edits[direction].push(Edit::read(&mut input));
                }
                stage.ask_over_spoilt_wire(edits).await;
            }
        }
        stage.ask_undisturbed().await;
        stage.end().await;
    });
}
