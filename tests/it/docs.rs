//! What the documents say is true: docs/events.md describes the events that the programs emit, the tests
//! that docs/reliability.md cites exist, and so do the files to which the documents link.

mod citations;
mod configuration;
mod events;
