//! `hub-server`: serves the hub.
fn main() {}
