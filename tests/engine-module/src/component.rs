// All of it is generated but for the calls below.
#![allow(unsafe_code, missing_docs, clippy::all)]

use std::cell::RefCell;

use tokensmith_engine::verify::portable::Portable;

use crate::session::Session;

wit_bindgen::generate!({
    inline: "
        package openchami:tokensmith-engine@1.0.0;

        world engine {
            export answer: func(line: string) -> string;
        }
    ",
});

thread_local! {
    static SESSION: RefCell<Session<Portable>> = RefCell::new(Session::new(Portable));
}

struct Module;

impl Guest for Module {
    fn answer(line: String) -> String {
        SESSION.with_borrow_mut(|session| session.answer(&line))
    }
}

export!(Module);
