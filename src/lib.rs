//! Linehub: a TCP line hub. Many clients send lines to one operator, who answers all of them.
