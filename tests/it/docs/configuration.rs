//! docs/configuration.md against the file that has every key.

/// The keys of config/server.toml, as in `server.port`. A table that may hold any keys is one itself.
fn keys() -> Vec<String> {
    let mut table = "";
    let mut keys = Vec::new();
    for line in include_str!("../../../config/server.toml").lines() {
        if let Some(name) = line.strip_prefix('[') {
            table = name.trim_end_matches(']');
            if table == "names" {
                keys.push("[names]".to_owned());
            }
        } else if let Some((key, _)) = line.split_once(" = ").filter(|_| !line.starts_with('#')) {
            keys.push(format!("{table}.{key}"));
        }
    }
    keys
}

#[test]
fn every_key_has_a_row() {
    let document = include_str!("../../../docs/configuration.md");
    let keys = keys();
    assert!(keys.len() > 15, "{keys:?}");
    for key in keys {
        assert!(document.contains(&format!("| `{key}` |")), "{key} has no row");
    }
    assert!(document.contains("| `[[connect]]` |"));
}
