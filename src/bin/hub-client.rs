//! `hub-client`: a client of the hub.
fn main() {}
